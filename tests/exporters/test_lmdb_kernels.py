"""The compiled kernels of the LMDB index and their twins in Python give the same bytes."""

from __future__ import annotations

import math
import random
from array import array
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_exporters.lmdb.index import in_python
from provtel_exporters.lmdb.index.in_python import LAST, rank_of_number
from provtel_model.compiled import load

_keys, _columns, _rows = (
    load(f"provtel_exporters.lmdb.index.{name}") for name in ("_key_kernels", "_column_kernels", "_row_kernels")
)
pytestmark = pytest.mark.skipif(None in {_keys, _columns, _rows}, reason="not compiled here, or ruled out")

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


@given(rows=st.lists(st.lists(DIGESTS, max_size=8), max_size=20))
def test_keys_are_sorted(rows: list[list[int]]) -> None:
    """Keys come in order, each with its row."""
    in_order, led_to = both(_keys, "sort_keys", [array("Q", digests).tobytes() for digests in rows])

    pairs = sorted((digest, row) for row, digests in enumerate(rows) for digest in digests)
    assert [*zip(memoryview(in_order).cast("Q"), memoryview(led_to).cast("H"), strict=True)] == pairs


@pytest.mark.parametrize("rows", [[b"1234567"], [b""] * (2**16 + 1)], ids=["half a key", "too many rows"])
def test_keys_that_are_none_are_refused(rows: list[bytes]) -> None:
    """Half a key, and a row that two bytes cannot name, are errors of both twins."""
    for twin in (_keys, in_python):
        with pytest.raises(ValueError, match="there are too many rows"):
            twin.sort_keys(rows)  # type: ignore[union-attr]  # both are there: see `pytestmark`


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
    found = both(_keys, "search", array("Q", sorted(known)), array("Q", wanted), 100)

    assert len(found) == sum(known.count(digest) for digest in wanted)


@given(
    known=st.lists(st.tuples(DIGESTS, st.integers(0, 9)), max_size=40),
    wanted=st.lists(DIGESTS, max_size=10),
    mask=st.lists(st.integers(0, 1), min_size=10, max_size=10).map(bytes),
    most=st.integers(0, 3),
)
def test_some_of_the_keys_are_found(known: list[tuple[int, int]], wanted: list[int], mask: bytes, most: int) -> None:
    """Of each wanted key the first are found, or those of the wanted rows."""
    in_order = sorted(known)
    digests, rows = array("Q", [digest for digest, _ in in_order]), array("H", [row for _, row in in_order])

    first = both(_keys, "search", digests, array("Q", wanted), most)
    within = both(_keys, "search_within", digests, rows, array("Q", wanted), mask)

    places = [[place for place, digest in enumerate(digests) if digest == one] for one in wanted]
    assert first == [(number, place) for number, some in enumerate(places) for place in some[:most]]
    assert within == [(number, place) for number, some in enumerate(places) for place in some if mask[rows[place]]]


@given(given_=numbers(), name=st.sampled_from(["$eq", "$lt", "$lte", "$gt", "$gte"]), data=st.data())
def test_numbers_are_compared(given_: tuple[str, Any], name: str, data: st.DataObject) -> None:
    """A mask says of each number whether it compares as asked."""
    code, values = given_
    other = FLOATS if code == "d" else st.sampled_from([*values, 0, 1])
    both(_columns, "compare", values, code, name, data.draw(other))


@given(code=st.sampled_from("BHI"), data=st.data())
def test_codes_are_looked_up(code: str, data: st.DataObject) -> None:
    """The byte of a code is that of a table; a code that is in none is an error."""
    size = data.draw(st.integers(1, 250))
    codes = array(code, data.draw(st.lists(st.integers(0, size - 1), max_size=20)))
    both(_columns, "map_codes", codes, code, bytes(number % 256 for number in range(size)))
    assert _columns is not None
    with pytest.raises(IndexError):
        _columns.map_codes(array(code, [0]), code, b"")


@given(given_=sparse(), missing=st.integers(0, 1))
def test_values_are_spread(given_: tuple[int, Any], missing: int) -> None:
    """Rows without a value get what is said of them."""
    count, present = given_
    both(_columns, "spread", count, present, bytes(row % 2 for row in present), missing)


@given(given_=numbers(), descending=st.booleans())
def test_numbers_are_in_order(given_: tuple[str, Any], descending: bool) -> None:  # drawn
    """Rows come in the order of their numbers, NaN before all, or behind all where the greatest comes first."""
    code, values = given_
    whole = b"\1" * len(values)
    rows, asked = both(_rows, "first", [(code, values, None, None, descending)], None, whole, len(values))

    assert asked == []
    orders = [(not math.isnan(value), 0 if math.isnan(value) else value) for value in values]
    assert [orders[row] for row in rows] == sorted(orders, reverse=descending)


_SOME = st.integers(0, 3)


@st.composite
def rankings(draw: st.DrawFn, count: int) -> tuple[str, Any, Any, Any, bool]:
    """Give a column that rows can be ordered by: few values, so that many are equal."""
    descending = draw(st.booleans())
    present = array("H", sorted(draw(st.sets(st.integers(0, count - 1))))) if count and draw(st.booleans()) else None
    many = count if present is None else len(present)
    code = draw(st.sampled_from("bhiqQdBHI"))
    if code == "Q":
        present, many = None, count
    if code not in "BHI":
        item = st.sampled_from([0.0, -0.0, 1.5, -2.0, math.nan]) if code == "d" else _SOME
        return code, array(code, draw(st.lists(item, min_size=many, max_size=many))), present, None, descending
    table = array("Q", draw(st.lists(_SOME, min_size=4, max_size=4)))
    is_constant = draw(st.booleans())
    codes = [] if is_constant else draw(st.lists(_SOME, min_size=many, max_size=many))
    return code, array(code, codes), present, table, descending


@given(data=st.data(), count=st.integers(0, 40), most=st.integers(0, 45))
def test_the_first_rows_are_found(data: st.DataObject, count: int, most: int) -> None:
    """The first rows of a set come in the order of several columns, behind a place; those nobody knows are told."""
    columns = data.draw(st.lists(rankings(count), min_size=1, max_size=3))
    rows = bytes(data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))
    place = st.lists(_SOME | st.integers(2**64 - 4, 2**64 - 1), min_size=len(columns), max_size=len(columns))
    found, asked = both(_rows, "first", columns, data.draw(st.none() | place), rows, most)

    assert all(rows[row] for row in [*found, *asked])
    assert not {*found} & {*asked}
    assert len(found) <= most


@pytest.mark.parametrize("count", [511, 512, 513, 1024, 1500])
@pytest.mark.parametrize("descending", [False, True])
def test_the_first_of_many_rows_are_found(count: int, descending: bool) -> None:
    """Rows are found wherever they lie among many, first to last or the other way, where most of them are equal too."""
    chance = random.Random(count)  # noqa: S311  # the same numbers each time
    ids = array("Q", [chance.getrandbits(64) for _ in range(count)])
    rising = array("Q", sorted(ids, reverse=descending))
    for first in (array("d", [0.5]) * count, array("d", [chance.choice([0.5, 1.0, -3.0, math.nan]) for _ in ids])):
        for behind, rows in ((ids, b"\1" * count), (rising, bytes(chance.choice([0, 1, 1]) for _ in ids))):
            columns = [("d", first, None, None, descending), ("Q", behind, None, None, not descending)]
            found, _ = both(_rows, "first", columns, None, rows, 100)
            place = [rank_of_number(first[found[50]], "d"), behind[found[50]]]
            floor = [LAST - rank if column[4] else rank for rank, column in zip(place, columns, strict=True)]

            assert both(_rows, "first", columns, floor, rows, 49)[0] == found[51:]


@given(pairs=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), max_size=40), repeated=st.integers(1, 120))
def test_sets_are_combined_and_counted(pairs: list[tuple[int, int]], repeated: int) -> None:
    """Two sets of rows have rows in common, together and apart; how many there are is counted, however many."""
    left, right = (bytes(pair[number] for pair in pairs) * repeated for number in (0, 1))
    for name in ("both", "either", "outside"):
        both(_rows, name, left, right)

    assert both(_rows, "many", left) == left.count(1)


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
        ("sort_keys", ([bytes(9)],)),
        ("merge_keys", ([(bytes(8), b"\5\0", bytes(4))],)),
        ("search", (bytes(7), bytes(8), 1)),
        ("search_within", (bytes(8), b"", bytes(8), b"\1")),
        ("search_within", (bytes(8), b"\5\0", bytes(8), b"\1")),
        ("compare", (bytes(7), "q", "$eq", 1)),
        ("compare", (bytes(8), "x", "$eq", 1)),
        ("compare", (bytes(8), "q", "$ne", 1)),
        ("spread", (1, bytes(3), bytes(1), 0)),
        ("spread", (1, b"\5\0", bytes(1), 0)),
        ("both", (bytes(2), bytes(3))),
        ("first", ([], None, bytes(2), 1)),
        ("first", ([("q", bytes(8), None, None, False)], None, bytes(2), 1)),
        ("first", ([("q", bytes(9), None, None, False)], None, bytes(1), 1)),
        ("first", ([("x", bytes(8), None, None, False)], None, bytes(1), 1)),
        ("first", ([("q", bytes(8), None, None, False)], [1, 2], bytes(1), 1)),
        ("first", ([("q", bytes(8), b"\5\0", None, False)], None, bytes(1), 1)),
        ("first", ([("q", bytes(8), bytes(3), None, False)], None, bytes(1), 1)),
        ("first", ([("q", bytes(8), bytes(4), None, False)], None, bytes(2), 1)),
        ("first", ([("B", b"\3", None, bytes(8), False)], None, bytes(1), 1)),
        ("first", ([("B", b"", None, bytes(8), False)], None, bytes(1), 1)),
        ("kept", (bytes(3), 2, bytes(2))),
        ("seconds", (bytes(8), bytes(16), None)),
        ("seconds", (bytes(8), bytes(8), b"\5\0")),
    ],
)
def test_damaged_blocks_end_there(name: str, given_: Any) -> None:
    """Buffers that do not fit each other are an error, and nothing outside them is read."""
    module = next(module for module in (_keys, _columns, _rows) if hasattr(module, name))

    with pytest.raises((ValueError, IndexError)):
        getattr(module, name)(*given_)
