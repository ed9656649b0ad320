"""Records, data points and log records as tables of Parquet: a column for what everybody asks for, JSON for the rest.

``x.parquet`` has the records, ``x.points.parquet`` and ``x.logs.parquet`` beside it the others where there are any.
Maps are JSON texts, as `provtel_exporters.file.json_values` writes them. What does not fit the columns exactly is in
the column `whole`, as JSON, and what is in the others is then for those who ask the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from provtel_model.errors import MalformedError
from provtel_model.extras import need_packages
from provtel_model.fields import with_computed
from provtel_model.telemetry import observation_id

from provtel_exporters.file import json_values

if TYPE_CHECKING:
    from pathlib import Path


SUFFIX: Final = ".parquet"
WHOLE: Final = "whole"
_LAST: Final = 2**63 - 1
_FORMAT: Final = {b"provtel.format": b"1"}

Members: TypeAlias = Mapping[str, str]

ERROR: Final[Members] = {"type": "text", "message": "text", "stacktrace": "text"}
PLAN: Final[Members] = {"hash": "text", "function": "text", "file": "text", "line": "int"}
AGENT: Final[Members] = {"id": "text", "name": "text", "type": "text", "acted_on_behalf_of": "text"}

_ORIGIN: Final[Mapping[str, str | Members]] = {
    "host": "text",
    "pid": "int",
    "rank": "int",
    "resource": "json",
    "scope": "json",
}
RECORDS: Final[Mapping[str, str | Members]] = {
    "trace_id": "text",
    "span_id": "text",
    "parent_id": "text",
    "kind": "text",
    "name": "text",
    "status": "text",
    "workflow_id": "text",
    "workflow_name": "text",
    "campaign_id": "text",
    "started_at": "time",
    "ended_at": "time",
    "last_seen_at": "time",
    "used": "json",
    "generated": "json",
    "error": ERROR,
    "plan": PLAN,
    "agent": AGENT,
    "telemetry": "json",
    "tags": "texts",
    "attributes": "json",
    "events": "json",
    "links": "json",
    "span_kind": "int",
    "trace_state": "text",
    "dropped": "json",
    **_ORIGIN,
}
POINTS: Final[Mapping[str, str | Members]] = {
    "name": "text",
    "kind": "text",
    "unit": "text",
    "description": "text",
    "time": "time",
    "started_at": "time",
    "value": "number",
    "temporality": "text",
    "monotonic": "bool",
    "distribution": "json",
    "attributes": "json",
    "exemplars": "json",
    "flags": "int",
    **_ORIGIN,
}
LOGS: Final[Mapping[str, str | Members]] = {
    "time": "time",
    "observed_at": "time",
    "severity": "int",
    "severity_text": "text",
    "name": "text",
    "body": "body",
    "trace_id": "text",
    "span_id": "text",
    "attributes": "json",
    "dropped": "int",
    "flags": "int",
    **_ORIGIN,
}


class _UnfitError(Exception):
    """A value that its column cannot hold exactly."""


@dataclass(frozen=True, slots=True)
class Table:
    """One of the tables.

    Args:
        end: What its file ends in.
        columns: The kind of each column, or of each of its members, by the field that it holds.
        computed: Returns what is computed for those who ask the table, and not read back.
        types: The types of these.
    """

    end: str
    columns: Mapping[str, str | Members]
    computed: Callable[[Any], dict[str, Any]]
    types: Mapping[str, str]

    def path(self, records: Path) -> Path:
        """Return where it is, beside the table of records."""
        return records.with_name(records.name.removesuffix(SUFFIX) + self.end)

    def schema(self) -> Any:
        """Return its schema."""
        pa = arrow()
        fields = [pa.field(name, _type(kind)) for name, kind in self.types.items()]
        for name, kind in self.columns.items():
            fields += [pa.field(part, of) for part, of in _parts(name, kind)]
        return pa.schema([*fields, pa.field(WHOLE, pa.string())], metadata=_FORMAT)

    def row(self, plain: Any) -> dict[str, Any]:
        """Return a plain form as a row."""
        row: dict[str, Any] = {}
        exact = plain.keys() <= self.columns.keys()
        for name, kind in self.columns.items():
            if name in plain:
                try:
                    row |= _put(name, kind, plain[name])
                except _UnfitError:
                    exact = False
        if not exact:
            row[WHOLE] = json_values.to_json(plain)
        return row | self.computed(plain)

    def plain(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plain form that a row holds.

        Raises:
            MalformedError: It holds none.
        """
        if row.get(WHOLE) is not None:
            found = json_values.from_json(row[WHOLE])
            if not isinstance(found, dict):
                raise MalformedError("its column whole has no map")
            return cast("dict[str, Any]", found)
        plain: dict[str, Any] = {}
        for name, kind in self.columns.items():
            _take(plain, name, kind, row)
        return plain


def _of_record(plain: Any) -> dict[str, Any]:
    computed = with_computed(plain)
    return {"id": computed["id"], "run": computed["run"], "duration": computed.get("duration")}


TABLES: Final = {
    "records": Table(SUFFIX, RECORDS, _of_record, {"id": "text", "run": "text", "duration": "float"}),
    "points": Table(".points" + SUFFIX, POINTS, lambda plain: {"id": observation_id(plain)}, {"id": "text"}),
    "logs": Table(".logs" + SUFFIX, LOGS, lambda plain: {"id": observation_id(plain)}, {"id": "text"}),
}


def _put(name: str, kind: str | Members, value: Any) -> dict[str, Any]:
    """Return the cells of a value.

    Raises:
        _UnfitError: The column cannot hold it exactly.
    """
    if not isinstance(kind, str):
        if type(value) is not dict or not value.keys() <= kind.keys():
            raise _UnfitError
        return {name: {member: _scalar(kind[member], item) for member, item in value.items()}}
    if kind == "json":
        return {name: json_values.to_json(value)}
    if kind == "body":
        return {name: value} if type(value) is str else {f"{name}_value": json_values.to_json(value)}
    if kind == "number" and type(value) is int:
        return {name: float(value), f"{name}_int": _scalar("int", value)}
    if kind == "texts":
        if type(value) is not list:
            raise _UnfitError
        return {name: [_scalar("text", item) for item in value]}
    return {name: _scalar(kind, value)}


_PYTHON: Final = {"text": str, "int": int, "time": int, "bool": bool, "number": float, "float": float}


def _scalar(kind: str, value: Any) -> Any:
    if type(value) is not _PYTHON[kind] or (type(value) is int and not -_LAST <= value <= _LAST):
        raise _UnfitError
    if kind == "number" and value != value:  # what a NaN holds besides is not sure to survive  # noqa: PLR0124
        raise _UnfitError
    return value


def _take(plain: dict[str, Any], name: str, kind: str | Members, row: Mapping[str, Any]) -> None:
    """Put the value of a column into a plain form, where there is one."""
    value = row[name]
    if kind == "body" and value is None:
        value = row[f"{name}_value"]
        kind = "json"
    if kind == "number" and row[f"{name}_int"] is not None:
        value = row[f"{name}_int"]
    if value is None:
        return
    if kind == "json":
        plain[name] = json_values.from_json(value)
    elif isinstance(kind, str):
        plain[name] = value
    else:
        plain[name] = {member: item for member, item in value.items() if item is not None}


def _parts(name: str, kind: str | Members) -> list[tuple[str, Any]]:
    """Return the columns of a field."""
    pa = arrow()
    if kind == "body":
        return [(name, pa.string()), (f"{name}_value", pa.string())]
    if kind == "number":
        return [(name, pa.float64()), (f"{name}_int", pa.int64())]
    return [(name, _type(kind))]


def _type(kind: str | Members) -> Any:
    pa = arrow()
    if not isinstance(kind, str):
        return pa.struct([(name, _type(of)) for name, of in kind.items()])
    return {
        "text": pa.string(),
        "json": pa.string(),
        "int": pa.int64(),
        "time": pa.timestamp("ns", "UTC"),
        "bool": pa.bool_(),
        "float": pa.float64(),
        "texts": pa.list_(pa.string()),
    }[kind]


def arrow() -> Any:
    """Return pyarrow.

    Raises:
        UserError: It is not installed.
    """
    need_packages("Parquet", "frames", "pyarrow")
    import pyarrow as pa

    return pa
