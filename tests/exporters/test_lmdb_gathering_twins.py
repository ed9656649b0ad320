"""The compiled way from records to columns, and its twin in Python, give the same bytes."""

from __future__ import annotations

import math
import sys
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from provtel_exporters.lmdb.index.block import gather, gather_in_python
from provtel_exporters.lmdb.index.columns import UNKNOWN, specify, specify_in_python
from provtel_model.compiled import load
from provtel_model.record import PlainRecord

from tests.exporters.records import PLAIN_RECORDS, SHAPED_RECORDS, numbered
from tests.model.strategies import ANY_VALUES, TEXT

compiled = load("provtel_exporters.lmdb.index._gathering")
pytestmark = pytest.mark.skipif(compiled is None, reason="it was not compiled here, or is ruled out")

WIDE: Final = st.sampled_from(
    [sign * 2**bits + step for bits in (7, 15, 31, 63) for sign in (1, -1) for step in range(-5, 6)]
)
LONG: Final = st.sampled_from(["x" * 127, "x" * 128, "x" * 129, "\u00e9" * 128, "\ud800"])
COLUMNS: Final = st.one_of(
    *(
        st.lists(kind, max_size=30)
        for kind in (st.integers(0, 3), WIDE, st.floats(), st.booleans(), st.none(), TEXT | LONG)
    ),
    st.lists(st.binary(max_size=3) | st.sampled_from([b"x" * 128, b"x" * 129]), max_size=30),
    st.lists(ANY_VALUES | st.just(UNKNOWN) | st.sampled_from([1, 1.0, True, math.nan]), max_size=12),
)


def by_both(compiled_way: Any, in_python: Any) -> Any:
    """Return what both ways give, or the error that both raise; it must be the same."""
    results = []
    for way in (compiled_way, in_python):
        try:
            results.append(way())
        except (TypeError, ValueError, OverflowError) as error:
            results.append(repr(error))
    assert repr(results[0]) == repr(results[1])
    return results[0]


@given(items=COLUMNS, listed=st.booleans())
@settings(max_examples=200)
@example(items=[f"{number}" for number in range(255)], listed=False)
@example(items=[f"{number}" for number in range(256)], listed=False)
@example(items=list(range(65_536)), listed=True)
def test_a_column_is_kept_the_same(items: list[Any], listed: bool) -> None:
    """Items of one type or of several, long or short, many or few, get one code, one data and one list of values."""
    by_both(lambda: specify(items, listed=listed), lambda: specify_in_python(items, listed=listed))


@given(st.lists(PLAIN_RECORDS, max_size=6) | st.lists(SHAPED_RECORDS, max_size=8))
@settings(max_examples=120)
def test_records_are_gathered_the_same(plains: list[PlainRecord]) -> None:
    """Any records give the same columns, in one order, each with the same rows and the same items."""
    by_both(lambda: gather(plains), lambda: gather_in_python(plains))


@given(st.sampled_from(["used", "error", "name", "telemetry", "used\0number", "tags"]), ANY_VALUES, st.integers(0, 2))
def test_odd_records_are_gathered_the_same(field: str, value: Any, place: int) -> None:
    """A map that is none, keys that are no texts, and a field named as a key of a map are taken by both alike."""
    plains: list[Any] = [numbered(number) for number in range(3)]
    plains[place] |= {field: value}
    by_both(lambda: gather(plains), lambda: gather_in_python(plains))
    plains[place] |= {"generated": {1: value}}
    by_both(lambda: gather(plains), lambda: gather_in_python(plains))


def test_more_records_than_a_block_has_are_refused_by_both() -> None:
    """A place takes two bytes; a record beyond those is an error, and never the place of another."""
    plains: list[Any] = [{"name": "x"}] * (2**16 + 1)
    assert "OverflowError" in by_both(lambda: gather(plains), lambda: gather_in_python(plains))
    assert len(gather(plains[1:])["name"][1]) == 2**16


def test_nothing_is_kept_of_records() -> None:
    """To gather leaves no reference behind."""
    plains: list[Any] = [numbered(1, used={"x": [1.25]}), numbered(2)]
    watched = [*plains, *(plain["used"] for plain in plains), plains[0]["used"]["x"], plains[0]["name"]]
    before = [*map(sys.getrefcount, watched)]
    for _ in range(3):
        for _, items in gather(plains).values():
            specify(items, listed=False)
        with pytest.raises(AttributeError):
            gather([*plains, "no record"])  # type: ignore[list-item]  # it has no fields
    assert [*map(sys.getrefcount, watched)] == before
