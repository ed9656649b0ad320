"""The compiled way from records to what is written of them, and its twin in Python, give the same bytes."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_exporters.lmdb import rows
from provtel_exporters.lmdb.rows import EncodedRecord, encode, encode_all
from provtel_model.compiled import load
from provtel_model.record import PlainRecord

from tests.exporters.records import PLAIN_RECORDS, SHAPED_RECORDS, TRACES, numbered
from tests.model.strategies import ANY_VALUES

compiled = load("provtel_exporters.lmdb._encode")
pytestmark = pytest.mark.skipif(compiled is None, reason="it was not compiled here, or is ruled out")

BOUNDS = [sign * 2**bits + step for bits in (0, 5, 7, 8, 15, 16, 31, 32, 63) for sign in (1, -1) for step in (-1, 0, 1)]
LENGTHS = [0, 1, 15, 16, 17, 31, 32, 255, 256, 1023, 1024, 65_535, 65_536]
ODD: list[Any] = [
    *(None, True, "", "no id", 7, -1, 2**63, 2**64, 1.5, b"\0", [], [1], {}, {"a": [1]}, {1: 2}, ("a",), {"a"}, ...),
    *("\ud800", {"\ud800": 1}, {"a": "\ud800"}, type("Text", (str,), {})("finished"), TRACES[1].upper(), "é" * 16),
    *([{"trace_id": TRACES[0]}], [{"trace_id": TRACES[0], "span_id": "0123456789abcdef"}], {"a": 2**64}, {"a": ...}),
]
DEEP: Any = [1]
for _ in range(100):
    DEEP = [DEEP]


def by_both(plains: list[PlainRecord]) -> list[EncodedRecord] | str:
    """Return what both twins give, or the error that both raise; it must be the same."""
    results: list[list[EncodedRecord] | str] = []
    for way in (encode_all, lambda plains: [*map(encode, plains)]):
        try:
            results.append(way(plains))
        except (KeyError, ValueError, TypeError, OverflowError, AttributeError) as error:
            results.append(repr(error))
    first, second = results
    assert repr(first) == repr(second)
    return first


@given(st.lists(PLAIN_RECORDS, max_size=4))
@settings(max_examples=200)
def test_both_write_the_same(plains: list[PlainRecord]) -> None:
    """Of any records both give one row, one key, the same parts and the same keys of the index."""
    encoded = by_both(plains)

    assert [type(one) for one in encoded] == [EncodedRecord] * len(plains)


@given(st.lists(SHAPED_RECORDS, max_size=8))
@settings(max_examples=200)
def test_what_the_record_before_had_changes_nothing(plains: list[PlainRecord]) -> None:
    """Fields and keys that are the same objects in another order, place, map or run are written by both alike."""
    by_both(plains)


@given(st.sampled_from(sorted(PlainRecord.__annotations__)), st.sampled_from(ODD) | ANY_VALUES, st.integers(0, 2))
def test_both_refuse_the_same(field: str, odd: Any, place: int) -> None:
    """Whatever a field holds that it should not, the records are written by both, or refused by both for one reason."""
    plains: list[Any] = [numbered(number) for number in range(3)]
    plains[place] |= {field: odd}

    by_both(plains)


@pytest.mark.parametrize("field", sorted(numbered(1)))
def test_both_miss_the_same(field: str) -> None:
    """A record that lacks a field is written by both or refused by both."""
    plain: Any = numbered(1)
    del plain[field]

    by_both([numbered(0), plain, numbered(2)])


@pytest.mark.parametrize("length", LENGTHS)
def test_every_length(length: int) -> None:
    """Texts, bytes, lists and maps have their lengths in as many bytes as MessagePack gives them, compressed or not."""
    kinds: list[Any] = ["x" * length, "é" * length, b"x" * length, [0] * length, {f"{key}": 0 for key in range(length)}]
    for value in kinds:
        assert not isinstance(by_both([numbered(1, used={"x": value}, attributes={"x": value}, tags=[value])]), str)


def test_every_number() -> None:
    """Integers around every width, and fields and depths beyond the usual ones, are written by both alike."""
    for number in BOUNDS:
        by_both([numbered(1, used={"x": number}, pid=number, started_at=number)])
    by_both([numbered(1, used={"x": DEEP}), numbered(2, attributes=dict.fromkeys(map(str, range(70_000)), 1.5))])
    wide: Any = numbered(1) | {f"field {number}": number for number in range(40)}
    by_both([wide])


def test_parts_are_shared_where_they_are_equal() -> None:
    """Records that share process, run and shape share the objects too; one that does not has its own."""
    plains = [numbered(1), numbered(2), numbered(3, host="elsewhere"), numbered(4)]
    first, second, third, fourth = encode_all(plains)

    assert first.parts is second.parts
    assert third.parts[0] != first.parts[0]
    assert fourth.parts == first.parts


def test_nothing_is_kept_of_a_batch() -> None:
    """A batch leaves no reference behind, whether it was written or refused."""
    plains: list[Any] = [numbered(1, used={"x": [1.25]}, run="a"), numbered(2), {**numbered(3), "status": "odd"}]
    watched = [*plains, *(plain["used"] for plain in plains), *(plain["scope"] for plain in plains)]
    before = [*map(sys.getrefcount, watched)]
    for _ in range(3):
        encode_all(plains[:2])
        with pytest.raises(ValueError, match="odd"):
            encode_all(plains)

    assert [*map(sys.getrefcount, watched)] == before


def test_the_twin_in_python_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the compiled way the records are the same."""
    with_it = encode_all([numbered(1), numbered(2)])
    monkeypatch.setattr(rows, "_compiled", None)

    assert encode_all([numbered(1), numbered(2)]) == with_it
