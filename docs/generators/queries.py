"""The reference page of questions: fields, conditions, what a store can be asked, frames, SQL; from the code."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Final

from provtel_model.fields import FIELDS
from provtel_model.filters import COMBINATORS, OPERATORS
from provtel_query import Store
from provtel_query.frames import ALWAYS, LEFT_OUT, LIBRARIES, NESTED
from provtel_query.sql import TABLES

PAGE = "reference/queries.md"

_FIELDS: Final = {
    "id": ("text", "trace id and span id; an activity has one"),
    "run": ("text", "the id of its workflow, or of its trace where it has none"),
    "kind": ("text", "`task`, `workflow`, `loop`, `iteration`, `campaign`, `annotation`, or `span` of another library"),
    "name": ("text", "what it is called"),
    "status": ("text", "`submitted`, `running`, `lost`, `finished`, `error` or `cancelled`"),
    "started_at": ("time", "when it began"),
    "ended_at": ("time", "when it ended"),
    "last_seen_at": ("time", "the last sign of life of what has not ended"),
    "duration": ("number", "seconds from start to end"),
    "used": ("map", "inputs, by role"),
    "generated": ("map", "outputs, by role"),
    "error": ("map", "`type`, `message`, `stacktrace`"),
    "telemetry": ("map", "what it cost: `cpu.user`, `cpu.system` (s), `memory.rss` (By) and the like"),
    "workflow_id": ("text", "the id of its workflow"),
    "workflow_name": ("text", "the name of its workflow"),
    "campaign_id": ("text", "the campaign of its workflow"),
    "parent_id": ("text", "the activity in which it began"),
    "plan": ("map", "the code that ran: `hash`, `function`, `file`, `line`"),
    "agent": ("map", "who: `id`, `name`, `type`, `acted_on_behalf_of`"),
    "host": ("text", "the machine"),
    "pid": ("number", "the process"),
    "rank": ("number", "the rank of MPI"),
    "tags": ("list", "texts that were said of it"),
    "attributes": ("map", "every other attribute of its span"),
    "resource": ("map", "what is known of its process"),
    "scope": ("map", "the instrumentation that told of it"),
    "events": ("list", "what happened in it: `name`, `time`, `attributes`"),
    "links": ("list", "other activities it is linked to: `trace_id`, `span_id`, `attributes`"),
    "trace_id": ("text", "32 hexadecimal digits"),
    "span_id": ("text", "16 hexadecimal digits"),
    "span_kind": ("number", "OpenTelemetry's kind of span, where it is not internal"),
    "span_status": ("number", "1 where the program said that all is well"),
    "trace_state": ("text", "the trace state of W3C"),
    "dropped": ("map", "how many attributes, events and links its sender dropped"),
}
_CONDITIONS: Final = {
    "$eq": "equal; a list where it or one of its elements is; null also where there is nothing",
    "$ne": "not equal, or missing",
    "$gt": "greater, among values of one type",
    "$gte": "greater or equal, among values of one type",
    "$lt": "less, among values of one type",
    "$lte": "less or equal, among values of one type",
    "$in": "equal to one of a list",
    "$nin": "equal to none of a list, or missing",
    "$exists": "there, even as null; with `false` not there",
    "$regex": "a text in which an expression of RE2 is found",
    "$not": "a condition that does not hold",
    "$and": "all filters of a list hold",
    "$or": "one filter of a list holds",
}
_METHODS: Final = (
    *("tasks", "workflows", "records", "campaigns", "entities", "agents", "get", "children", "count", "distinct"),
    *("page", "aggregate", "frame", "sql", "lineage", "path", "diff", "points", "logs"),
    *("annotate", "annotations", "annotated", "prov", "openlineage", "crate"),
)


_INTRODUCTION: Final = """\
# Questions

What `provtel.connect()` returns can be asked this, and gives the same answers whatever kind of store it is. The
commands take the same fields and conditions. [How to ask questions](../how-to/ask-questions.md) has examples.

## Fields

Paths lead into maps and lists: `used.lr`, `error.type`, `events.0.name`. A field that is not in this table is an error.

| field | type | meaning |
|---|---|---|
"""
_ON_CONDITIONS: Final = """
## Conditions

A filter is a map of fields and values, or of fields and maps of these operators; they mean what they mean in MongoDB.
An unknown operator is an error.

| operator | holds where the value is |
|---|---|
"""
_ON_METHODS: Final = """
## What a store can be asked

`help(store.tasks)` tells each argument.

| method | answer |
|---|---|
"""
_ON_FRAMES: Final = """
## Frames

`store.frame(…)` returns tasks, and `provtel_query.frame(answer)` any answer, as a frame of {libraries} (`library=`). A
row is a record. The members of {nested} are columns such as `used.lr`. {left_out} are columns only where `columns=`
names them. Always there are {always}.

| values of a column | type |
|---|---|
| truth values; texts; bytes | boolean; text; binary |
| whole numbers of 64 bits | 64-bit integer, in pandas `Int64` |
| doubles, and whole numbers among them that a double holds | double |
| times | time in UTC, to the nanosecond |
| lists of texts | list of texts |
| anything else: mixed, nested, too large | text: JSON; the column has `provtel.encoding: json` in Arrow |

## SQL

`store.sql(select)` and `provtel sql` ask DuckDB. The members of a map are members of a struct: `used.lr`,
`telemetry."cpu.user"`; names that differ by case alone are numbered. A table that is named is read into memory first.
Nothing else can be reached: no file and no network.

| table | columns that are always there |
|---|---|
"""


def render() -> str:
    """Return the page."""
    assert _FIELDS.keys() == FIELDS, _FIELDS.keys() ^ FIELDS
    assert _CONDITIONS.keys() == {*OPERATORS, *COMBINATORS}
    rows = [_INTRODUCTION]
    rows += [f"| `{name}` | {kind} | {meaning} |\n" for name, (kind, meaning) in _FIELDS.items()]
    rows.append(_ON_CONDITIONS)
    rows += [f"| `{name}` | {meaning} |\n" for name, meaning in _CONDITIONS.items()]
    rows.append(_ON_METHODS)
    rows += map(_method, _METHODS)
    rows.append(
        _ON_FRAMES.format(
            libraries=_names(LIBRARIES), nested=_names(NESTED), left_out=_names(sorted(LEFT_OUT)), always=_names(ALWAYS)
        )
    )
    rows += [f"| `{name}` | {_names(table.columns)} |\n" for name, table in TABLES.items()]
    return "".join(rows)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _method(name: str) -> str:
    method = getattr(Store, name)
    summary = (inspect.getdoc(method) or "").partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    parameters = [parameter for parameter in inspect.signature(method).parameters if parameter != "self"]
    return f"| `{name}({', '.join(parameters)})` | {summary} |\n"
