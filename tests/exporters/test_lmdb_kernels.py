"""The compiled kernels of the LMDB index and their twins in Python give the same bytes."""

from __future__ import annotations

import math
from array import array
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_exporters.lmdb.index import in_python
from provtel_model.compiled import load

_keys, _columns = (load(f"provtel_exporters.lmdb.index.{name}") for name in ("_key_kernels", "_column_kernels"))
pytestmark = pytest.mark.skipif(_keys is None or _columns is None, reason="not compiled here, or ruled out")

DIGESTS = st.integers(0, 2**64 - 1) | st.integers(0, 5)
ROWS = st.integers(0, 2**16 - 1)
SIGNED: Final = {"b": 7, "h": 15, "i": 31, "q": 63}
FLOATS = st.floats(allow_nan=True, allow_subnormal=True)


def both(modules: ModuleType | None, name: str, *given_: Any, **named: Any) -> Any:
    """Return what both twins give; it must be the same."""
    compiled, python = getattr(modules, name)(*given_, **named), getattr(in_python, name)(*given_, **named)
    assert compiled == python
    return python


@st.composite
def numbers(draw: st.DrawFn) -> tuple[str, Any]:
    """Give a type of numbers, and some."""
    code = draw(st.sampled_from("bhiqQd"))
    if code == "d":
        return code, array("d", draw(st.lists(FLOATS, max_size=20)))
    bounds = (0, 2**64 - 1) if code == "Q" else (-(2 ** SIGNED[code]) + 4 * (code == "q"), 2 ** SIGNED[code] - 1)
    return code, array(code, draw(st.lists(st.integers(*bounds), max_size=20)))


@st.composite
def sparse(draw: st.DrawFn) -> tuple[int, Any]:
    """Give how many rows a block has, and which of them have a value."""
    count = draw(st.integers(1, 40))
    return count, array("H", sorted(draw(st.sets(st.integers(0, count - 1)))))


@given(keys=st.lists(st.tuples(DIGESTS, ROWS), max_size=50))
def test_keys_are_sorted(keys: list[tuple[int, int]]) -> None:
    """Keys come in order, each with its row."""
    digests, rows = (
        array(code, column) for code, column in zip("QH", zip(*keys, strict=True) if keys else ((), ()), strict=True)
    )
    in_order, led_to = both(_keys, "sort_keys", digests, rows)

    assert [*zip(memoryview(in_order).cast("Q"), memoryview(led_to).cast("H"), strict=True)] == sorted(keys)


@given(
    blocks=st.lists(st.lists(st.tuples(DIGESTS, st.integers(0, 9)), max_size=20), max_size=4),
    gone=st.sets(st.integers(0, 39)),
)
def test_keys_are_merged(blocks: list[list[tuple[int, int]]], gone: set[int]) -> None:
    """The keys of several blocks become those of one, without the rows that are gone."""
    parts: list[tuple[Any, Any, Any]] = []
    number = 0
    for keys in blocks:
        in_order = sorted(keys)
        renumbered = array("i", [-1] * 10)
        for row in range(10):
            if len(parts) * 10 + row not in gone:
                renumbered[row], number = number, number + 1
        parts.append((array("Q", [key for key, _ in in_order]), array("H", [row for _, row in in_order]), renumbered))

    both(_keys, "merge_keys", parts)


@given(known=st.lists(DIGESTS, max_size=40), wanted=st.lists(DIGESTS, max_size=10))
def test_keys_are_found(known: list[int], wanted: list[int]) -> None:
    """Each wanted key is found wherever it is."""
    found = both(_keys, "search", array("Q", sorted(known)), array("Q", wanted))

    assert len(found) == sum(known.count(digest) for digest in wanted)


@given(given_=numbers(), name=st.sampled_from(["$eq", "$lt", "$lte", "$gt", "$gte"]), data=st.data())
def test_numbers_are_compared(given_: tuple[str, Any], name: str, data: st.DataObject) -> None:
    """A mask says of each number whether it compares as asked."""
    code, values = given_
    other = FLOATS if code == "d" else st.sampled_from([*values, 0, 1])
    both(_columns, "compare", values, code, name, data.draw(other))


@given(code=st.sampled_from("BHI"), data=st.data())
def test_codes_are_looked_up(code: str, data: st.DataObject) -> None:
    """The byte and the rank of a code are those of a table; a code that is in none is an error."""
    size = data.draw(st.integers(1, 250))
    codes = array(code, data.draw(st.lists(st.integers(0, size - 1), max_size=20)))
    both(_columns, "map_codes", codes, code, bytes(number % 256 for number in range(size)))
    both(_columns, "ranks_of_codes", codes, code, array("Q", range(size)))
    for name, table in (("map_codes", b""), ("ranks_of_codes", array("Q"))):
        with pytest.raises(IndexError):
            getattr(_columns, name)(array(code, [0]), code, table)


@given(given_=sparse(), missing=st.integers(0, 1), rank=DIGESTS)
def test_values_are_spread(given_: tuple[int, Any], missing: int, rank: int) -> None:
    """Rows without a value get what is said of them."""
    count, present = given_
    both(_columns, "spread", count, present, bytes(row % 2 for row in present), missing)
    both(_columns, "spread_ranks", count, present, array("Q", [row * 3 for row in present]), rank)


@given(given_=numbers(), descending=st.booleans())
def test_numbers_are_ranked(given_: tuple[str, Any], descending: bool) -> None:  # drawn
    """Ranks are in the order of numbers, NaN first."""
    code, values = given_
    ranks = memoryview(both(_columns, "ranks_of_numbers", values, code, descending=descending)).cast("Q").tolist()
    for one, rank in zip(values, ranks, strict=True):
        for other, its in zip(values, ranks, strict=True):
            if not math.isnan(one) and not math.isnan(other):
                assert (rank < its) == (one > other if descending else one < other)


@given(rows=st.lists(st.tuples(st.integers(0, 3), DIGESTS, st.booleans()), max_size=60), data=st.data())
def test_the_lowest_are_found(rows: list[tuple[int, int, bool]], data: st.DataObject) -> None:
    """The rows with the lowest ranks come in order, above a floor."""
    ranks = [array("Q", [row[column] for row in rows]) for column in (0, 1)]
    floor = data.draw(st.none() | st.sampled_from([[row[0], row[1]] for row in rows] or [[0, 0]]))
    most = data.draw(st.integers(0, 70))
    both(_columns, "top", ranks, floor, bytes(row[2] for row in rows), most)


@given(keeps=st.lists(st.booleans(), max_size=30), size=st.sampled_from([1, 2, 8]))
def test_items_are_kept(keeps: list[bool], size: int) -> None:
    """The items of the rows of a mask are left."""
    both(_columns, "kept", bytes(range(256))[: len(keeps) * size] * 1, size, bytes(keeps))


@given(
    given_=sparse(),
    starts=st.lists(DIGESTS, min_size=40, max_size=40),
    ends=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=40, max_size=40),
)
def test_durations_are_computed(given_: tuple[int, Any], starts: list[int], ends: list[int]) -> None:
    """Durations are those of whole nanoseconds, divided once."""
    count, present = given_
    begun = array("Q", starts[:count])
    both(_columns, "seconds", begun, array("q", ends[: len(present)]), present)
    both(_columns, "seconds", begun, array("q", ends[:count]), None)


@pytest.mark.parametrize(
    ("name", "given_"),
    [
        ("sort_keys", (bytes(9), bytes(2))),
        ("sort_keys", (bytes(16), bytes(2))),
        ("merge_keys", ([(bytes(8), b"\5\0", bytes(4))],)),
        ("search", (bytes(7), bytes(8))),
        ("compare", (bytes(7), "q", "$eq", 1)),
        ("compare", (bytes(8), "x", "$eq", 1)),
        ("compare", (bytes(8), "q", "$ne", 1)),
        ("spread", (1, bytes(3), bytes(1), 0)),
        ("spread", (1, b"\5\0", bytes(1), 0)),
        ("top", ([bytes(8)], None, bytes(2), 1)),
        ("top", ([bytes(8)], [1, 2], bytes(1), 1)),
        ("kept", (bytes(3), 2, bytes(2))),
        ("seconds", (bytes(8), bytes(16), None)),
        ("seconds", (bytes(8), bytes(8), b"\5\0")),
    ],
)
def test_damaged_blocks_end_there(name: str, given_: Any) -> None:
    """Buffers that do not fit each other are an error, and nothing outside them is read."""
    module = _keys if hasattr(_keys, name) else _columns

    with pytest.raises((ValueError, IndexError)):
        getattr(module, name)(*given_)
