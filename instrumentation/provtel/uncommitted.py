"""Whether files that git tracks differ from the commit: read from the index, as ``git status`` does, within a time.

A file differs where its size is not the one in the index, or where its time is another one and so is its content.
Something is staged where the tree that the index would be written out as is not the commit's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import time
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from provtel.repository import Repository

LONGEST_LOOK: Final = 0.02
"""Seconds after which it is not known."""
_SHA1: Final = 20
_SHA256: Final = 32
_MAX_INDEX: Final = 8 * 2**20
_MAX_CONTENT: Final = 2**20
_HEADER: Final = struct.Struct(">4sII")
_STAT: Final = struct.Struct(">10I")
_COMPRESSED_PATHS: Final = 4
_ASSUME_VALID: Final = 0x8000
_EXTENDED: Final = 0x4000
_STAGES: Final = 0x3000
_SKIP_WORK_TREE: Final = 0x4000
_TO_BE_ADDED: Final = 0x2000
_KIND: Final = 0o170000
_REGULAR: Final = 0o100000
_LINK: Final = 0o120000
_COMMIT: Final = 1


class UnknownError(Exception):
    """It cannot be told, or not in time."""


class Entry(NamedTuple):
    """A file in the index."""

    path: bytes
    mode: int
    size: int
    changed: tuple[int, int]
    object_id: bytes
    flags: int
    more_flags: int


def is_modified(repository: Repository, revision: str) -> bool | None:
    """Say whether a tracked file differs from the commit, or will in the next one; ``None`` where it cannot be told."""
    try:
        return _Index(repository).differs(revision)
    except (OSError, UnknownError, struct.error, ValueError, IndexError, zlib.error):
        return None


class _Index:
    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._until = time.monotonic() + LONGEST_LOOK
        file = repository.folder / "index"
        if not file.is_file() or file.stat().st_size > _MAX_INDEX:
            raise UnknownError
        self._data = file.read_bytes()
        self._settings = repository.settings()
        sha256 = self._settings.get(("extensions", "", "objectformat")) == "sha256"
        self._id_size = _SHA256 if sha256 else _SHA1
        self._end = _HEADER.size

    def differs(self, revision: str) -> bool:
        root = os.fsencode(self._repository.work_tree)
        tree = _Tree(self._digest)
        entries = [*self._entries()]
        if self._is_split():
            raise UnknownError
        for number, entry in enumerate(entries):
            if number % 64 == 0 and time.monotonic() > self._until:
                raise UnknownError
            if self._is_changed(entry, root):
                return True
            tree.add(entry)
        return tree.id() != _tree_of(self._repository.common / "objects", revision)

    def _digest(self, kind: bytes, content: bytes) -> bytes:
        """Return the id of an object."""
        make = hashlib.sha256 if self._id_size == _SHA256 else hashlib.sha1
        return make(b"%b %d\0%b" % (kind, len(content), content), usedforsecurity=False).digest()

    def _entries(self) -> Iterator[Entry]:
        data = self._data
        magic, version, count = _HEADER.unpack_from(data)
        if magic != b"DIRC":
            raise UnknownError
        at, path = _HEADER.size, b""
        for _ in range(count):
            begin = at
            _, _, seconds, nanoseconds, _, _, mode, _, _, size = _STAT.unpack_from(data, at)
            at += _STAT.size
            object_id, at = data[at : at + self._id_size], at + self._id_size
            flags, at = int.from_bytes(data[at : at + 2], "big"), at + 2
            more_flags = 0
            if flags & _EXTENDED:
                more_flags, at = int.from_bytes(data[at : at + 2], "big"), at + 2
            kept = b""
            if version == _COMPRESSED_PATHS:
                removed, at = _offset(data, at)
                kept = path[: len(path) - removed]
            end = data.index(b"\0", at)
            path = kept + data[at:end]
            at = end + 1 if version == _COMPRESSED_PATHS else begin + (end - begin + 8) // 8 * 8
            yield Entry(path, mode, size, (seconds, nanoseconds), object_id, flags, more_flags)
        self._end = at

    def _is_changed(self, entry: Entry, root: bytes) -> bool:
        if entry.flags & _STAGES or entry.more_flags & _TO_BE_ADDED:
            return True
        kind = entry.mode & _KIND
        if kind not in {_REGULAR, _LINK} or entry.flags & _ASSUME_VALID or entry.more_flags & _SKIP_WORK_TREE:
            return False
        path = os.path.join(root, entry.path)  # noqa: PTH118  # of thousands of files; bytes as git has them
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return True
        if status.st_mode & _KIND != kind or status.st_size & 0xFFFFFFFF != entry.size:
            return True
        seconds, nanoseconds = divmod(status.st_mtime_ns, 10**9)
        if seconds == entry.changed[0] and (nanoseconds == entry.changed[1] or not entry.changed[1]):
            return False
        return self._has_other_content(path, entry, status.st_size)

    def _has_other_content(self, path: bytes, entry: Entry, size: int) -> bool:
        if size > _MAX_CONTENT or time.monotonic() > self._until:
            raise UnknownError
        if entry.mode & _KIND == _LINK:
            content = os.readlink(path)  # noqa: PTH115  # as above
        else:
            with open(path, "rb") as opened:  # noqa: PTH123  # as above
                content = opened.read()
        if self._digest(b"blob", content) == entry.object_id:
            return False
        if ("core", "", "autocrlf") in self._settings or (self._repository.work_tree / ".gitattributes").exists():
            raise UnknownError  # git may keep it in another form than it lies here
        return True

    def _is_split(self) -> bool:
        """Say whether most of the files are in another index, of which this one is a part."""
        at = self._end
        while at + 8 <= len(self._data) - self._id_size:
            if self._data[at : at + 4] == b"link":
                return True
            at += 8 + int.from_bytes(self._data[at + 4 : at + 8], "big")
        return False


class _Tree:
    """Makes the id of the tree that holds files, which are added in the order of an index."""

    def __init__(self, digest: Callable[[bytes, bytes], bytes]) -> None:
        self._digest = digest
        self._open: list[tuple[bytes, bytearray]] = [(b"", bytearray())]

    def add(self, entry: Entry) -> None:
        *folders, name = entry.path.removesuffix(b"/").split(b"/")
        shared = 0
        for (there, _), here in zip(self._open[1:], folders, strict=False):
            if there != here:
                break
            shared += 1
        self._close(shared)
        self._open += [(folder, bytearray()) for folder in folders[shared:]]
        self._open[-1][1].extend(b"%o %b\0%b" % (entry.mode, name, entry.object_id))

    def id(self) -> bytes:
        self._close(0)
        return self._digest(b"tree", bytes(self._open[0][1]))

    def _close(self, depth: int) -> None:
        while len(self._open) > depth + 1:
            name, content = self._open.pop()
            self._open[-1][1].extend(b"40000 %b\0%b" % (name, self._digest(b"tree", bytes(content))))


def _offset(data: bytes, at: int) -> tuple[int, int]:
    """Return a number in git's variable length, and where it ends."""
    byte = data[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = data[at]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, at + 1


def _tree_of(objects: Path, revision: str) -> bytes:
    """Return the id of a commit's tree."""
    with contextlib.suppress(FileNotFoundError):
        loose = (objects / revision[:2] / revision[2:]).read_bytes()
        return _tree_in(zlib.decompressobj().decompress(loose, 4096).partition(b"\0")[2])
    for index in (objects / "pack").glob("*.idx"):
        place = _place_in_pack(index, bytes.fromhex(revision))
        if place is not None:
            with index.with_suffix(".pack").open("rb") as pack:
                pack.seek(place)
                return _tree_in(_packed_commit(pack.read(8192)))
    raise UnknownError


def _tree_in(commit: bytes) -> bytes:
    name, _, tree = commit.partition(b"\n")[0].partition(b" ")
    if name != b"tree":
        raise UnknownError
    return bytes.fromhex(tree.decode("ascii"))


def _place_in_pack(index: Path, object_id: bytes) -> int | None:
    """Return where in its pack an object begins, by the pack's index of version 2."""
    with index.open("rb") as opened:
        head = opened.read(8 + 1024)
        if head[:8] != b"\xfftOc\0\0\0\2":
            return None
        counts = struct.unpack_from(">256I", head, 8)
        first, last, total = counts[object_id[0] - 1] if object_id[0] else 0, counts[object_id[0]], counts[255]
        size = len(object_id)
        opened.seek(8 + 1024 + first * size)
        ids = opened.read((last - first) * size)
        found = next((n for n in range(last - first) if ids[n * size : (n + 1) * size] == object_id), None)
        if found is None:
            return None
        opened.seek(8 + 1024 + total * (size + 4) + (first + found) * 4)
        place = int.from_bytes(opened.read(4), "big")
        if place & 0x80000000:
            opened.seek(8 + 1024 + total * (size + 8) + (place & 0x7FFFFFFF) * 8)
            place = int.from_bytes(opened.read(8), "big")
        return place


def _packed_commit(packed: bytes) -> bytes:
    if packed[0] >> 4 & 7 != _COMMIT:
        raise UnknownError  # it is kept as a difference to another object
    at = 0
    while packed[at] & 0x80:
        at += 1
    return zlib.decompressobj().decompress(packed[at + 1 :], 4096)
