"""Answers in the form that was asked for: a table for people, JSON or CSV for programs, a file of Parquet."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provtel_cli import options
from provtel_cli.output import console, note, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provtel_cli.table import Cell


@dataclass(frozen=True, slots=True)
class Form:
    """The form that the options ask for.

    Args:
        as_json: One JSON object a line.
        as_csv: CSV with a line of names.
        parquet: The file of Parquet to write.
        columns: The columns; ``None`` where none were named.
    """

    as_json: bool
    as_csv: bool
    parquet: Path | None
    columns: list[str] | None

    def give(self, rows: Sequence[Any], default: Sequence[str], cells: dict[str, Cell] | None = None) -> None:
        """Print an answer, or write it.

        Args:
            rows: Records, or maps that all have the same keys first.
            default: The columns of a table for people, where none were named.
            cells: How further columns of such a table are made.

        Raises:
            FilterError: A column is no field.
            UserError: A package that Parquet needs is not installed.
        """
        if self.parquet is not None:
            self._write(self.parquet, rows)
        elif self.as_csv:
            self._print_csv(rows)
        elif self.as_json:
            print_json(self._objects(rows))
        else:
            self._print_table(rows, self.columns or default, cells)

    def _objects(self, rows: Sequence[Any]) -> list[Any]:
        from provtel_query.frames import flat
        from provtel_query.friendly import record_as_json

        if self.columns is None and all(map(_is_record, rows)):
            return [record_as_json(row) for row in rows]
        found, names = flat(rows, self.columns)
        return [{name: _json(name, row.get(name)) for name in names} for row in found]

    def _print_csv(self, rows: Sequence[Any]) -> None:
        from provtel_query.frames import flat

        found, names = flat(rows, self.columns)
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(name, row.get(name)) for name in names] for row in found)

    def _write(self, path: Path, rows: Sequence[Any]) -> None:
        from provtel_model.extras import need_packages
        from provtel_query.frames import arrow_table

        need_packages("Parquet", "frames", "pyarrow.parquet")
        import pyarrow.parquet as pq

        unfinished = path.with_name(f".{path.name}.unfinished")
        try:
            pq.write_table(arrow_table(rows, self.columns), unfinished)
            unfinished.replace(path)
        except OSError as error:
            raise click.ClickException(f"{path} cannot be written: {error}") from error
        finally:
            unfinished.unlink(missing_ok=True)
        note(f"{len(rows)} rows written to {path}")

    def _print_table(self, rows: Sequence[Any], columns: Sequence[str], cells: dict[str, Cell] | None) -> None:
        from provtel_cli.table import plain_table, records_table

        if all(map(_is_record, rows)):
            console().print(records_table(rows, columns, cells))
        else:
            console().print(plain_table([[_shown(name, row.get(name)) for name in columns] for row in rows], columns))


def answers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose a form; the command is given it as `form`."""
    from functools import wraps

    @wraps(command)
    def with_form(*, as_json: bool, as_csv: bool, parquet: Path | None, columns: str | None, **others: Any) -> Any:
        if sum((as_json, as_csv, parquet is not None)) > 1:
            raise click.UsageError("--json, --csv and --parquet exclude each other")
        names = None if columns is None else [name.strip() for name in columns.split(",") if name.strip()]
        return command(form=Form(as_json, as_csv, parquet, names), **others)

    for option in (
        click.option(
            "--parquet",
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Write a file of Parquet.",
        ),
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with a line of names."),
        options.json_option,
        click.option("--columns", metavar="FIELDS", help="Only these columns, by commas: fields, such as used.lr."),
    ):
        with_form = option(with_form)
    return with_form


def _is_record(row: Any) -> bool:
    from provtel_model.record import Record

    return isinstance(row, Record)


def _json(name: str, value: Any) -> Any:
    from provtel_query.frames import TIMES
    from provtel_query.friendly import as_json

    if name in TIMES and isinstance(value, int):
        return _moment(value)
    return as_json(value)


def _cell(name: str, value: Any) -> str:
    """Return a value as a cell of CSV."""
    import json

    found = _json(name, value)
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _shown(name: str, value: Any) -> str:
    from provtel_query.text import cut, value_text

    from provtel_cli.table import VALUE_WIDTH

    found = _json(name, value)
    if found is None:
        return ""
    return cut(found, VALUE_WIDTH) if isinstance(found, str) else value_text(value, VALUE_WIDTH)


def _moment(nanoseconds: int) -> str:
    from provtel_model.record import instant

    return instant(nanoseconds).isoformat()


def rows_of(table: Any) -> list[dict[str, Any]]:
    """Return the rows of a table of Arrow, their times as texts."""
    import pyarrow as pa

    columns: dict[str, list[Any]] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        is_time = pa.types.is_timestamp(column.type)
        found = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64()) if is_time else column
        columns[name] = [_moment(item) if is_time and item is not None else _plain(item) for item in found.to_pylist()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    """Return what DuckDB answers as JSON has it."""
    from decimal import Decimal

    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if value is None or isinstance(value, bool | int | float | str | bytes) else str(value)
