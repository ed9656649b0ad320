"""The index of the segments of a store: an LMDB store on a disk of this machine, which says what the segments say.

It follows them: what is new is taken in, each time in a transaction that also notes which segments and deletions it
has. An index that is lost or damaged, or that had something of segments that are gone without a trace, is made anew.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import shutil
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final, TypeVar

from provtel_model.errors import DeliveryError, PermanentError, StoreError
from provtel_model.store_folder import LMDB_FOLDER, make_store

from provtel_exporters.file.contents import Contents
from provtel_exporters.lmdb.network.cache import VARIABLE, index_folder
from provtel_exporters.lmdb.network.deletions import Deletion, covering, spared
from provtel_exporters.lmdb.network.folder import SEGMENT, GoneError, Listing, SegmentFolder
from provtel_exporters.lmdb.observations import EncodedObservation
from provtel_exporters.lmdb.reader import LmdbReader
from provtel_exporters.lmdb.rows import EncodedRecord, encode_all
from provtel_exporters.lmdb.writer import LmdbWriter, encode_logs, encode_points, encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from provtel_exporters.lmdb.session import Session

_log = logging.getLogger(__name__)
_locks: Final[set[IO[bytes]]] = set()
T = TypeVar("T")

_TRIES: Final = 50
_PAUSE_SECONDS: Final = 0.1
_AT_ONCE: Final = 5000
_LOCK: Final = "lock"
_CURRENT: Final = "current"


class Index:
    """The index of one store. May be used from several threads and processes.

    Args:
        segments: The folder of its segments, which is there.

    Raises:
        StoreError: There are no segments, or there is no place for an index.
    """

    def __init__(self, segments: SegmentFolder) -> None:
        self._segments = segments
        self.identity = segments.identity()
        self.folder = index_folder(segments.store, self.identity)
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._generation = ""
        self._seen: Listing | None = None
        self._writer: LmdbWriter | None = None
        self._reader: LmdbReader | None = None

    def reader(self) -> LmdbReader:
        """Return a reader of an index that has all that was sealed when this was called.

        Raises:
            StoreError: The segments cannot be read, or the index cannot be written.
        """
        with self._own_lock():
            if self._segments.listing() != self._seen or self._generation != self._named():
                try:
                    with self._alone():
                        self._catch_up()
                except OSError as error:
                    reason = error.strerror or error
                    raise StoreError(f"the index {self.folder} cannot be written: {reason}; see {VARIABLE}") from error
            if self._reader is None:
                self._reader = LmdbReader(self.lmdb_folder)
            return self._reader

    @property
    def lmdb_folder(self) -> Path:
        """Where its LMDB files are."""
        return self.folder / self._generation / LMDB_FOLDER

    def delete(self, deletion: Callable[[frozenset[str], Session], Deletion | None]) -> None:
        """Remove something from all segments that there are, and from the index.

        Args:
            deletion: Says what, by the names of the segments and a look at the index; ``None`` is nothing.

        Raises:
            OSError: It cannot be written down; nothing was removed.
            StoreError: The segments cannot be read, or the index cannot be written.
        """
        with self._own_lock(), self._alone():
            there = self._catch_up().segments
            wanted = self._transact(lambda session: deletion(there, session))
            if wanted is not None:
                made = self._segments.deletion(self._segments.delete(wanted))
                self._transact(lambda session: _apply(session, [made], _Encoded()))

    def close(self) -> None:
        """Release the index; safe to call twice."""
        with self._own_lock():
            self._let_go()

    def _own_lock(self) -> threading.RLock:
        if self._process != os.getpid():  # a fork copies locks that nobody here will release
            self._lock, self._process = threading.RLock(), os.getpid()
        return self._lock

    def _let_go(self) -> None:
        for opened in (self._reader, self._writer):
            if opened is not None:
                opened.close()
        self._reader = self._writer = self._seen = None

    def _named(self) -> str:
        try:
            return os.readlink(self.folder / _CURRENT)  # noqa: PTH115  # a name, not a path
        except OSError:
            return ""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes of this machine from changing the index."""
        make_store(self.folder)
        with (self.folder / _LOCK).open("ab") as file:
            _locks.add(file)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
            finally:
                _locks.discard(file)

    def _catch_up(self) -> Listing:
        """Take in what is new; return what the index then has."""
        before = None
        for _ in range(_TRIES):
            found = self._segments.listing()
            try:
                self._follow(found, sure=found == before)
            except GoneError:
                before = found
                time.sleep(_PAUSE_SECONDS)
            else:
                self._seen = found
                return found
        raise StoreError(f"the store {self._segments.store} changes faster than it can be read; try again later")

    def _follow(self, found: Listing, *, sure: bool) -> None:
        taken = self._open()
        new = [self._segments.deletion(name) for name in sorted(found.deletions - taken)]
        gone = {name for name in taken - found.segments if name.endswith(SEGMENT)}
        if taken and (self._is_unexplained(gone, found) or _is_late(new, taken | found.deletions)):
            if not sure:
                raise GoneError
            _log.warning("the index of %s is made anew: it has what is gone from there", self._segments.store)
            self._begin()
            taken, gone = set(), set()
        deletions = [self._segments.deletion(name) for name in sorted(found.deletions)]
        if new:
            self._delete(new, deletions, taken & found.segments)
        held = {name for name in found.segments - taken if self._is_held(name, taken, taken | found.deletions)}
        self._take(sorted(found.segments - taken - held), deletions)
        if gone or held:
            self._transact(lambda session: session.note_sources(held, gone))

    def _open(self) -> set[str]:
        """Return what the index has, which is open for writing then; one that cannot be opened is made anew."""
        generation = self._named()
        if generation != self._generation or self._writer is None:
            self._let_go()
            self._generation = generation
            if generation:
                try:
                    self._writer = LmdbWriter(self.lmdb_folder)
                except StoreError as error:
                    _log.warning("the index of %s is made anew: %s", self._segments.store, error)
            if self._writer is None:
                self._begin()
        try:
            return self._transact(lambda session: session.sources())
        except StoreError as error:
            _log.warning("the index of %s is made anew: %s", self._segments.store, error)
            self._begin()
            return set()

    def _begin(self) -> None:
        """Put a new index in the place of the one that there is."""
        self._let_go()
        self._generation = f"g-{secrets.token_hex(8)}"
        make_store(self.folder / self._generation)
        self._writer = LmdbWriter(self.lmdb_folder)
        link = self.folder / f".{self._generation}"
        link.symlink_to(self._generation)
        link.replace(self.folder / _CURRENT)
        for old in self.folder.glob("g-*"):
            if old.name != self._generation:
                shutil.rmtree(old, ignore_errors=True)

    def _is_unexplained(self, gone: Collection[str], found: Listing) -> bool:
        """Say whether segments are gone that none of those which are there was merged of."""
        if not gone:
            return False
        merged = (self._segments.origin(name).segments for name in found.segments)
        return not frozenset(gone) <= frozenset().union(*merged)

    def _is_held(self, name: str, taken: Collection[str], applied: Collection[str]) -> bool:
        """Say whether a segment was merged of what the index has."""
        origin = self._segments.origin(name)
        return bool(origin.segments) and origin.segments <= set(taken) and origin.deletions <= set(applied)

    def _delete(self, new: Sequence[Deletion], deletions: Sequence[Deletion], taken: Collection[str]) -> None:
        """Apply deletions, and give back what is said by segments that they are not about."""
        back = _Encoded()
        for name in sorted(taken):
            origin = self._segments.origin(name)
            strange = [deletion for deletion in new if not deletion.covers(name, origin)]
            if strange:
                about = covering(deletions, name, origin)
                for contents in self._contents(name):
                    for deletion in strange:
                        back.add(spared(deletion.strikes(contents), about), name)
        self._transact(lambda session: _apply(session, new, back))

    def _take(self, names: Sequence[str], deletions: Sequence[Deletion]) -> None:
        """Take segments in, several small ones in a transaction, and a large one in several."""
        waiting, whole = _Encoded(), list[str]()
        for name in names:
            about = covering(deletions, name, self._segments.origin(name))
            for contents in self._contents(name):
                waiting.add(spared(contents, about), name)
                if waiting.count >= _AT_ONCE:
                    self._add(waiting, whole)
                    waiting, whole = _Encoded(), []
            whole.append(name)
        if whole:
            self._add(waiting, whole)

    def _add(self, waiting: _Encoded, whole: Sequence[str]) -> None:
        def add(session: Session) -> None:
            waiting.give(session)
            session.note_sources(whole, ())

        self._transact(add)

    def _contents(self, name: str) -> Iterator[Contents]:
        for found in self._segments.read(name):
            if isinstance(found, Contents):
                yield found
            else:
                _log.warning("left out of answers: %s; see provtel store verify", found)

    def _transact(self, work: Callable[[Session], T]) -> T:
        if self._writer is None:
            raise StoreError(f"the index of {self._segments.store} was closed")
        try:
            return self._writer.transact(work)
        except DeliveryError as error:
            raise StoreError(f"the index of {self._segments.store} cannot be written: {error}") from error


@dataclass(slots=True)
class _Encoded:
    """What is to be added to an index."""

    records: list[EncodedRecord] = field(default_factory=list)
    points: list[EncodedObservation] = field(default_factory=list)
    logs: list[EncodedObservation] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.records) + len(self.points) + len(self.logs)

    def add(self, contents: Contents, name: str) -> None:
        try:
            records = encoded(contents.records, encode_all)
            points = encoded(contents.points, encode_points)
            logs = encoded(contents.logs, encode_logs)
        except PermanentError as error:
            _log.warning("left out of answers: a line of %s: %s", name, error)
            return
        self.records += records
        self.points += points
        self.logs += logs

    def give(self, session: Session) -> None:
        session.merge(self.records)
        session.add_points(self.points)
        session.add_logs(self.logs)


def _apply(session: Session, deletions: Sequence[Deletion], back: _Encoded) -> None:
    for deletion in deletions:
        session.remove_records(deletion.records)
        session.remove_telemetry(deletion.before)
    back.give(session)
    session.note_sources([deletion.name for deletion in deletions], ())


def _is_late(new: Sequence[Deletion], known: Collection[str]) -> bool:
    """Say whether deletions are gone that an index has not applied."""
    return any(not deletion.forgotten <= frozenset(known) for deletion in new)


def _drop_locks() -> None:
    """Close the lock files of the parent, in a forked child, which else would hold the locks as long as it lives."""
    for file in _locks:
        file.close()
    _locks.clear()


os.register_at_fork(after_in_child=_drop_locks)
