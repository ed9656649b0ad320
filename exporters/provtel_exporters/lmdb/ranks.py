"""Ranks: numbers that stand for the values of a field in one block, in the order in which values are sorted."""

from __future__ import annotations

import math
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
from provtel_exporters.lmdb.index.kernels import LAST, NO_NUMBER, NOTHING, Ranking, rank_of_number
from provtel_exporters.lmdb.runs import runs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_exporters.lmdb.parts import Parts

_SIGN: Final = 2**63
_NULL: Final = order_of(None)
_NO_RANKS: Final = array("Q", [NOTHING, NOTHING])


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

    @property
    def ranking(self) -> Ranking:
        """What rows are ordered by, for `provtel_exporters.lmdb.index.kernels.first`."""
        column = self.column
        if column is None:
            return "B", b"", None, _NO_RANKS, self.descending
        if column.is_numeric or column.code == "Q":
            return column.code, column.data, column.present, None, self.descending
        table = array("Q", [self._numbers[order] for order in self._orders_by_code])
        return column.code, column.data, column.present, table, self.descending

    def order(self, place: int) -> tuple[int, Any]:
        """Return the place in sorts of the value of a row, as `provtel_model.fields.order_of` does."""
        found = None if self.column is None else self.column.item(place)
        return _NULL if found is None else order_of(self.value_of(found))

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
    return next((found for found in elements(value, path) if found is not MISSING), None) if path else value


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
