"""The writing side of a file: adds lines of OTLP, each record only where it moves on what the file has."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provtel_model.components import WriteResult
from provtel_model.errors import PermanentError, RetryableError, StoreError
from provtel_model.merge import merge
from provtel_model.otlp.files import is_lines, lines
from provtel_model.record import key_of, record_id, run_of
from provtel_model.telemetry import check_observation, observation_id, records_of

from provtel_exporters.file.contents import Contents, check_record, packed
from provtel_exporters.file.places import PARQUET, parts_of, path_of
from provtel_exporters.file.reader import held, whole_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from provtel_model.record import Key, PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint

    from provtel_exporters.file.parquet_writer import ParquetWriter

_DIGEST: Final = 16
_HEAD: Final = 8
_PACKED: Final = frozenset({".gz", ".zst"})
_FAILURES: Final = (ValueError, KeyError, TypeError, AttributeError, OverflowError)


class _Standing(NamedTuple):
    """Which copy of a record stands, and where it is."""

    digest: bytes
    part: int
    offset: int


class FileWriter:
    """A `provtel_model.components.Writer` over a file that only grows, by one process.

    It keeps about 200 bytes in memory for each record, to know what the file has.

    Args:
        path: The file; made where it is missing. What was put aside of it is known too.

    Raises:
        StoreError: It cannot be written, is being written by another process, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._size = 0
        self._parts: list[Path] = []
        self._standing: dict[bytes, _Standing] = {}
        self._observed: set[bytes] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            self.close()
            raise StoreError(f"{path} cannot be written: {error.strerror or error}") from None
        except BaseException:
            self.close()
            raise

    def write(self, records: Sequence[PlainRecord]) -> WriteResult:
        """Merge records into the file; see `provtel_model.components.Writer`."""
        try:
            for plain in records:
                check_record(plain)
            with self._lock:
                return self._merge(records)
        except _FAILURES as error:
            raise PermanentError(f"a record cannot be stored: {error!r}") from error

    def write_points(self, points: Sequence[PlainPoint]) -> WriteResult:
        """Add data points of metrics."""
        with self._lock:
            fresh, ids = self._fresh(points)
            return self._observe(Contents(points=fresh), ids, len(points))

    def write_logs(self, logs: Sequence[PlainLog]) -> WriteResult:
        """Add log records."""
        with self._lock:
            fresh, ids = self._fresh(logs)
            return self._observe(Contents(logs=fresh), ids, len(logs))

    def delete(self, runs: Sequence[str]) -> int:
        """Write the files anew without the records of runs and the log records that name them."""
        wanted = set(runs)
        with self._lock:
            doomed: set[bytes] = set()
            ids: set[str] = set()
            for plain in chain.from_iterable(map(_records, self._parts)):
                name = _name(key_of(plain))
                if run_of(plain) in wanted and self._standing[name].digest == _digest(plain):
                    doomed.add(name)
                    ids.add(record_id(plain["trace_id"], plain["span_id"]))
            if doomed:
                self._rewrite(
                    lambda plain: _name(key_of(plain)) not in doomed,
                    lambda _: True,
                    lambda log: not (records_of(log) & ids),
                )
            return len(doomed)

    def delete_telemetry(self, before: int) -> int:
        """Write the files anew without data points and log records from before a moment."""
        with self._lock:
            known = len(self._observed)
            self._rewrite(lambda _: True, lambda point: point["time"] >= before, lambda log: log["time"] >= before)
            return known - len(self._observed)

    def standing(self) -> Iterator[Contents]:
        """Yield what the file has, each record once, as the copy that stands."""
        given: set[bytes] = set()
        for path in self._parts:
            for entry in whole_entries(path):
                found = held(path, entry)
                named = [(_name(key_of(plain)), plain) for plain in found.records]
                standing = {
                    name: plain
                    for name, plain in named
                    if name not in given and self._standing[name].digest == _digest(plain)
                }
                given |= standing.keys()
                found.records = list(standing.values())
                yield found

    def close(self) -> None:
        """Release the file; safe to call twice."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{self._path} is being written by somebody else; a file has one writer") from None
        if not is_lines(os.pread(self._descriptor, _HEAD, 0)):
            raise StoreError(f"{self._path} holds something else than lines of OTLP in JSON; name another file")
        self._parts = parts_of(self._path)
        self._standing.clear()
        self._observed.clear()
        self._size = 0
        for number, path in enumerate(self._parts):
            for entry in whole_entries(path):
                self._note(held(path, entry), number, entry.start)
                self._size = entry.end
        if not self._parts or self._parts[-1] != self._path:
            self._parts.append(self._path)
        os.ftruncate(self._descriptor, self._size)  # what was not written whole was promised to nobody

    def _note(self, contents: Contents, part: int, offset: int) -> None:
        """Know what an entry has."""
        for plain in contents.records:
            name, digest = _name(key_of(plain)), _digest(plain)
            known = self._standing.get(name)
            if known is None or (known.digest != digest and self._stands(plain, name, known)):
                self._standing[name] = _Standing(digest, part, offset)
        self._observed.update(map(_short, contents.points))
        self._observed.update(map(_short, contents.logs))

    def _stands(self, plain: PlainRecord, name: bytes, known: _Standing) -> bool:
        return merge(self._load(name, known), plain) is plain

    def _load(self, name: bytes, known: _Standing) -> PlainRecord:
        """Return the copy that stands, from where it is."""
        path = self._parts[known.part]
        with path.open("rb") as file:
            compressed = not is_lines(file.read(_HEAD))
            file.seek(known.offset)
            found = whole_entries(path) if compressed else lines(file, 0, known.offset)
            for entry in found:
                for plain in held(path, entry).records:
                    if _name(key_of(plain)) == name and _digest(plain) == known.digest:
                        return plain
        raise StoreError(f"{path} was changed by somebody else; open it again")

    def _merge(self, records: Sequence[PlainRecord]) -> WriteResult:
        fresh: dict[bytes, PlainRecord] = {}
        stored = 0
        for plain in records:
            name = _name(key_of(plain))
            before = fresh.get(name)
            known = self._standing.get(name)
            if before is None and known is not None and known.digest != _digest(plain):
                before = self._load(name, known)
            moved = merge(before, plain) is not before if before is not None else known is None
            if moved:
                fresh[name] = plain
                stored += 1
        offset = self._append(Contents(records=list(fresh.values())))
        part = len(self._parts) - 1
        self._standing.update((name, _Standing(_digest(plain), part, offset)) for name, plain in fresh.items())
        return WriteResult(stored, len(records) - stored)

    def _fresh(self, plains: Iterable[Any]) -> tuple[list[Any], set[bytes]]:
        fresh: dict[bytes, Any] = {}
        for plain in plains:
            try:
                check_observation(plain)
                name = _short(plain)
            except _FAILURES as error:
                raise PermanentError(f"it cannot be stored: {error!r}") from error
            if name not in self._observed:
                fresh.setdefault(name, plain)
        return list(fresh.values()), set(fresh)

    def _observe(self, contents: Contents, ids: set[bytes], given: int) -> WriteResult:
        self._append(contents)
        self._observed |= ids
        return WriteResult(len(ids), given - len(ids))

    def _append(self, contents: Contents) -> int:
        """Add lines; return where they begin when they are on the disk."""
        if self._descriptor is None:
            raise RetryableError(f"{self._path} was closed")
        begin = self._size
        content = b"".join(contents.lines())
        if not content:
            return begin
        try:
            _write(self._descriptor, content)
            os.fsync(self._descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, begin)
            raise RetryableError(f"{self._path} cannot be written: {error.strerror or error}") from error
        self._size += len(content)
        return begin

    def _rewrite(
        self,
        keep_record: Callable[[PlainRecord], bool],
        keep_point: Callable[[PlainPoint], bool],
        keep_log: Callable[[PlainLog], bool],
    ) -> None:
        """Write each file anew with a part of what it has, and put it in the place of the old one when it is whole."""
        for path in self._parts:
            unfinished = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                with unfinished.open("wb") as file:
                    for entry in whole_entries(path):
                        found = held(path, entry)
                        found.records = list(filter(keep_record, found.records))
                        found.points = list(filter(keep_point, found.points))
                        found.logs = list(filter(keep_log, found.logs))
                        file.writelines(found.lines())
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(path)
            except OSError as error:
                unfinished.unlink(missing_ok=True)
                raise RetryableError(f"{path} cannot be written anew: {error.strerror or error}") from error
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._open()


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _records(path: Path) -> Iterable[PlainRecord]:
    for entry in whole_entries(path):
        yield from held(path, entry).records


def _name(key: Key) -> bytes:
    return blake2b(f"{key.id} {key.started_at}".encode(), digest_size=_DIGEST).digest()


def _digest(plain: PlainRecord) -> bytes:
    return blake2b(packed(plain), digest_size=_DIGEST).digest()


def _short(plain: PlainPoint | PlainLog) -> bytes:
    return bytes.fromhex(observation_id(plain))[:_DIGEST]


def open_writer(location: str) -> FileWriter | ParquetWriter:
    """Open a file for writing, and make it where it is missing; an entry point of ``provtel.writers``.

    Raises:
        StoreError: It cannot be written, or holds something else.
    """
    path = path_of(location)
    if path.suffix == PARQUET:
        from provtel_exporters.file.parquet_writer import ParquetWriter

        return ParquetWriter(path)
    if path.suffix in _PACKED:
        raise StoreError(f"{path} is compressed, and nothing can be added to it; write {path.with_suffix('')}")
    return FileWriter(path)
