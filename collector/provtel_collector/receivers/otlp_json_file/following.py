"""Files that are followed: known again when they are moved, and how far each was read."""

from __future__ import annotations

import glob
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provtel_model.components import Shelf

    from provtel_collector.receivers.otlp_json_file.config import OtlpJsonFileConfig

_KEY: Final = b"files"
_MOST_GONE: Final = 1000
_PIECE: Final = 2**20


@dataclass(slots=True)
class Followed:
    """A file and how far it was read.

    Args:
        device: The file system that it is on.
        inode: Its number there.
        fingerprint: How it begins, as far as it has been seen.
        offset: Before which all of it was taken.
        path: Where it was last seen.
        file: The file, open for as long as it is read.
        tail: What came after the last end of a line when it was read last.
    """

    device: int
    inode: int
    fingerprint: bytes
    offset: int
    path: Path
    file: BinaryIO | None = None
    tail: bytes = b""

    def to_plain(self) -> dict[str, Any]:
        """Return what is remembered."""
        identity = [self.device, self.inode, self.fingerprint.hex(), self.offset]
        return {"file": identity, "path": os.fsencode(self.path).hex()}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Followed:
        """Return what was remembered."""
        device, inode, fingerprint, offset = plain["file"]
        path = Path(os.fsdecode(bytes.fromhex(plain["path"])))
        return cls(device, inode, bytes.fromhex(fingerprint), offset, path)

    def lines(self, most: int) -> Iterator[tuple[bytes | None, int]]:
        """Yield each line that is whole with the offset behind it, from where reading stopped.

        A line that is longer than allowed is None. What comes after the last end of a line may still grow: it is the
        tail when all lines were yielded.
        """
        self.tail = b""
        if self.file is None:
            return
        self.file.seek(self.offset)
        offset = self.offset
        pending = b""
        too_long = False
        while piece := self.file.read(_PIECE):
            parts = (pending + piece).split(b"\n")
            pending = parts.pop()
            for line in parts:
                offset += len(line) + 1
                yield (None if too_long or len(line) > most else line), offset
                too_long = False
            if len(pending) > most:
                offset += len(pending)
                pending, too_long = b"", True
        self.tail = b"" if too_long else pending

    def close(self) -> None:
        """Close the file; it can be opened again."""
        if self.file is not None:
            self.file.close()
            self.file = None


class Files:
    """The files that patterns name, and what is remembered of them.

    Args:
        config: What the user wrote.
    """

    def __init__(self, config: OtlpJsonFileConfig) -> None:
        self._config = config
        self._shelf: Shelf | None = None
        self._known: list[Followed] = []
        self._first = True

    def recall(self, shelf: Shelf) -> None:
        """Remember in a storage from now on, and take up what it has."""
        self._shelf = shelf
        kept = shelf.get(_KEY)
        self._known = [Followed.from_plain(plain) for plain in json.loads(kept)] if kept else []

    def save(self) -> None:
        """Put what is known into the storage, where there is one.

        Raises:
            RetryableError: It cannot be kept.
        """
        if self._shelf is not None:
            self._shelf.put(_KEY, json.dumps([known.to_plain() for known in self._known]).encode())

    def look(self) -> list[Followed]:
        """Return the files that are there or were there at the last look, open, the oldest first."""
        gone = [known for known in self._known if known.file is not None]
        seen = [followed for path in self._paths() if (followed := self._follow(path)) is not None]
        self._first = False
        # One that was moved to a name that no pattern fits is still open, and is read to its end.
        gone = [known for known in gone if all(known is not one for one in seen)]
        self._forget(seen)
        return sorted([*gone, *seen], key=lambda one: os.fstat(one.file.fileno()).st_mtime_ns if one.file else 0)

    def leave(self, followed: Followed) -> None:
        """Know that a file was read to its end; one that is nowhere any more is closed."""
        try:
            now = followed.path.stat()
        except OSError:
            followed.close()
            return
        if (now.st_dev, now.st_ino) != (followed.device, followed.inode):
            followed.close()

    def close(self) -> None:
        """Close all files."""
        for known in self._known:
            known.close()

    def _paths(self) -> list[Path]:
        excluded = set(_expanded(self._config.exclude))
        return [path for path in dict.fromkeys(_expanded(self._config.include)) if path not in excluded]

    def _follow(self, path: Path) -> Followed | None:
        try:
            file = path.open("rb")
        except OSError:
            return None
        status = os.fstat(file.fileno())
        beginning = file.read(self._config.fingerprint_size)
        if not beginning:
            file.close()
            return None
        known = self._find(status, beginning)
        if known is None:
            at_end = self._first and self._config.start_at == "end" and not self._config.replay_file
            known = Followed(status.st_dev, status.st_ino, beginning, status.st_size if at_end else 0, path)
            self._known.append(known)
        if status.st_size < known.offset or self._config.replay_file:
            known.offset = 0
        known.close()
        known.file, known.path, known.fingerprint = file, path, beginning
        known.device, known.inode = status.st_dev, status.st_ino
        return known

    def _find(self, status: os.stat_result, beginning: bytes) -> Followed | None:
        """Return what is known of a file: the one of its number, else one that began alike and is gone."""
        for known in self._known:
            if (known.device, known.inode) == (status.st_dev, status.st_ino):
                if beginning.startswith(known.fingerprint):
                    return known
                known.inode = 0  # the number is another file's now
        alike = [known for known in self._known if beginning.startswith(known.fingerprint) and not _is_there(known)]
        return max(alike, key=lambda known: len(known.fingerprint), default=None)

    def _forget(self, seen: list[Followed]) -> None:
        """Remember of the files that are not there any more only the last."""
        there = {id(one) for one in seen}
        gone = [known for known in self._known if id(known) not in there]
        for known in gone[:-_MOST_GONE]:
            known.close()
        kept = {id(known) for known in gone[-_MOST_GONE:]}
        self._known = [known for known in self._known if id(known) in there or id(known) in kept]


def _expanded(patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        found = glob.glob(os.path.expanduser(pattern), recursive=True, include_hidden=True)  # noqa: PTH111, PTH207  # patterns may be absolute
        yield from (Path(path).absolute() for path in sorted(found) if Path(path).is_file())


def _is_there(known: Followed) -> bool:
    try:
        now = known.path.stat()
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == (known.device, known.inode)
