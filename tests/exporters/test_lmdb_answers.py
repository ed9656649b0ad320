"""Answers from several blocks of an LMDB store, with values of all types, equal to a reference over a list."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_exporters.lmdb import LmdbWriter
from provtel_exporters.lmdb.reader import LmdbReader
from provtel_model.aggregation import Aggregation, Figure
from provtel_model.filters import Query
from provtel_model.memory import Memory
from provtel_model.record import PlainRecord
from provtel_model.store_folder import LMDB_FOLDER

from tests.exporters.records import content, merged, numbered

_INTEGERS = st.sampled_from([0, 1, -1, 2, 3, 127, 128, 2**31, -(2**63), 2**63 - 1])
_DOUBLES = st.sampled_from([0.0, -0.0, 1.0, 1.5, -2.5, 2.0**53, math.inf, -math.inf, math.nan])
_OTHERS = st.sampled_from([None, True, False, "", "a", "b", "x" * 200, b"", b"ab", [], [1, "a"], {"b": 1}])
_VALUES = st.sampled_from([_INTEGERS, _DOUBLES, st.sampled_from(["a", "b", "c"]), _INTEGERS | _DOUBLES | _OTHERS])
"""Numbers of one type, of which a column holds all, and everything, of which it does not."""
_FIELDS = ["used.x", "generated.y", "used", "name", "status", "duration", "started_at", "id", "run", "tags", "used.x.b"]
_SORTS = st.lists(st.tuples(st.sampled_from(_FIELDS), st.sampled_from([1, -1])), max_size=3)
_FILTERS = st.sampled_from(
    [
        {},
        {"used.x": {"$gte": 1}},
        {"used.x": {"$in": [1, "a", None]}},
        {"generated.y": {"$exists": False}},
        {"status": "finished", "used.x": {"$ne": 2}},
        {"$or": [{"name": "task 1"}, {"tags": "t"}]},
    ]
)


@st.composite
def _batches(draw: st.DrawFn) -> list[list[PlainRecord]]:
    """Give batches, each of which becomes a block, with some records that replace others."""
    batches: list[list[PlainRecord]] = []
    for _ in range(draw(st.integers(1, 3))):
        kinds = draw(_VALUES), draw(_VALUES)
        batches.append([draw(_plains(*kinds)) for _ in range(draw(st.integers(1, 6)))])
    return batches


@st.composite
def _plains(draw: st.DrawFn, used: st.SearchStrategy[Any], generated: st.SearchStrategy[Any]) -> PlainRecord:
    plain: dict[str, Any] = {**numbered(draw(st.integers(0, 9)))}
    plain |= {"name": f"task {draw(st.integers(0, 2))}", "status": draw(st.sampled_from(["finished", "error"]))}
    for name, key, values in (("used", "x", used), ("generated", "y", generated)):
        plain.pop(name, None)
        if draw(st.booleans()):
            plain[name] = {key: draw(values)}
    if draw(st.booleans()):
        plain["tags"] = ["t"]
    if draw(st.booleans()):
        plain["ended_at"] = plain["started_at"] + draw(st.sampled_from([0, 1, 500, 2**62]))
    return plain  # type: ignore[return-value]  # its fields are those of a record


@contextmanager
def _store(batches: list[list[PlainRecord]]) -> Iterator[tuple[LmdbReader, list[PlainRecord]]]:
    """Give a reader of a store of some batches, and what it is to hold."""
    with tempfile.TemporaryDirectory() as folder:
        writer = LmdbWriter(Path(folder) / LMDB_FOLDER)
        for batch in batches:
            writer.write(batch)
        writer.close()
        reader = LmdbReader(Path(folder) / LMDB_FOLDER)
        try:
            yield reader, merged([plain for batch in batches for plain in batch])
        finally:
            reader.close()


@given(batches=_batches(), where=_FILTERS, sort=_SORTS, size=st.integers(1, 4))
@settings(max_examples=40)
def test_pages_of_several_blocks_are_the_whole_cut_up(
    batches: list[list[PlainRecord]], where: dict[str, Any], sort: list[tuple[str, int]], size: int
) -> None:
    """Page after page, from each cursor on, is what the whole answer of a list has there."""
    query = Query(where, sort, size)
    with _store(batches) as (reader, plains):
        whole = replace(query, limit=None).answer(plains)
        for begin in range(0, len(whole) + 1, size):
            found = [record.plain for record in reader.find(query)]
            assert content(found) == content(whole[begin : begin + size])
            if found:
                query = replace(query, after=query.cursor(found[-1]))


@given(batches=_batches(), where=_FILTERS)
@settings(max_examples=20)
def test_matches_in_several_blocks_are_counted(batches: list[list[PlainRecord]], where: dict[str, Any]) -> None:
    """As many records match as of a list."""
    with _store(batches) as (reader, plains):
        assert reader.count(Query(where)) == Memory(plains).count(Query(where))


_FIGURES = st.builds(Figure, st.just("count"), st.none() | st.sampled_from(_FIELDS)) | st.builds(
    Figure, st.sampled_from(["sum", "avg", "min", "max", "p50", "p99.5"]), st.sampled_from(_FIELDS)
)
_BY = st.lists(st.sampled_from(_FIELDS), max_size=2, unique=True)


@given(batches=_batches(), where=_FILTERS, by=_BY, figures=st.lists(_FIGURES, min_size=1, max_size=3))
@settings(max_examples=50)
def test_figures_over_several_blocks_are_those_of_a_list(
    batches: list[list[PlainRecord]], where: dict[str, Any], by: list[str], figures: list[Figure]
) -> None:
    """Of values of any types, held by columns or not, groups and figures are those of a list."""
    wanted = Aggregation(where, by, {f"figure {number}": figure for number, figure in enumerate(figures)})
    with _store(batches) as (reader, plains):
        assert _alike(reader.aggregate(wanted)) == _alike(Memory(plains).aggregate(wanted))


@given(
    batches=_batches(), where=_FILTERS, name=st.sampled_from([*_FIELDS, "resource.host.name", "name.x", "generated"])
)
@settings(max_examples=40)
def test_different_values_in_several_blocks_are_those_of_a_list(
    batches: list[list[PlainRecord]], where: dict[str, Any], name: str
) -> None:
    """Of values of any types, held by columns or not, the different ones are those of a list."""
    with _store(batches) as (reader, plains):
        found, expected = (one.distinct(name, Query(where)) for one in (reader, Memory(plains)))

    assert _alike(found) == _alike(expected)


def _alike(values: list[Any]) -> list[bytes]:
    """Return values in a form in which two are the same where they are equal: either may stand for the other."""
    return content([_whole(value) for value in values])


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**63
    return int(value) if is_whole else value
