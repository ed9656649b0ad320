"""Ranks: numbers that stand for the values of a field in one block, in the order in which values are sorted."""

from __future__ import annotations

import math
import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from provtel_model.fields import MISSING, elements, order_of

from provtel_exporters.lmdb.conditions import PARTS_OF, durations
from provtel_exporters.lmdb.index.block import ELSEWHERE, MAPS, TRACE, Block
from provtel_exporters.lmdb.index.columns import UNKNOWN, Column, column_of
from provtel_exporters.lmdb.index.kernels import (
    LAST,
    NO_NUMBER,
    NOTHING,
    map_codes,
    rank_of_number,
    ranks_of_codes,
    ranks_of_numbers,
    spread,
    spread_ranks,
)
from provtel_exporters.lmdb.runs import runs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_exporters.lmdb.parts import Parts

_SIGN: Final = 2**63
_NULL: Final = order_of(None)


@dataclass(frozen=True)
class Ranked:
    """The ranks of one field in one block.

    Args:
        block: The block.
        column: What the records have there; ``None`` where none has anything.
        descending: The greatest comes first.
        value_of: What the value of a code is.
    """

    block: Block
    column: Column | None
    descending: bool
    value_of: Callable[[Any], Any] = lambda value: value

    @cached_property
    def ranks(self) -> bytes:
        """The rank (Q) of each row; the lowest comes first."""
        column = self.column
        if column is None:
            return array("Q", [self._turned(NOTHING)]).tobytes() * self.block.count
        if column.is_numeric or column.code == "Q":
            found = ranks_of_numbers(column.data, column.code, descending=self.descending)
        else:
            table = array("Q", [self._turned(self._rank(order)) for order in self._orders_by_code])
            found = (
                table[1:2].tobytes() * len(column.rows)
                if column.is_constant
                else ranks_of_codes(column.data, column.code, table)
            )
        if column.present is None:
            return found
        return spread_ranks(self.block.count, column.present, found, self._turned(NOTHING))

    @property
    def unknown(self) -> bytes | None:
        """The mask of the rows whose records are to be asked for the value; ``None`` where there are none."""
        column = self.column
        if column is None or column.is_numeric or column.is_constant or column.code == "Q":
            return None
        unknown = map_codes(column.data, column.code, b"\1" + bytes(len(column.values) - 1))
        if 1 not in unknown:
            return None
        return unknown if column.present is None else spread(self.block.count, column.present, unknown, 0)

    def order(self, place: int) -> tuple[int, Any]:
        """Return the place in sorts of the value of a row, as `provtel_model.fields.order_of` does."""
        rank = self._turned(memoryview(self.ranks).cast("B").cast("Q")[place])
        column = self.column
        if column is None or (rank == NOTHING and column.code != "Q"):
            return _NULL
        if column.is_numeric or column.code == "Q":
            return _order_of_rank(rank, column.code)
        return self._orders[rank]

    def floor(self, order: tuple[int, Any]) -> tuple[int, bool] | None:
        """Return the rank of a value that the block need not have, and whether it has that rank for itself.

        ``None`` where nothing is known of it.
        """
        column = self.column
        if column is not None and (column.is_numeric or column.code == "Q"):
            found = _floor_of_number(order, column.code, descending=self.descending)
            return None if found is None else (self._turned(found[0]), found[1])
        orders = [_NULL] if column is None else self._orders
        rank = bisect_left(orders, order)
        is_exact = rank < len(orders) and orders[rank] == order
        return self._turned(rank if is_exact or self.descending else rank - 1), is_exact

    @cached_property
    def _orders_by_code(self) -> list[tuple[int, Any]]:
        values = [] if self.column is None else self.column.values[1:]
        return [_NULL, *(order_of(self.value_of(value)) for value in values)]

    @cached_property
    def _orders(self) -> list[tuple[int, Any]]:
        return sorted({_NULL, *self._orders_by_code})

    @cached_property
    def _numbers(self) -> dict[tuple[int, Any], int]:
        return {order: number for number, order in enumerate(self._orders)}

    def _rank(self, order: tuple[int, Any]) -> int:
        return self._numbers[order]

    def _turned(self, rank: int) -> int:
        return LAST - rank if self.descending else rank


def ranked(block: Block, parts: Parts, name: str, *, descending: bool) -> Ranked | None:
    """Return the ranks of a field; ``None`` where records must be asked."""
    top, *rest = name.split(".")
    path = tuple(rest)
    if top == "started_at":
        return Ranked(block, None if rest else Column(block.count, "Q", block.starts), descending)
    if top == "trace_id":
        return Ranked(block, block.columns[TRACE], descending, lambda trace: _first(trace.hex(), path))
    if top in PARTS_OF:
        column, fields = PARTS_OF[top]
        number = fields.index(top)
        return Ranked(block, block.columns[column], descending, lambda part: _first(parts[part][number], path))
    found = _column_of(block, parts, top, rest)
    if found is UNKNOWN:
        return None
    if top in MAPS:
        return Ranked(block, found, descending)
    if found is not None and found.is_numeric:
        return Ranked(block, None if rest else found, descending)
    return Ranked(block, found, descending, lambda value: _first(value, path))


def spans_of(block: Block, *, descending: bool) -> Ranked:
    """Return the ranks of the span ids of a block."""
    return Ranked(block, Column(block.count, "Q", block.spans), descending)


def _column_of(block: Block, parts: Parts, top: str, rest: Sequence[str]) -> Any:
    """Return the column of a field, ``None`` where the block has none, or `UNKNOWN` where records must be asked."""
    if top == "run":
        return column_of(block.count, range(block.count), runs_of(block, parts))
    if top == "duration":
        return durations(block)
    if top not in MAPS:
        return UNKNOWN if top in ELSEWHERE or top in {"id", "span_id"} else block.columns.get(top)
    prefixes = (".".join(rest[:length]) for length in range(1, len(rest)))
    if not rest or any(f"{top}\0{prefix}" in block.columns for prefix in prefixes):
        return UNKNOWN
    return block.columns.get(f"{top}\0{'.'.join(rest)}")


def _first(value: Any, path: tuple[str, ...]) -> Any:
    """Return the first value at a path into a value; null where there is none."""
    return next((found for found in elements(value, path) if found is not MISSING), None)


def _order_of_rank(rank: int, code: str) -> tuple[int, Any]:
    if code == "Q":
        return 1, (1, rank)
    if rank == NO_NUMBER:
        return order_of(math.nan)
    if code != "d":
        return 1, (1, rank - _SIGN + 1)
    bits = rank - _SIGN if rank & _SIGN else LAST - rank
    return 1, (1, struct.unpack("=d", struct.pack("=Q", bits))[0])


def _floor_of_number(order: tuple[int, Any], code: str, *, descending: bool) -> tuple[int, bool] | None:
    kind, (is_number, value) = order[0], order[1] if order[0] == 1 else (0, 0)
    if code == "Q":
        return (value, True) if kind == 1 and is_number and type(value) is int and 0 <= value <= LAST else None
    if kind == 0:
        return NOTHING, True
    if kind > 1:
        return LAST, False
    if not is_number:
        return NO_NUMBER, code == "d"
    return _floor_of_double(value, descending=descending) if code == "d" else _floor_of_integer(value, descending)


def _floor_of_double(value: float, *, descending: bool) -> tuple[int, bool]:
    try:
        nearest = float(value)
    except OverflowError:
        nearest = math.inf if value > 0 else -math.inf
    rank = rank_of_number(nearest, "d")
    if nearest == value:
        return rank, True
    if nearest > value:
        return rank - (not descending), False
    return rank + descending, False


def _floor_of_integer(value: float, descending: bool) -> tuple[int, bool]:  # noqa: FBT001  # a direction
    if value >= _SIGN:
        return LAST, False
    if value < -_SIGN:
        return (NO_NUMBER + 1 if descending else NO_NUMBER), False
    whole = math.ceil(value) if descending else math.floor(value)
    return rank_of_number(whole, "q"), whole == value
