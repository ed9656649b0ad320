"""Records and queries for the tests of stores: drawn from small pools, so that they meet each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import ormsgpack
from hypothesis import strategies as st
from provtel_model.anyvalue import TYPE_KEY
from provtel_model.attributes import SCOPE_NAME
from provtel_model.filters import Query
from provtel_model.merge import merge
from provtel_model.record import Key, PlainRecord, key_of, record_id

from tests.model.strategies import ANY_VALUES, TEXT

TRACES = ["0" * 31 + "1", "f" * 32, "0123456789abcdef0123456789abcdef"]
SPANS = ["00000000000000a1", "00000000000000a2", "b" * 16, "f" * 16]
IDS = [record_id(trace, span) for trace in TRACES for span in SPANS]
STARTS = [0, 1, 2, 1_790_000_000_000_000_000, 1_790_000_000_000_000_001, 2**63]
STATES = ["submitted", "running", "lost", "finished", "error", "cancelled"]
NAMES = ["train", "evaluate", "", "a name with spaces, ünïcode and 'quotes'", "x" * 600]
RUNS = [IDS[0], IDS[5], "my run", "a:b", ""]
_ODD_PARENTS = ["no id of a record", TRACES[0], *(TRACES[1] + end for end in ("-", "-0", "-A1", "- a1", "-a1-a2"))]
ROLES = ["lr", "loss", "a.b", "$set", "", TYPE_KEY, "x\0y"]

FILE = {TYPE_KEY: "reference", "type": "file", "hash": "sha256:" + "ab" * 32, "uri": "file:///data", "nbytes": 100}
VALUES = st.sampled_from(
    [None, True, 0, 1, 1.0, -0.0, 0.123456789, "", "a text of some length", [1, 0.123456789], FILE]
)
DATA = st.dictionaries(st.sampled_from(ROLES), VALUES | ANY_VALUES, min_size=1, max_size=4)

_LINKS = st.lists(st.fixed_dictionaries({"trace_id": st.sampled_from(TRACES), "span_id": TEXT}), min_size=1, max_size=2)
_EVENTS = st.lists(st.fixed_dictionaries({"name": TEXT, "time": st.sampled_from(STARTS)}), min_size=1, max_size=2)
_SCOPES = st.fixed_dictionaries({"name": st.sampled_from([SCOPE_NAME, "other"])}, optional={"version": TEXT})

PLAIN_RECORDS: st.SearchStrategy[PlainRecord] = cast(
    "st.SearchStrategy[PlainRecord]",
    st.fixed_dictionaries(
        {
            "trace_id": st.sampled_from(TRACES),
            "span_id": st.sampled_from(SPANS),
            "name": st.sampled_from(NAMES) | TEXT,
            "kind": st.sampled_from(["task", "workflow", "span"]),
            "status": st.sampled_from(STATES),
            "started_at": st.sampled_from(STARTS),
        },
        optional={
            "parent_id": st.sampled_from([*IDS, *_ODD_PARENTS]),
            "workflow_id": st.sampled_from(RUNS[:-1]),
            "workflow_name": TEXT,
            "campaign_id": TEXT,
            "error": st.fixed_dictionaries({"type": TEXT}, optional={"message": TEXT}),
            "ended_at": st.sampled_from(STARTS),
            "last_seen_at": st.sampled_from(STARTS),
            "used": DATA,
            "generated": DATA,
            "plan": st.fixed_dictionaries({"function": TEXT, "line": st.integers(0, 99)}),
            "agent": st.fixed_dictionaries({"id": TEXT}),
            "host": st.sampled_from(["node01", "node02"]),
            "pid": st.integers(1, 3),
            "rank": st.integers(0, 3),
            "telemetry": st.dictionaries(st.sampled_from(["cpu.user", "memory.rss"]), st.floats(0, 9), min_size=1),
            "resource": st.dictionaries(TEXT, ANY_VALUES, min_size=1, max_size=3),
            "scope": _SCOPES,
            "tags": st.lists(TEXT, min_size=1, max_size=3),
            "events": _EVENTS,
            "links": st.lists(
                st.fixed_dictionaries({"trace_id": st.sampled_from(TRACES), "span_id": TEXT}), min_size=1
            ),
            "attributes": st.dictionaries(TEXT, ANY_VALUES, min_size=1, max_size=3),
            "span_kind": st.integers(0, 5),
            "trace_state": TEXT,
            "dropped": st.fixed_dictionaries({"events": st.integers(1, 9)}),
        },
    ),
)
"""Plain records of few identities, in all states, with hostile names, keys and values."""

BATCHES = st.lists(st.lists(PLAIN_RECORDS, max_size=6), max_size=4)

_OPERANDS: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from([*IDS, *TRACES, "0", "f", "g", "", "B", "0123456789abcdef0123456789abcdef-00"]),
    "trace_id": st.sampled_from(TRACES),
    "run": st.sampled_from([*RUNS, *TRACES]),
    "workflow_id": st.sampled_from(RUNS),
    "parent_id": st.sampled_from([*IDS, "no id of a record"]),
    "name": st.sampled_from(NAMES) | TEXT,
    "kind": st.sampled_from(["task", "workflow", "nothing"]),
    "status": st.sampled_from(STATES),
    "started_at": st.sampled_from(STARTS) | st.sampled_from([-1, 2**64, 1.5, "2026-09-21T14:13:20+00:00"]),
    "used.lr": VALUES,
    "generated.loss": VALUES,
    "tags": TEXT,
}


@st.composite
def _conditions(draw: st.DrawFn) -> dict[str, Any]:
    field = draw(st.sampled_from(sorted(_OPERANDS)))
    operand = _OPERANDS[field] | st.none()
    comparable = _OPERANDS[field].filter(lambda value: value is not None and not isinstance(value, list | dict))
    return {
        field: draw(
            operand
            | st.fixed_dictionaries({"$eq": operand})
            | st.fixed_dictionaries({"$ne": operand})
            | st.fixed_dictionaries({"$in": st.lists(operand, max_size=3)})
            | st.fixed_dictionaries({"$nin": st.lists(operand, max_size=3)})
            | st.fixed_dictionaries({"$exists": st.booleans()})
            | st.fixed_dictionaries({"$not": st.fixed_dictionaries({"$gt": comparable})})
            | st.fixed_dictionaries({"$gte": comparable}, optional={"$lt": comparable})
            | st.fixed_dictionaries({"$gt": comparable}, optional={"$lte": comparable})
        )
    }


FILTERS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.just({}) | _conditions() | st.builds(lambda one, other: one | other, _conditions(), _conditions()),
    lambda inner: st.builds(
        lambda word, branches: {word: branches},
        st.sampled_from(["$and", "$or"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=4,
)
_SORTS = st.lists(
    st.tuples(st.sampled_from(["started_at", "name", "used.lr", "id", "duration"]), st.sampled_from([1, -1])),
    max_size=2,
)
QUERIES = st.builds(
    lambda where, sort, limit: Query(where=where, limit=limit, **({} if sort is None else {"sort": sort})),
    FILTERS,
    st.none() | _SORTS,
    st.none() | st.integers(1, 4),
)
"""Queries that indexes can and cannot help with."""


def merged(plains: Iterable[PlainRecord]) -> list[PlainRecord]:
    """Return what a store must hold after any delivery of records, oldest first."""
    standing: dict[Key, PlainRecord] = {}
    for plain in plains:
        key = key_of(plain)
        standing[key] = merge(standing[key], plain) if key in standing else plain
    return sorted(standing.values(), key=lambda plain: (plain["started_at"], key_of(plain).id))


def content(plains: Sequence[Any]) -> list[bytes]:
    """Return records as bytes that are equal exactly where the records are, in order; one NaN is as good as another."""
    return [ormsgpack.packb(_one_nan(plain), option=ormsgpack.OPT_SORT_KEYS) for plain in plains]


def _one_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _one_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_one_nan(item) for item in value]
    return math.nan if isinstance(value, float) and math.isnan(value) else value


def numbered(number: int, trace: str = TRACES[2], **fields: Any) -> PlainRecord:
    """Return the record of a finished task that a number decides."""
    plain = {
        "trace_id": trace,
        "span_id": f"{number + 1:016x}",
        "parent_id": record_id(trace, SPANS[3]),
        "kind": "task",
        "name": f"task {number % 7}",
        "workflow_id": record_id(trace, SPANS[3]),
        "status": "finished",
        "started_at": 1_790_000_000_000_000_000 + number * 1000,
        "ended_at": 1_790_000_000_000_000_500 + number * 1000,
        "used": {"number": number, "text": f"the text of number {number}"},
        "generated": {"result": number / 7, "filler": "x" * (number % 50)},
        "resource": {"host.name": "node01", "process.pid": 1},
        "scope": {"name": SCOPE_NAME},
    }
    return cast("PlainRecord", plain | fields)


def _shaped(number: int, names: list[str], maps: dict[str, list[str]], *, shared: bool) -> PlainRecord:
    whole: Any = {**numbered(number), "workflow_id": f"run {number % 2 if shared else number}"}
    kept = {name: whole[name] for name in names if name in whole}
    apart = {name: dict.fromkeys(keys, number / 3) for name, keys in maps.items()}
    return cast("PlainRecord", {**apart, **kept, **whole} if shared else {**whole, **apart})


SHAPED_RECORDS: st.SearchStrategy[PlainRecord] = st.builds(
    _shaped,
    st.integers(0, 5),
    st.lists(st.sampled_from(["name", "status", "started_at", "host", "trace_id"]), unique=True),
    st.dictionaries(
        st.sampled_from(["used", "generated", "telemetry", "attributes", "error"]),
        st.lists(st.sampled_from(["x", "y", "name", "used", "cpu.user"]), unique=True, max_size=4),
    ),
    shared=st.booleans(),
)
"""Records whose fields, and the keys of whose maps, are the same objects in one order or another."""
