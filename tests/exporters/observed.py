"""Data points, log records and windows for the tests of stores: drawn from small pools, so that they meet."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import strategies as st
from provtel_model.telemetry import PlainLog, PlainPoint, Window

from tests.exporters.records import IDS, SPANS, STARTS, TRACES
from tests.model.strategies import ANY_VALUES, TEXT

_NAMES = ["process.memory.usage", "a name", "", "x" * 600]
_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats()
_ORIGIN: dict[str, st.SearchStrategy[Any]] = {
    "host": st.sampled_from(["node01", "node02"]),
    "pid": st.integers(1, 2),
    "rank": st.integers(0, 3),
    "resource": st.dictionaries(TEXT, ANY_VALUES, min_size=1, max_size=2),
    "scope": st.fixed_dictionaries({"name": TEXT}),
    "attributes": st.dictionaries(TEXT, ANY_VALUES, min_size=1, max_size=2),
    "flags": st.integers(1, 3),
}
_EXEMPLARS = st.fixed_dictionaries(
    {"time": st.sampled_from(STARTS)},
    optional={"trace_id": st.sampled_from(TRACES), "span_id": st.sampled_from(SPANS), "value": _NUMBERS},
)

POINTS: st.SearchStrategy[PlainPoint] = cast(
    "st.SearchStrategy[PlainPoint]",
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(_NAMES),
            "kind": st.sampled_from(["gauge", "sum", "histogram", "exponential_histogram", "summary"]),
            "time": st.sampled_from(STARTS),
        },
        optional={
            **_ORIGIN,
            "unit": TEXT,
            "description": TEXT,
            "started_at": st.sampled_from(STARTS),
            "value": _NUMBERS,
            "distribution": st.dictionaries(st.sampled_from(["count", "sum", "bounds"]), ANY_VALUES, min_size=1),
            "temporality": st.sampled_from(["delta", "cumulative"]),
            "monotonic": st.just(value=True),
            "exemplars": st.lists(_EXEMPLARS, min_size=1, max_size=2),
        },
    ),
)
LOGS: st.SearchStrategy[PlainLog] = cast(
    "st.SearchStrategy[PlainLog]",
    st.fixed_dictionaries(
        {"time": st.sampled_from(STARTS)},
        optional={
            **_ORIGIN,
            "observed_at": st.sampled_from(STARTS),
            "severity": st.integers(1, 24),
            "severity_text": TEXT,
            "name": st.sampled_from(_NAMES[:2]) | TEXT,
            "body": ANY_VALUES,
            "trace_id": st.sampled_from(TRACES) | TEXT,
            "span_id": st.sampled_from(SPANS) | TEXT,
            "dropped": st.integers(1, 9),
        },
    ),
)

_TIMES = st.none() | st.sampled_from([*STARTS, -1, 2**64])


@st.composite
def _windows(draw: st.DrawFn) -> Window:
    host = draw(st.none() | _ORIGIN["host"] | TEXT)
    return Window(
        since=draw(_TIMES),
        until=draw(_TIMES),
        name=draw(st.none() | st.sampled_from(_NAMES)),
        host=host,
        pid=None if host is None else draw(st.none() | st.integers(1, 3)),
        record_id=draw(st.none() | st.sampled_from([*IDS, "no id of a record"])),
        severity=draw(st.none() | st.integers(1, 24)),
        limit=draw(st.none() | st.integers(1, 4)),
    )


WINDOWS = st.just(Window()) | _windows()
"""Windows that indexes can and cannot help with."""
