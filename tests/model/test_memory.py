"""The store in memory: what it answers beyond the contract of every store."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_model.errors import FilterError
from provtel_model.filters import Query
from provtel_model.memory import Memory
from provtel_model.merge import merge
from provtel_model.record import Key, PlainRecord, key_of
from provtel_model.telemetry import PlainLog, Window

from tests.exporters.records import PLAIN_RECORDS, QUERIES, content, numbered


@given(plains=st.lists(PLAIN_RECORDS, max_size=12), queries=st.lists(QUERIES, min_size=1, max_size=8))
@settings(max_examples=60)
def test_indexes_change_no_answer(plains: list[PlainRecord], queries: list[Query]) -> None:
    """For any records, added while questions are asked, `find` and `count` give what a scan gives."""
    memory, merged = Memory(), dict[Key, PlainRecord]()
    for plain in plains:
        key = key_of(plain)
        moved_on = key not in merged or merge(merged[key], plain) is not merged[key]
        assert memory.add(plain) == moved_on
        merged[key] = merge(merged[key], plain) if key in merged else plain
        for query in queries:
            assert memory.count(query) == sum(map(query.matches, merged.values()))
            assert content([record.plain for record in memory.find(query)]) == content(query.answer(merged.values()))


@given(plains=st.lists(PLAIN_RECORDS, min_size=1, max_size=12), direction=st.sampled_from([1, -1]))
def test_pages_are_the_whole(plains: list[PlainRecord], direction: int) -> None:
    """Page after page in the order of time gives each record once, in the order of one answer."""
    memory = Memory(plains)
    order = (("started_at", direction),)
    found: list[PlainRecord] = []
    page = memory.find(Query(sort=order, limit=2))
    while page:
        found += [record.plain for record in page]
        query = Query(sort=order, limit=2)
        page = memory.find(Query(sort=order, limit=2, after=query.cursor(found[-1])))

    assert content(found) == content([record.plain for record in memory.find(Query(sort=order))])


def test_changes_are_told_in_the_order_of_coming() -> None:
    """What comes after a cursor is told once, as it is now; what was told and changes is told again."""
    running = numbered(1, status="running")
    memory = Memory([running, numbered(2)])
    first = memory.changes("", limit=1)
    memory.add(numbered(1))
    rest = memory.changes(first.cursor)

    assert [record.id[-1] for record in (*first.records, *rest.records)] == ["2", "3", "2"]
    assert rest.records[-1].status == "finished"
    assert not memory.changes(rest.cursor).records
    assert memory.changes(rest.cursor).cursor == memory.changes(None).cursor
    with pytest.raises(FilterError, match="'x' is no cursor"):
        memory.changes("x")


def test_windows_are_in_order() -> None:
    """Log records of a window are the oldest first, each once, however they came."""
    logs: list[PlainLog] = [{"time": time, "body": str(time)} for time in (5, 3, 9, 3)]
    memory = Memory()

    assert [memory.add_log(log) for log in logs] == [True, True, True, False]
    assert [log["time"] for log in memory.logs(Window(since=3, until=8))] == [3, 5]
    assert [log["time"] for log in memory.logs(Window(limit=2))] == [3, 5]
    assert memory.points(Window()) == []
