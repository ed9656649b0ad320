"""What a store of segments holds and takes, whether it is whole, and merging many small segments into one."""

from __future__ import annotations

import fcntl
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model.errors import DeliveryError, StoreError

from provtel_exporters.file.contents import Contents
from provtel_exporters.file.writer import FileWriter
from provtel_exporters.lmdb.maintenance import Compacted, Holdings
from provtel_exporters.lmdb.maintenance import stats as stats_of_files
from provtel_exporters.lmdb.network.deletions import Deletion, Origin, covering, spared
from provtel_exporters.lmdb.network.folder import GoneError, SegmentFolder
from provtel_exporters.lmdb.network.index import Index
from provtel_exporters.lmdb.verification import Verified
from provtel_exporters.lmdb.verification import verify as verify_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LARGE_BYTES: Final = 64 * 2**20
_LOCK: Final = ".lock"
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class SegmentStats(Holdings):
    """What a store of segments holds, and what it takes.

    Args:
        segments: How many segments there are.
        deletions: How many deletions wait for their space to be given back.
        nbytes: What segments and deletions take, in bytes.
        index: Where the index of this machine is.
        index_nbytes: What its file takes, in bytes.
    """

    segments: int
    deletions: int
    nbytes: int
    index: str
    index_nbytes: int


def stats(store: Path) -> SegmentStats:
    """Return what a store of segments holds and takes.

    Raises:
        StoreError: There is none that this user can read.
    """
    folder = SegmentFolder(store)
    with closing(Index(folder)) as index:
        index.reader()
        held = stats_of_files(index.lmdb_folder)
        found = folder.listing()
        return SegmentStats(
            held.records,
            held.kinds,
            held.runs,
            held.points,
            held.logs,
            len(found.segments),
            len(found.deletions),
            folder.total_size(),
            str(index.folder),
            held.nbytes,
        )


def verify(store: Path) -> Verified:
    """Read every line of every segment, and look at all of the index of this machine; nothing is changed but that.

    Raises:
        StoreError: There is no store that this user can read.
    """
    folder = SegmentFolder(store)
    damage: list[str] = []
    for name in sorted(folder.listing().segments):
        try:
            folder.origin(name)
            damage += [str(found) for found in folder.read(name) if isinstance(found, StoreError)]
        except StoreError as error:
            damage.append(str(error))
        except GoneError:  # merged meanwhile
            continue
    with closing(Index(folder)) as index:
        index.reader()
        found = verify_files(index.lmdb_folder)
    for each in damage:
        found.tell(each)
    return found


def compact(store: Path) -> Compacted:
    """Merge small segments, and those that something was deleted of, into one; others may write and read meanwhile.

    The old segments go when the new one is on the disk and was read back. Killed at any moment, the store holds what it
    held.

    Raises:
        StoreError: The store cannot be written, a segment is damaged, or another process compacts it; nothing is lost.
    """
    folder = SegmentFolder(store)
    folder.identity()
    try:
        with _alone(folder.path):
            for _ in range(_TRIES):
                try:
                    return _compact(folder)
                except GoneError:
                    continue
            raise StoreError(f"the store {store} is compacted elsewhere at the same time; call again later")
    except (OSError, DeliveryError) as error:
        raise StoreError(f"the store {store} cannot be compacted: {error}; nothing of it is lost") from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep others from compacting, on file systems that have such locks; without them none loses anything either."""
    with (path / _LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"the store {path.parent} is compacted by another process; wait for it") from None
        except OSError:
            pass
        yield


def _compact(folder: SegmentFolder) -> Compacted:
    folder.tidy()
    before = folder.total_size()
    found = folder.listing()
    deletions = [folder.deletion(name) for name in sorted(found.deletions)]
    covered = {name for name in found.segments if covering(deletions, name, folder.origin(name))}
    small = {name for name in found.segments if folder.size(name) < _LARGE_BYTES}
    if covered or len(small) > 1:
        _merge(folder, sorted(covered | small), deletions)
    _forget(folder, deletions)
    return Compacted(before, folder.total_size())


def _merge(folder: SegmentFolder, names: Sequence[str], deletions: Sequence[Deletion]) -> None:
    place = tempfile.TemporaryDirectory(prefix="provtel-merging-")
    with place, closing(FileWriter(Path(place.name) / "merged.jsonl")) as writer:
        for name in names:
            about = covering(deletions, name, folder.origin(name))
            for contents in _sound(folder, name):
                left = spared(contents, about)
                writer.write(left.records)
                writer.write_points(left.points)
                writer.write_logs(left.logs)
        counted = _Counted(writer)
        origin = Origin(frozenset(names), frozenset(deletion.name for deletion in deletions))
        made = folder.seal(counted.lines(), origin)
    if sum(map(_size, _sound(folder, made))) != counted.count:
        folder.remove([made])
        raise StoreError(f"what was merged in {folder.path} reads otherwise than it was written; nothing was removed")
    if not frozenset(names) <= folder.listing().segments:  # another merged them, and may have known of more deletions
        folder.remove([made])
        raise GoneError
    folder.remove(names)


class _Counted:
    """The lines of what a file holds, counted as they are given."""

    def __init__(self, writer: FileWriter) -> None:
        self._writer = writer
        self.count = 0

    def lines(self) -> Iterator[bytes]:
        for contents in self._writer.standing():
            self.count += _size(contents)
            yield from contents.lines()


def _size(contents: Contents) -> int:
    return len(contents.records) + len(contents.points) + len(contents.logs)


def _sound(folder: SegmentFolder, name: str) -> Iterator[Contents]:
    for found in folder.read(name):
        if not isinstance(found, Contents):
            raise StoreError(f"{found}; move this segment out of the store, and call again")
        yield found


def _forget(folder: SegmentFolder, deletions: Sequence[Deletion]) -> None:
    """Put a note in the place of deletions that no segment is there for any more."""
    there = folder.listing().segments
    done = [each for each in deletions if not any(each.covers(name, folder.origin(name)) for name in there)]
    if len(done) > 1 or any(not each.forgotten for each in done):
        names = [each.name for each in done]
        folder.delete(Deletion(forgotten=frozenset(names)))
        folder.remove(names)
