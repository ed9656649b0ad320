"""Answers as frames: of pandas, of Polars, or tables of Arrow.

A record becomes a row. Its columns bear the names that filters have for its fields: ``name``, ``duration``,
``used.lr``, ``error.type``, ``telemetry.cpu.user``. A column has one type, which all its values decide:

- truth values, whole numbers of 64 bits, doubles, texts, bytes; whole numbers among doubles are doubles where that
  changes none of them
- times: of a nanosecond, in UTC; lengths of time: seconds
- anything else, mixed, nested or too large: JSON texts, as `provtel_query.friendly` writes values, with
  ``provtel.encoding: json`` in the metadata of the column

What is not there is null. The fields `LEFT_OUT` are no columns unless they are asked for.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from provtel_model.errors import FilterError, UserError
from provtel_model.extras import need_packages
from provtel_model.fields import TIME_FIELDS, check_field, values_at, with_computed
from provtel_model.record import Record

from provtel_query.friendly import as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Library: TypeAlias = Literal["pandas", "polars", "arrow"]
Row: TypeAlias = "Mapping[str, Any]"

LIBRARIES: Final = ("pandas", "polars", "arrow")
NESTED: Final = ("used", "generated", "telemetry", "attributes", "error", "plan", "agent")
"""The fields whose members are columns."""
LEFT_OUT: Final = frozenset({"resource", "scope", "events", "links", "dropped", "span_kind", "trace_state"})
"""The fields that are columns only where they are asked for."""
ENCODING: Final = b"provtel.encoding"
ALWAYS: Final = (
    *("id", "run", "kind", "name", "status", "started_at", "ended_at", "duration", "workflow_id", "workflow_name"),
    "parent_id",
)
"""The columns of records that are there even where no record has anything in them."""
TIMES: Final = TIME_FIELDS | {"first_at"}
"""The columns of moments."""
_LARGEST_EXACT: Final = 2**53
_INTEGERS: Final = range(-(2**63), 2**63)


def frame(answer: Iterable[Record | Row], library: Library = "pandas", columns: Sequence[str] | None = None) -> Any:
    """Return an answer as a frame.

    Args:
        answer: Records, or maps such as `Store.aggregate` and `Store.entities` return.
        library: ``pandas``, ``polars`` or ``arrow``.
        columns: The columns, in order: fields of records, dotted paths included, or keys of the maps; by default all
            that the answer has.

    Raises:
        FilterError: A column is no field.
        UserError: The library is unknown or not installed.
    """
    _check_library(library)
    return converted(arrow_table(answer, columns), library)


def arrow_table(answer: Iterable[Record | Row], columns: Sequence[str] | None = None) -> Any:
    """Return an answer as a table of Arrow; see `frame`."""
    need_packages("a frame", "frames", "pyarrow")
    import pyarrow as pa

    rows, names = flat(answer, columns)
    arrays = [_array(name, [row.get(name) for row in rows]) for name in names]
    return pa.table(
        [array for array, _ in arrays],
        schema=pa.schema(
            [
                pa.field(name, array.type, metadata={ENCODING: b"json"} if is_json else None)
                for name, (array, is_json) in zip(names, arrays, strict=True)
            ]
        ),
    )


def flat(
    answer: Iterable[Record | Row], columns: Sequence[str] | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return an answer as rows without nesting, their values in AnyValue form, and the names of the columns.

    Raises:
        FilterError: A column is no field of a record.
    """
    found = [*answer]
    are_records = all(isinstance(item, Record) for item in found)
    if columns is not None and found and are_records:
        for column in columns:
            check_field(column)
    rows = [_of_record(item, columns) if isinstance(item, Record) else dict(item) for item in found]
    if columns is not None:
        return rows, [*dict.fromkeys(columns)]
    first = ALWAYS if are_records else ()
    names = dict.fromkeys([*first, *(name for row in rows for name in row)])
    return rows, [*names]


def converted(table: Any, library: Library) -> Any:
    """Return a table of Arrow as a frame of a library.

    Numbers that may be missing stay whole in pandas: their columns are of its nullable types.

    Raises:
        UserError: The library is unknown or not installed.
    """
    _check_library(library)
    if library == "arrow":
        return table
    try:
        found: Any = import_module(library)
    except ModuleNotFoundError as error:
        raise UserError(f"a frame of {library} needs {error.name}; run: pip install {error.name}") from error
    if library == "polars":
        return found.from_arrow(table)
    import pyarrow as pa

    nullable = {pa.int64(): found.Int64Dtype(), pa.bool_(): found.BooleanDtype(), pa.string(): found.StringDtype()}
    return table.to_pandas(types_mapper=nullable.get)


def text_of(value: Any) -> str:
    """Return a value that is in no column of its own kind, as JSON."""
    return json.dumps(as_json(value), ensure_ascii=False)


def _check_library(library: str) -> None:
    if library not in LIBRARIES:
        raise FilterError(f"unknown library {library!r} for frames; there are {', '.join(LIBRARIES)}")


def _of_record(record: Record, columns: Sequence[str] | None) -> dict[str, Any]:
    plain = with_computed(record.plain)
    if columns is not None:
        return {column: _at(plain, column) for column in columns}
    row: dict[str, Any] = {}
    for name, value in plain.items():
        if name in NESTED and isinstance(value, dict):
            row.update((f"{name}.{key}", item) for key, item in value.items())
        elif name not in LEFT_OUT:
            row[name] = value
    return row


def _at(plain: dict[str, Any], column: str) -> Any:
    """Return the value at a path; a list where there are several."""
    found = [*values_at(plain, tuple(column.split(".")))]
    return found if len(found) > 1 else next(iter(found), None)


def _array(name: str, values: list[Any]) -> tuple[Any, bool]:
    """Return a column of Arrow, and whether it has JSON texts."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if name in TIMES and kinds <= {int} and all(value is None or value in _INTEGERS for value in values):
        return pa.array(values, pa.timestamp("ns", "UTC")), False
    if not kinds:
        return pa.array(values, pa.float64() if name == "duration" else pa.string() if name in ALWAYS else None), False
    try:
        if len(kinds) == 1 and kinds <= {bool, float, str, bytes}:
            return pa.array(values), False
        if kinds == {int}:
            return pa.array(values, pa.int64()), False
        if kinds == {int, float} and all(abs(value) <= _LARGEST_EXACT for value in values if type(value) is int):
            return pa.array(values, pa.float64()), False
        if kinds == {list} and all(type(item) is str for value in values if value for item in value):
            return pa.array(values, pa.list_(pa.string())), False
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):  # too large, or half characters
        pass
    return pa.array([None if value is None else text_of(value) for value in values], pa.string()), True
