"""Figures over records, and pages of them."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_model.aggregation import Aggregation, Figure, aggregate, distinct
from provtel_model.anyvalue import AnyValue
from provtel_model.errors import FilterError
from provtel_model.fields import order_of
from provtel_model.filters import Query
from provtel_model.record import PlainRecord, key_of

from tests.exporters.records import PLAIN_RECORDS

_USED: list[tuple[str, dict[str, AnyValue]]] = [
    ("a", {"x": 1}),
    ("a", {"x": 2.5}),
    ("b", {"x": "text"}),
    ("b", {"y": [1, 2]}),
    ("a", {"x": 1.0}),
]
TASKS: list[PlainRecord] = [
    {
        "trace_id": f"{1:032x}",
        "span_id": f"{number:016x}",
        "name": name,
        "kind": "task",
        "status": "finished",
        "started_at": number,
        "ended_at": number + 10**9 * number,
        "used": used,
    }
    for number, (name, used) in enumerate(_USED, 1)
]


def figures(**wanted: str) -> dict[str, Figure]:
    """Return figures by name, each written ``avg`` or ``avg used.x``."""
    return {name: Figure(*text.split()) for name, text in wanted.items()}


def test_groups_and_figures() -> None:
    """Groups are in the order of their fields; a figure takes what it can be computed of."""
    wanted = Aggregation(
        by=["name"],
        figures=figures(n="count", with_x="count used.x", total="sum used.x", mean="avg used.x", top="max used.x"),
    )

    assert aggregate(TASKS, wanted) == [
        {"name": "a", "n": 3, "with_x": 3, "total": 4.5, "mean": 1.5, "top": 2.5},
        {"name": "b", "n": 2, "with_x": 1, "total": 0, "mean": None, "top": "text"},
    ]


def test_sort_and_limit_of_groups() -> None:
    """Groups come in the order of a figure where that is asked for, and only so many."""
    wanted = Aggregation(by=["used.x"], figures=figures(n="count"), sort=[("n", -1)], limit=2)

    assert aggregate(TASKS, wanted) == [{"used.x": 1, "n": 2}, {"used.x": None, "n": 1}]


def test_percentiles() -> None:
    """A percentile between two numbers lies between them by its distance."""
    wanted = Aggregation(figures=figures(**{p: f"{p} duration" for p in ("p0", "p50", "p90", "p100")}))

    assert aggregate(TASKS, wanted) == [{"p0": 1.0, "p50": 3.0, "p90": pytest.approx(4.6), "p100": 5.0}]


def test_nothing_matches() -> None:
    """Without groups there is one answer, also of nothing; with groups there is none."""
    nothing = {"name": "nobody"}

    assert aggregate(TASKS, Aggregation(nothing, figures=figures(n="count", s="sum duration", m="min duration"))) == [
        {"n": 0, "s": 0, "m": None}
    ]
    assert aggregate(TASKS, Aggregation(nothing, by=["name"])) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"figures": {"x": Figure("median", "duration")}}, "unknown figure 'median'"),
        ({"figures": {"x": Figure("avg")}}, "avg needs a field"),
        ({"figures": {"x": Figure("avg", "durration")}}, "did you mean 'duration'"),
        ({"by": ["nme"]}, "did you mean 'name'"),
        ({"sort": [("duration", 1)]}, "cannot sort by 'duration'"),
        ({"by": ["name"], "figures": {"name": Figure("count")}}, "the name of a field and of a figure"),
    ],
)
def test_mistakes(wrong: dict[str, Any], message: str) -> None:
    """What cannot be computed is refused before anything is read."""
    with pytest.raises(FilterError, match=message.replace("(", r"\(")):
        Aggregation(**wrong)


def test_distinct_values() -> None:
    """Values that filters find equal are one; of a list each element counts."""
    assert distinct(TASKS, "used.x", Query()) == [1, 2.5, "text"]
    assert distinct(TASKS, "used.y", Query({"name": "b"})) == [1, 2]


@given(st.lists(st.floats() | st.integers(-(2**63), 2**63 - 1)), st.randoms(use_true_random=False))
def test_order_of_records_does_not_show(numbers: list[float], shuffler: random.Random) -> None:
    """Sum, mean and percentiles are the same in whatever order a store gives the records."""
    plains: list[PlainRecord] = [
        {**TASKS[0], "span_id": f"{place:016x}", "used": {"x": number}} for place, number in enumerate(numbers)
    ]
    wanted = Aggregation(figures=figures(s="sum used.x", a="avg used.x", p="p75 used.x", low="min used.x"))
    (before,) = aggregate(plains, wanted)
    shuffler.shuffle(plains)
    (after,) = aggregate(plains, wanted)

    assert [*map(order_of, before.values())] == [*map(order_of, after.values())]


@given(
    st.lists(PLAIN_RECORDS, unique_by=key_of, max_size=12),
    st.lists(st.sampled_from([("started_at", -1), ("name", 1), ("used", -1), ("duration", 1)]), max_size=2),
    st.integers(1, 4),
)
def test_pages_make_the_whole(plains: list[PlainRecord], sort: list[tuple[str, int]], size: int) -> None:
    """Page after page, each from where the one before ended, every record comes once and in order."""
    whole = Query(sort=sort).ordered([*plains])
    found: list[PlainRecord] = []
    cursor = None
    while True:
        query = Query(sort=sort, limit=size, after=cursor)
        page = query.ordered([plain for plain in plains if query.selects(plain)])
        if not page:
            break
        found += page
        cursor = query.cursor(page[-1])
    assert found == whole


@pytest.mark.parametrize("cursor", ["", "no cursor", "kgE=", Query().cursor(TASKS[0])])
def test_cursors_of_others(cursor: str) -> None:
    """A text that is no cursor, and a cursor of another order, are refused."""
    with pytest.raises(FilterError, match="cursor"):
        Query(sort=(), after=cursor)


def test_projection() -> None:
    """Only what is asked for comes, by path, and what every record has."""
    plain: PlainRecord = {**TASKS[0], "used": {"x": 1, "a.b": {"c": 2, "d": 3}}}

    projected = Query(fields=["used.a.b.c", "host"]).projected(plain)

    assert projected["used"] == {"a.b": {"c": 2}}
    assert "ended_at" not in projected
    assert projected["span_id"] == plain["span_id"]
    assert math.isclose(projected["started_at"], 1)
