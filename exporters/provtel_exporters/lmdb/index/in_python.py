"""What is done to every key or value of a block, in Python; `kernels` has the same, compiled where it can be.

Buffers are `bytes`, `array` or `memoryview`, named by the type codes of `struct`; numbers lie as this machine has them.
A mask, or set of rows, is one byte a row, 1 or 0.
"""

from __future__ import annotations

import math
import operator
import struct
from array import array
from bisect import bisect_left
from heapq import nsmallest
from itertools import compress, islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Ranking: TypeAlias = tuple[str, Any, Any, Any, bool]
"""What rows are ordered by: a type code, numbers or codes, the rows (H) that have one or ``None``, the rank (Q) of each
code or ``None``, and whether the greatest comes first. Code 0 stands for what the column does not hold; where there are
no codes, all rows have code 1. The lowest rank comes first."""

LAST: Final = 2**64 - 1
NOTHING: Final = 0
"""The rank of a value that is not there, or null."""
NO_NUMBER: Final = 1
"""The rank of NaN, below every other number."""
_SIGN: Final = 2**63
_MOST_ROWS: Final = 2**16
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$eq": operator.eq,
    "$lt": operator.lt,
    "$lte": operator.le,
    "$gt": operator.gt,
    "$gte": operator.ge,
}


def sort_keys(rows: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return keys in order: digests (Q) and, beside each, its row (H); of equal digests the lower row comes first.

    Args:
        rows: The keys (Q) of each row.
    """
    if len(rows) > _MOST_ROWS or any(len(keys) % 8 for keys in rows):
        raise ValueError("there are too many rows, or one's keys are no whole number of digests")
    return _in_order([(digest, row) for row, keys in enumerate(rows) for digest in _view(keys, "Q")])


def _in_order(pairs: list[tuple[int, int]]) -> tuple[bytes, bytes]:
    pairs.sort()
    return array("Q", [digest for digest, _ in pairs]).tobytes(), array("H", [row for _, row in pairs]).tobytes()


def merge_keys(parts: Sequence[tuple[Any, Any, Any]]) -> tuple[bytes, bytes]:
    """Return the keys of several blocks as those of one.

    Args:
        parts: Digests (Q), rows (H), and the new number (i) of each row of a block; a negative one leaves the row out.
    """
    pairs: list[tuple[int, int]] = []
    for found, old, renumbered in parts:
        numbers = _view(renumbered, "i")
        for digest, row in zip(_view(found, "Q"), _view(old, "H"), strict=True):
            if numbers[row] >= 0:
                pairs.append((digest, numbers[row]))
    return _in_order(pairs)


def search(digests: Any, wanted: Any, most: int) -> list[tuple[int, int]]:
    """Return the place of each wanted digest (Q) that is there, and the places in the digests (Q, sorted) with it.

    Args:
        digests: The digests.
        wanted: The wanted ones.
        most: How many places to return of each at most: the first ones.
    """
    known = _view(digests, "Q")
    return [
        (number, place)
        for number, digest in enumerate(_view(wanted, "Q"))
        for place in islice(_places(known, digest), max(most, 0))
    ]


def search_within(digests: Any, rows: Any, wanted: Any, mask: bytes) -> list[tuple[int, int]]:
    """Return what `search` does of every place of a wanted digest whose row is in a mask.

    Args:
        digests: The digests.
        rows: The row (H) of each.
        wanted: The wanted ones.
        mask: The rows.
    """
    known, of = _view(digests, "Q"), _view(rows, "H")
    if len(known) != len(of):
        raise ValueError("there are not as many rows as digests")
    return [
        (number, place)
        for number, digest in enumerate(_view(wanted, "Q"))
        for place in _places(known, digest)
        if mask[of[place]]
    ]


def _places(known: Sequence[int], digest: int) -> Iterator[int]:
    """Yield every place of a digest."""
    place = bisect_left(known, digest)
    while place < len(known) and known[place] == digest:
        yield place
        place += 1


def compare(values: Any, code: str, name: str, operand: float) -> bytes:
    """Return a mask of the numbers that compare with an operand as a filter's operator says.

    Args:
        values: Numbers.
        code: Their type: ``b``, ``h``, ``i``, ``q``, ``Q`` or ``d``.
        name: ``$eq``, ``$lt``, ``$lte``, ``$gt`` or ``$gte``.
        operand: A number of the same type.
    """
    holds = _OPERATORS[name]
    return bytes([holds(value, operand) for value in _view(values, code)])


def map_codes(codes: Any, code: str, table: bytes) -> bytes:
    """Return, for each code (B, H or I), the byte of a table."""
    return bytes(map(table.__getitem__, _view(codes, code)))


def spread(count: int, present: Any, mask: bytes, missing: int) -> bytes:
    """Return the mask of all rows, where one is known of the rows (H) that have a value; the others get `missing`."""
    result = bytearray([missing]) * count
    for row, value in zip(_view(present, "H"), mask, strict=True):
        result[row] = value
    return bytes(result)


def rank_of_number(value: float, code: str) -> int:
    """Return the rank of a number among those of a type."""
    if code == "Q":
        return int(value)
    if code != "d":
        return int(value) + _SIGN - 1
    if math.isnan(value):
        return NO_NUMBER
    bits: int = struct.unpack("=Q", struct.pack("=d", value + 0.0))[0]  # so that both zeros are one
    return LAST - bits if bits & _SIGN else bits + _SIGN


def first(
    columns: Sequence[Ranking], after: Sequence[int] | None, rows: bytes, most: int
) -> tuple[list[int], list[int]]:
    """Return the first rows of a set in an order, and those for whose place their records are to be asked.

    Args:
        columns: What the rows are ordered by: the first column counts first, then the next.
        after: The ranks of a place that rows must lie behind; ``None`` for any row.
        rows: The set.
        most: How many of the first to return at most.
    """
    mask = bytearray(rows)
    asked: list[int] = []
    ranks: list[list[int]] = []
    for column in columns:
        found, unknown = _ranks(column, len(mask))
        ranks.append(found)
        asked += [row for row in unknown if mask[row]]
        for row in unknown:
            mask[row] = 0
    chosen = compress(zip(*ranks, range(len(mask)), strict=True), mask)
    behind = () if after is None else (*after, LAST)
    return [row[-1] for row in nsmallest(most, (row for row in chosen if behind < row))], asked


def _ranks(column: Ranking, count: int) -> tuple[list[int], list[int]]:
    """Return the rank of each row, and the rows of which the column does not hold the value."""
    code, data, present, table, descending = column
    rows = range(count) if present is None else _view(present, "H").tolist()
    items = _view(data, code).tolist()
    if table is None:
        found = [rank_of_number(item, code) for item in items]
    else:
        known = _view(table, "Q")
        found = [known[item] for item in items] if items else [known[1]] * len(rows)
    ranks = [NOTHING] * count
    for row, rank in zip(rows, found, strict=True):
        ranks[row] = rank
    unknown = [] if table is None else [row for row, item in zip(rows, items, strict=False) if not item]
    return [LAST - rank for rank in ranks] if descending else ranks, unknown


def both(left: bytes, right: bytes) -> bytes:
    """Return the rows that are in both sets."""
    return (int.from_bytes(left, "little") & int.from_bytes(right, "little")).to_bytes(len(left), "little")


def either(left: bytes, right: bytes) -> bytes:
    """Return the rows that are in one set or the other."""
    return (int.from_bytes(left, "little") | int.from_bytes(right, "little")).to_bytes(len(left), "little")


def outside(left: bytes, right: bytes) -> bytes:
    """Return the rows of a set that are not in another."""
    return (int.from_bytes(left, "little") & ~int.from_bytes(right, "little")).to_bytes(len(left), "little")


def many(rows: bytes) -> int:
    """Return how many rows a set has."""
    return int.from_bytes(rows, "little").bit_count()


def seconds(starts: Any, ends: Any, present: Any) -> bytes:
    """Return durations (d) in seconds.

    Args:
        starts: When each row of the block started (Q), in nanoseconds.
        ends: When those that ended did (q).
        present: The rows (H) that did; ``None`` where all did.
    """
    begun = _view(starts, "Q")
    rows = range(len(begun)) if present is None else _view(present, "H")
    return array("d", [(end - begun[row]) / 1e9 for row, end in zip(rows, _view(ends, "q"), strict=True)]).tobytes()


def kept(values: Any, size: int, mask: bytes) -> bytes:
    """Return the items, so many bytes each, of the rows of a mask."""
    view = memoryview(values).cast("B")
    return b"".join(view[place * size : (place + 1) * size] for place, there in enumerate(mask) if there)


def _view(values: Any, code: str) -> memoryview[Any]:
    view = memoryview(values)
    return view if view.format == code else view.cast("B").cast(code)  # type: ignore[call-overload]  # codes are text
