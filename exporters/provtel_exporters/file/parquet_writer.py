"""The writing side of Parquet: lines beside the tables while it is written, and the tables when it is closed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from provtel_model.errors import StoreError

from provtel_exporters.file.places import pending_of
from provtel_exporters.file.tables import contents_of_table, tables_of, write_tables
from provtel_exporters.file.writer import FileWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from provtel_model.components import WriteResult
    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint


class ParquetWriter:
    """A `provtel_model.components.Writer` of tables of Parquet, which can only be written whole.

    What it takes is durable in lines of OTLP beside the table, ``.NAME.pending.jsonl``, which hold all of the store
    until `close` has written the tables: a reader reads them meanwhile, and a writer that comes after a kill goes on
    with them.

    Args:
        path: The table of records; made where it is missing.

    Raises:
        StoreError: It cannot be written, is being written by another process, or holds something else.
        UserError: pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending = pending_of(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not self._pending.exists():
                self._unpack()
            self._lines: FileWriter | None = FileWriter(self._pending)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror or error}") from None

    def write(self, records: Sequence[PlainRecord]) -> WriteResult:
        """Merge records into the store; see `provtel_model.components.Writer`."""
        return self._open.write(records)

    def write_points(self, points: Sequence[PlainPoint]) -> WriteResult:
        """Add data points of metrics."""
        return self._open.write_points(points)

    def write_logs(self, logs: Sequence[PlainLog]) -> WriteResult:
        """Add log records."""
        return self._open.write_logs(logs)

    def delete(self, runs: Sequence[str]) -> int:
        """Remove the records of runs and the log records that name them."""
        return self._open.delete(runs)

    def delete_telemetry(self, before: int) -> int:
        """Remove data points and log records from before a moment."""
        return self._open.delete_telemetry(before)

    def close(self) -> None:
        """Write the tables, and release the store; safe to call twice.

        Raises:
            StoreError: The tables cannot be written; nothing is lost, and the next writer tries again.
        """
        lines, self._lines = self._lines, None
        if lines is None:
            return
        try:
            write_tables(self._path, lines.standing())
            self._pending.unlink()
        except OSError as error:
            reason = error.strerror or error
            raise StoreError(f"{self._path} cannot be written: {reason}; all is kept in {self._pending}") from error
        finally:
            lines.close()

    @property
    def _open(self) -> FileWriter:
        if self._lines is None:
            raise StoreError(f"{self._path} was closed")
        return self._lines

    def _unpack(self) -> None:
        """Write what the tables have as lines, whole or not at all."""
        unfinished = self._pending.with_name(f"{self._pending.name}.{os.getpid()}")
        try:
            with unfinished.open("wb") as file:
                for table in tables_of(self._path):
                    for found in contents_of_table(table):
                        file.writelines(found.lines())
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._pending)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
