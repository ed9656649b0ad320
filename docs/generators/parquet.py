"""The reference page of the tables of Parquet, from their layout."""

from __future__ import annotations

from typing import Final

from provtel_exporters.file.parquet import TABLES, WHOLE

PAGE = "reference/parquet.md"

_INTRODUCTION: Final = """\
# Tables of Parquet

What `provtel copy .provtel runs.parquet` writes: a row for each record in `runs.parquet`, for each data point in
`runs.points.parquet`, for each log record in `runs.logs.parquet`. Columns have the names of the fields of records. What
is not known is null.

Maps are texts of JSON, for `used->>'rate'` in DuckDB and `json.loads` elsewhere. What JSON lacks is in them a map with
the key `provtel.type`: `bytes` in base64, `float` for NaN and the infinities, `json` for a map that itself looks like
one of these. A row that these columns cannot hold exactly, because a field is of another type, has all of it in
`whole`.

The tables are compressed by Zstandard. The metadata of each has `provtel.format`, which is `1`.
"""
_KINDS: Final = {
    "text": "text",
    "json": "text: JSON",
    "int": "64-bit integer",
    "time": "time in UTC, to the nanosecond",
    "bool": "boolean",
    "float": "double",
    "number": "double",
    "texts": "list of texts",
    "body": "text, where the body is one",
}
_BESIDE: Final = {
    "number": ("_int", "64-bit integer, where the value is one"),
    "body": ("_value", "text: JSON, where the body is no text"),
}
_TITLES: Final = {"records": "Records", "points": "Data points", "logs": "Log records"}


def render() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for kind, table in TABLES.items():
        parts.append(f"\n## {_TITLES[kind]}\n\n| column | type |\n|---|---|\n")
        parts += [f"| `{name}` | {_KINDS[of]}, computed |\n" for name, of in table.types.items()]
        for name, of in table.columns.items():
            parts += [f"| `{column}` | {told} |\n" for column, told in _columns(name, of)]
        parts.append(f"| `{WHOLE}` | {_KINDS['json']} |\n")
    return "".join(parts)


def _columns(name: str, kind: object) -> list[tuple[str, str]]:
    if not isinstance(kind, str):
        assert hasattr(kind, "items")
        members = ", ".join(f"`{member}` {_KINDS[of]}" for member, of in kind.items())
        return [(name, f"struct: {members}")]
    end, beside = _BESIDE.get(kind, ("", ""))
    return [(name, _KINDS[kind]), *([(name + end, beside)] if end else [])]
