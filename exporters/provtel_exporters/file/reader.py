"""The reading side of a file: all of it in memory, and what comes behind it as it comes."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from provtel_model.components import Changes
from provtel_model.errors import FilterError, MalformedError, StoreError
from provtel_model.memory import Memory
from provtel_model.otlp.files import entries, is_lines, lines

from provtel_exporters.file.contents import Contents, contents_of
from provtel_exporters.file.places import PARQUET, parts_of, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from provtel_model.aggregation import Aggregation
    from provtel_model.anyvalue import AnyValue
    from provtel_model.components import Occurrence
    from provtel_model.filters import Query
    from provtel_model.otlp.files import Entry
    from provtel_model.record import Record
    from provtel_model.telemetry import PlainLog, PlainPoint, Window

_log = logging.getLogger(__name__)
T = TypeVar("T")

_LOOK_SECONDS: Final = 0.1
_TRIES: Final = 20
_BEGINNING: Final = 4096
_HEAD: Final = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One file as it was when it was looked at."""

    path: Path
    inode: int
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> Part:
        """Look at a file."""
        status = path.stat()
        return cls(path, status.st_ino, status.st_size, status.st_mtime_ns)


class FileReader:
    """A `provtel_model.components.Reader` over files of OTLP, which are read into memory.

    A last line that is not whole is left out and told in the log: its writer was interrupted, or still writes.

    Args:
        path: The file; what was put aside of it is read too.

    Raises:
        StoreError: There is no such file, or something in it is no OTLP; the text names file and line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._memory = Memory()
        self._parts: list[Part] = []
        self._end = 0
        self._lines = 0
        self._told: set[str] = set()
        self._closed = False
        if not self._found():
            raise StoreError(f"there is no file {path}; name another store")
        self._ask(lambda _: None)

    def get(self, record_id: str) -> Record | None:
        """Return the record of an id; of several with the same id and different starts the earliest."""
        return self._ask(lambda memory: memory.get(record_id))

    def find(self, query: Query) -> Sequence[Record]:
        """Return the records that a query selects, in its order."""
        return self._ask(lambda memory: memory.find(query))

    def count(self, query: Query) -> int:
        """Return how many records the query's filter matches."""
        return self._ask(lambda memory: memory.count(query))

    def aggregate(self, wanted: Aggregation) -> list[dict[str, AnyValue]]:
        """Return figures over groups of records."""
        return self._ask(lambda memory: memory.aggregate(wanted))

    def distinct(self, name: str, query: Query) -> list[AnyValue]:
        """Return the values of a field."""
        return self._ask(lambda memory: memory.distinct(name, query))

    def children(self, record_id: str) -> Sequence[Record]:
        """Return the records whose parent is `record_id`, oldest first."""
        return self._ask(lambda memory: memory.children(record_id))

    def ancestors(self, record_id: str) -> Sequence[Record]:
        """Return the parent of a record, the parent's parent and so on."""
        return self._ask(lambda memory: memory.ancestors(record_id))

    def linked(self, record_ids: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """Return the records that have a link to `record_id`, oldest first."""
        return self._ask(lambda memory: memory.linked(record_ids))

    def generated(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who generated each datum, oldest first."""
        return self._ask(lambda memory: memory.generated(data_keys))

    def generated_in(
        self, runs: Collection[str], data_keys: Collection[str]
    ) -> tuple[Mapping[str, Sequence[Occurrence]], Collection[str]]:
        """Return who generated each datum in some runs, and the keys of what was generated in others too."""
        return self._ask(lambda memory: memory.generated_in(runs, data_keys))

    def used(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who used each datum, oldest first."""
        return self._ask(lambda memory: memory.used(data_keys))

    def points(self, window: Window) -> Sequence[PlainPoint]:
        """Return the data points of a window, oldest first."""
        return self._ask(lambda memory: memory.points(window))

    def logs(self, window: Window) -> Sequence[PlainLog]:
        """Return the log records of a window, oldest first."""
        return self._ask(lambda memory: memory.logs(window))

    def changes(self, after: str | None, *, limit: int = 1000, wait: float = 0) -> Changes:
        """Return what came into the file after a cursor.

        A cursor is of one file: where that is written anew, as by a deletion, everything comes again.
        """
        end = time.monotonic() + wait
        while True:
            found = self._ask(lambda memory: self._changes(memory, after, limit))
            left = end - time.monotonic()
            if found.records or after is None or left <= 0:
                return found
            time.sleep(min(left, _LOOK_SECONDS))

    def close(self) -> None:
        """Forget what was read; safe to call twice."""
        with self._lock:
            self._closed = True
            self._memory = Memory()

    def _changes(self, memory: Memory, after: str | None, limit: int) -> Changes:
        file, _, number = (after or "").rpartition("-")
        if after and not file:
            raise FilterError(f"{after!r} is no cursor of this store; give what the answer before named as its end")
        here = self._identity()
        found = memory.changes(None if after is None else number if file == here else "", limit=limit)
        return Changes(found.records, f"{here}-{found.cursor}")

    def _identity(self) -> str:
        """Return what tells the file from another that is written in its place."""
        if not self._parts:
            return "none"
        with self._parts[0].path.open("rb") as file:
            beginning = file.read(_BEGINNING).partition(b"\n")[0]
        return f"{self._parts[0].inode:x}-{blake2b(beginning, digest_size=6).hexdigest()}"

    def _ask(self, question: Callable[[Memory], T]) -> T:
        with self._lock:
            if self._closed:
                raise StoreError(f"the file {self._path} was closed")
            for _ in range(_TRIES):
                try:
                    self._refresh()
                except FileNotFoundError:  # it was put aside, or written anew, since it was looked for
                    self._parts = []
                except OSError as error:
                    raise StoreError(f"the file {self._path} cannot be read: {error.strerror or error}") from error
                else:
                    return question(self._memory)
            raise StoreError(f"the file {self._path} is written anew faster than it can be read; try again later")

    def _found(self) -> list[Path]:
        return parts_of(self._path)

    def _refresh(self) -> None:
        """Read what came since the last look, or everything where that is not just more of the last file."""
        parts = [Part.of(path) for path in self._found()]
        if parts == self._parts:
            return
        if not self._has_grown(parts):
            self._memory = Memory()
            self._end = self._lines = 0
            for part in parts[:-1]:
                self._read(part.path)
        if parts:
            self._read_on(parts[-1].path)
        self._parts = parts

    def _has_grown(self, parts: list[Part]) -> bool:
        if not parts or not self._parts or parts[:-1] != self._parts[:-1]:
            return False
        last, now = self._parts[-1], parts[-1]
        return self._end > 0 and (last.path, last.inode) == (now.path, now.inode) and now.size >= self._end

    def _read(self, path: Path) -> None:
        if path.suffix == PARQUET:
            from provtel_exporters.file.tables import contents_of_table

            for found in contents_of_table(path):
                self._add(found)
            return
        with path.open("rb") as file:
            for entry in entries(file):
                self._take(path, entry)

    def _read_on(self, path: Path) -> None:
        """Read the last file, from where it was read to before."""
        with path.open("rb") as file:
            if path.suffix == PARQUET or (not self._end and not is_lines(file.read(_HEAD))):
                self._read(path)
                return
            file.seek(self._end)
            for entry in lines(file, self._lines, self._end):
                if not self._take(path, entry):
                    return
                self._end, self._lines = entry.end, int(entry.place.rpartition(" ")[2])

    def _take(self, path: Path, entry: Entry) -> bool:
        """Add what an entry holds; say whether it was whole."""
        if entry.torn:
            self._tell(f"{path}: {entry.place} is not whole, and is left out")
            return False
        self._add(held(path, entry))
        return True

    def _add(self, contents: Contents) -> None:
        for record in contents.records:
            self._memory.add(record)
        for point in contents.points:
            self._memory.add_point(point)
        for log in contents.logs:
            self._memory.add_log(log)

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            _log.warning("%s", text)


def held(path: Path, entry: Entry) -> Contents:
    """Return what an entry of a file holds.

    Raises:
        StoreError: It is no OTLP; the text names file and line.
    """
    error = entry.error
    if entry.batch is not None:
        try:
            return contents_of(entry.batch)
        except MalformedError as malformed:
            error = str(malformed)
    raise StoreError(f"{path}: {entry.place}: {error}")


def whole_entries(path: Path) -> Iterator[Entry]:
    """Yield the entries of a file but for a torn one at its end."""
    with path.open("rb") as file:
        yield from (entry for entry in entries(file) if not entry.torn)


def open_reader(location: str) -> FileReader:
    """Open a file for reading; an entry point of ``provtel.readers``.

    Raises:
        StoreError: There is no such file, or it is no OTLP; the text says where.
    """
    return FileReader(path_of(location))
