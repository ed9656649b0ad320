"""Tables of Parquet, written whole and read a part at a time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, cast

from provtel_model.errors import MalformedError, StoreError
from provtel_model.telemetry import check_observation

from provtel_exporters.file.contents import Contents, check_record
from provtel_exporters.file.parquet import TABLES, Table, arrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_RECORDS: Final = "records"
_WRITE_ROWS: Final = 20_000
_READ_ROWS: Final = 1000


def tables_of(path: Path) -> list[Path]:
    """Return the tables that there are of a store."""
    return [found for table in TABLES.values() if (found := table.path(path)).exists()]


def write_tables(path: Path, contents: Iterable[Contents]) -> None:
    """Write tables, and put them in the place of the old ones when all are on the disk; of records there is always one.

    Raises:
        OSError: They cannot be written, and the old ones are as they were.
        UserError: pyarrow is not installed.
    """
    files = {kind: _File(table, path, kind) for kind, table in TABLES.items()}
    try:
        for some in contents:
            for kind, file in files.items():
                file.add(getattr(some, kind))
        for kind, file in files.items():
            file.finish(always=kind == _RECORDS)
    except BaseException:
        for file in files.values():
            file.abandon()
        raise
    for file in files.values():
        file.take_place()


class _File:
    """A table that is being written."""

    def __init__(self, table: Table, records: Path, kind: str) -> None:
        self._table = table
        self._schema = table.schema()
        self._target = table.path(records)
        self._unfinished = records.with_name(f".{records.name}.{kind}.{os.getpid()}")
        self._rows: list[dict[str, Any]] = []
        self._writer: Any = None

    def add(self, plains: list[Any]) -> None:
        self._rows += map(self._table.row, plains)
        if len(self._rows) >= _WRITE_ROWS:
            self._write()

    def finish(self, *, always: bool) -> None:
        if self._rows or (always and self._writer is None):
            self._write()
        if self._writer is not None:
            self._writer.close()
            with self._unfinished.open("rb") as file:
                os.fsync(file.fileno())

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._unfinished.unlink(missing_ok=True)

    def take_place(self) -> None:
        if self._writer is not None:
            self._unfinished.replace(self._target)
        else:
            self._target.unlink(missing_ok=True)

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        if self._writer is None:
            self._writer = _parquet().ParquetWriter(self._unfinished, self._schema, compression="zstd")
        self._writer.write_table(arrow().Table.from_pylist(rows, self._schema))


def contents_of_table(path: Path) -> Iterator[Contents]:
    """Yield what a table holds, a part at a time.

    Raises:
        StoreError: It is no table of these, or a row of it is none; the text names file and row.
        UserError: pyarrow is not installed.
    """
    kind = max(
        (kind for kind in TABLES if path.name.endswith(TABLES[kind].end)), key=lambda kind: len(TABLES[kind].end)
    )
    table = TABLES[kind]
    number = 0
    try:
        with _parquet().ParquetFile(path) as file:
            names = table.schema().names
            if missing := set(names) - set(file.schema_arrow.names):
                raise StoreError(f"{path} is no table of provtel: it has no column {min(missing)}")
            for batch in file.iter_batches(_READ_ROWS, columns=names):
                rows = _with_numbers(batch).to_pylist()
                yield _contents(path, kind, table, rows, number)
                number += len(rows)
    except arrow().ArrowException as error:
        raise StoreError(f"{path} cannot be read as Parquet: {error}") from None


def _contents(path: Path, kind: str, table: Table, rows: list[dict[str, Any]], before: int) -> Contents:
    found = Contents()
    plains: list[Any] = getattr(found, kind)
    for number, row in enumerate(rows, before + 1):
        try:
            plain = table.plain(row)
            _check(kind, plain)
        except (MalformedError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path}: row {number}: {error}") from None
        plains.append(plain)
    return found


def _check(kind: str, plain: dict[str, Any]) -> None:
    if kind == _RECORDS:
        check_record(cast("Any", plain))
    else:
        check_observation(plain)


def _with_numbers(batch: Any) -> Any:
    """Return a batch whose times are numbers: as Python's times they would lose nanoseconds."""
    pa = arrow()
    nanoseconds = pa.timestamp("ns", "UTC")
    columns = [
        column.cast(nanoseconds).cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _parquet() -> Any:
    arrow()
    import pyarrow.parquet as pq

    return pq
