"""The contract of stores: pages, projections, figures and ways up, each equal to a reference over a list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_model.aggregation import Aggregation, Figure
from provtel_model.errors import FilterError
from provtel_model.filters import Query
from provtel_model.memory import Memory
from provtel_model.record import PlainRecord

from tests.exporters.backends import Backend, Place, thinned
from tests.exporters.records import FILTERS, IDS, PLAIN_RECORDS, QUERIES, content, merged, numbered

_FIELDS = [
    "name",
    "status",
    "used.lr",
    "generated.loss",
    "duration",
    "host",
    "campaign_id",
    "error.type",
    "used",
    "run",
]
_NUMBERS = ["used.lr", "duration", "pid", "started_at", "telemetry.cpu.user"]
_FIGURES = (
    st.builds(Figure, st.just("count"), st.none() | st.sampled_from(_FIELDS))
    | st.builds(Figure, st.sampled_from(["sum", "avg", "p50", "p99.5"]), st.sampled_from(_NUMBERS))
    | st.builds(Figure, st.sampled_from(["min", "max"]), st.sampled_from(_FIELDS))
)


@st.composite
def _aggregations(draw: st.DrawFn) -> Aggregation:
    by = draw(st.lists(st.sampled_from(_FIELDS), max_size=2, unique=True))
    several = st.dictionaries(st.sampled_from(["a", "b", "c"]), _FIGURES, min_size=1, max_size=3)
    figures = draw(st.just({"n": Figure("count")}) | several)
    sort = st.lists(st.tuples(st.sampled_from([*by, *figures]), st.sampled_from([1, -1])), max_size=2)
    return Aggregation(draw(FILTERS), by, figures, draw(sort), draw(st.none() | st.integers(1, 3)))


@given(plains=st.lists(PLAIN_RECORDS, max_size=12), wanted=st.lists(_aggregations(), min_size=1, max_size=4))
@settings(max_examples=30)
@thinned
def test_figures_are_those_of_a_list(backend: Backend, plains: list[PlainRecord], wanted: list[Aggregation]) -> None:
    """For any records, groups and figures a store computes what the reference computes over a list."""
    with backend.new() as place:
        place.writer().write(plains)
        reader, memory = place.reader(), Memory(merged(plains))
        for each in wanted:
            assert content(reader.aggregate(each)) == content(memory.aggregate(each))


@given(plains=st.lists(PLAIN_RECORDS, max_size=12), where=FILTERS, name=st.sampled_from([*_FIELDS, "tags", "resource"]))
@settings(max_examples=30)
@thinned
def test_different_values_are_those_of_a_list(
    backend: Backend, plains: list[PlainRecord], where: dict[str, Any], name: str
) -> None:
    """`distinct` gives each value once, in the order of sorts."""
    with backend.new() as place:
        place.writer().write(plains)

        found = place.reader().distinct(name, Query(where))
        assert content(found) == content(Memory(merged(plains)).distinct(name, Query(where)))


@given(plains=st.lists(PLAIN_RECORDS, max_size=12), query=QUERIES, size=st.integers(1, 4))
@settings(max_examples=30)
@thinned
def test_pages_are_the_whole_cut_up(backend: Backend, plains: list[PlainRecord], query: Query, size: int) -> None:
    """Page by page, from cursor to cursor, each record comes once and in order, whatever the order is by."""
    with backend.new() as place:
        place.writer().write(plains)
        reader = place.reader()
        whole = replace(query, limit=None)
        pages: list[PlainRecord] = []
        page = replace(query, limit=size)
        while found := reader.find(page):
            assert len(found) <= size
            pages += [record.plain for record in found]
            page = replace(page, after=page.cursor(found[-1].plain))

        assert content(pages) == content(whole.answer(merged(plains)))


def test_pages_do_not_shift_under_writes(place: Place) -> None:
    """What is written between two pages neither repeats a record nor leaves one out that was there before."""
    writer = place.writer()
    writer.write([numbered(number) for number in range(0, 40, 2)])
    reader, page = place.reader(), Query(limit=7)
    seen: list[str] = []
    while found := reader.find(page):
        seen += [record.span_id for record in found]
        page = replace(page, after=page.cursor(found[-1].plain))
        writer.write([numbered(number) for number in range(41 + 10 * len(seen), 47 + 10 * len(seen))])

    assert seen == [numbered(number)["span_id"] for number in range(38, -2, -2)]


def test_a_cursor_of_another_order_is_refused(place: Place) -> None:
    """A cursor works in the order that it was made with, and in no other."""
    place.writer().write([numbered(1)])
    cursor = Query().cursor(numbered(1))

    with pytest.raises(FilterError, match="another order"):
        place.reader().find(Query(sort=(("name", 1), ("id", 1)), after=cursor))


@given(
    plains=st.lists(PLAIN_RECORDS, max_size=8),
    query=QUERIES,
    fields=st.lists(st.sampled_from([*_FIELDS, "links.trace_id", "used.a.b", "resource.x"]), max_size=3),
)
@settings(max_examples=20)
@thinned
def test_a_projection_gives_what_was_asked_for(
    backend: Backend, plains: list[PlainRecord], query: Query, fields: list[str]
) -> None:
    """Records come with the fields that are wanted, and with what every record has."""
    wanted = replace(query, fields=fields)
    with backend.new() as place:
        place.writer().write(plains)

        found = [record.plain for record in place.reader().find(wanted)]
        assert content(found) == content(wanted.answer(merged(plains)))


@given(plains=st.lists(PLAIN_RECORDS, max_size=12))
@settings(max_examples=20)
@thinned
def test_ancestors_are_the_parents_of_parents(backend: Backend, plains: list[PlainRecord]) -> None:
    """The way up from a record ends where the store lacks a parent, and in a circle where it closes."""
    memory = Memory(merged(plains))
    with backend.new() as place:
        place.writer().write(plains)
        reader = place.reader()
        for known in [*IDS, "no id of a record"]:
            found = [record.plain for record in reader.ancestors(known)]

            assert content(found) == content([record.plain for record in memory.ancestors(known)])


@given(plains=st.lists(PLAIN_RECORDS, max_size=12))
@settings(max_examples=20)
@thinned
def test_links_lead_back(backend: Backend, plains: list[PlainRecord]) -> None:
    """`linked` gives the records that link to another, oldest first, whatever ids stand in the links."""
    memory = Memory(merged(plains))
    with backend.new() as place:
        place.writer().write(plains)
        reader = place.reader()
        links = [link for plain in plains for link in plain.get("links", ())]
        wanted = {*IDS, *(f"{link['trace_id']}-{link['span_id']}" for link in links)}
        found, expected = reader.linked(wanted), memory.linked(wanted)

        assert found.keys() == wanted
        for known in wanted:
            assert content([record.plain for record in found[known]]) == content(
                [record.plain for record in expected[known]]
            )
