"""What is done to every key or value of a block, in Python; `kernels` has the same, compiled where it can be.

Buffers are `bytes`, `array` or `memoryview`, named by the type codes of `struct`; numbers lie as this machine has them.
A mask is one byte a row, 1 or 0.
"""

from __future__ import annotations

import math
import operator
import struct
from array import array
from bisect import bisect_left
from heapq import nsmallest
from itertools import compress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LAST: Final = 2**64 - 1
NOTHING: Final = 0
"""The rank of a value that is not there, or null."""
NO_NUMBER: Final = 1
"""The rank of NaN, below every other number."""
_SIGN: Final = 2**63
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$eq": operator.eq,
    "$lt": operator.lt,
    "$lte": operator.le,
    "$gt": operator.gt,
    "$gte": operator.ge,
}


def sort_keys(digests: Any, rows: Any) -> tuple[bytes, bytes]:
    """Return keys in order: digests (Q) and, beside each, its row (H); of equal digests the lower row comes first."""
    pairs = sorted(zip(_view(digests, "Q"), _view(rows, "H"), strict=True))
    return array("Q", [digest for digest, _ in pairs]).tobytes(), array("H", [row for _, row in pairs]).tobytes()


def merge_keys(parts: Sequence[tuple[Any, Any, Any]]) -> tuple[bytes, bytes]:
    """Return the keys of several blocks as those of one.

    Args:
        parts: Digests (Q), rows (H), and the new number (i) of each row of a block; a negative one leaves the row out.
    """
    digests, rows = array("Q"), array("H")
    for found, old, renumbered in parts:
        numbers = _view(renumbered, "i")
        for digest, row in zip(_view(found, "Q"), _view(old, "H"), strict=True):
            if numbers[row] >= 0:
                digests.append(digest)
                rows.append(numbers[row])
    return sort_keys(digests, rows)


def search(digests: Any, wanted: Any) -> list[tuple[int, int]]:
    """Return the place of each wanted digest (Q) that is there, and every place in the digests (Q, sorted) with it."""
    known = _view(digests, "Q")
    found: list[tuple[int, int]] = []
    for number, digest in enumerate(_view(wanted, "Q")):
        place = bisect_left(known, digest)
        while place < len(known) and known[place] == digest:
            found.append((number, place))
            place += 1
    return found


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


def ranks_of_numbers(values: Any, code: str, *, descending: bool) -> bytes:
    """Return ranks (Q) of numbers: in the order of their values, above what is not there."""
    ranks = [rank_of_number(value, code) for value in _view(values, code)]
    return array("Q", [LAST - rank for rank in ranks] if descending else ranks).tobytes()


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


def ranks_of_codes(codes: Any, code: str, table: Any) -> bytes:
    """Return, for each code (B, H or I), the rank (Q) of a table."""
    ranks = _view(table, "Q")
    return array("Q", [ranks[number] for number in _view(codes, code)]).tobytes()


def spread_ranks(count: int, present: Any, ranks: Any, missing: int) -> bytes:
    """Return the ranks of all rows, where they are known of the rows (H) that have a value."""
    result = array("Q", [missing]) * count
    for row, rank in zip(_view(present, "H"), _view(ranks, "Q"), strict=True):
        result[row] = rank
    return result.tobytes()


def top(ranks: Sequence[Any], floor: Sequence[int] | None, mask: bytes, most: int) -> list[int]:
    """Return the rows of a mask with the lowest ranks (Q), in order: the first column counts first, then the next.

    Args:
        ranks: Columns of ranks.
        floor: Ranks that a row must exceed; ``None`` for any row.
        mask: The rows that count.
        most: How many to return at most.
    """
    columns = [_view(column, "Q") for column in ranks]
    rows = zip(*columns, range(len(mask)), strict=True)
    least = None if floor is None else (*floor, LAST)
    chosen = (row for row in compress(rows, mask) if least is None or row > least)
    return [row[-1] for row in nsmallest(most, chosen)]


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
