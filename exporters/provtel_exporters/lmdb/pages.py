"""Pages of an answer: the first rows of all blocks in the order that a query wants, behind a place in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from provtel_model.fields import order_at, order_of

from provtel_exporters.lmdb.conditions import rows_in
from provtel_exporters.lmdb.index.block import Block
from provtel_exporters.lmdb.index.kernels import LAST, top
from provtel_exporters.lmdb.index.keys import RECORD_ID
from provtel_exporters.lmdb.ranks import Ranked, ranked, spans_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provtel_model.paging import Place
    from provtel_model.record import PlainRecord

    from provtel_exporters.lmdb.parts import Parts

_Order = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that may be on a page.

    Args:
        orders: The places in sorts of what it is ordered by, the id and the start among them.
        block: Its block.
        place: Its place there.
    """

    orders: tuple[_Order, ...]
    block: Block
    place: int


class Page:
    """The search for the first rows in an order.

    Args:
        sort: The order: fields, and 1 or -1.
        parts: The interned parts of the store.
        plain_at: Returns the record at a place of a block.
    """

    def __init__(
        self, sort: Sequence[tuple[str, int]], parts: Parts, plain_at: Callable[[Block, int], PlainRecord]
    ) -> None:
        self._sort = sort
        self._parts = parts
        self._plain_at = plain_at
        self._order = (*sort, ("id", 1), ("started_at", 1))
        self._directions = [direction for name, direction in self._order for _ in range(1 + (name == "id"))]

    def first_of(
        self, block: Block, rows: int, after: Place | None, most: int, known: Sequence[Candidate]
    ) -> list[Candidate]:
        """Return the first rows of one block, so many at most, and all whose place only their records tell.

        Args:
            block: The block.
            rows: The rows that count, as a set of `provtel_exporters.lmdb.conditions`.
            after: What must come before them.
            most: How many.
            known: The first rows of other blocks, in order; where there are enough, rows behind all are left out.
        """
        columns = self._columns(block)
        if columns is None:
            return self._asked(block, rows, after)
        asked = 0
        for column in columns:
            unknown = column.unknown
            if unknown is not None:
                asked |= rows & int.from_bytes(unknown, "little")
        mask = (rows & ~asked).to_bytes(block.count, "little")
        floor = None if after is None else self._floor(columns, after)
        places = top([column.ranks for column in columns], floor, mask, most)
        worst = known[-1].orders[0] if len(known) >= most else None
        found: list[Candidate] = []
        for place in places:
            first = columns[0].order(place)
            if worst is not None and (first < worst if self._directions[0] < 0 else first > worst):
                break
            found.append(Candidate((first, *(column.order(place) for column in columns[1:])), block, place))
        return found + self._asked(block, asked, after)

    def in_order(self, candidates: list[Candidate], most: int) -> list[Candidate]:
        """Return the first of some candidates, in order."""
        for number, direction in reversed([*enumerate(self._directions)]):
            candidates.sort(key=partial(_order_in, number), reverse=direction < 0)
        return candidates[:most]

    def _columns(self, block: Block) -> list[Ranked] | None:
        found: list[Ranked] = []
        for name, direction in self._order:
            descending = direction < 0
            column = ranked(block, self._parts, "trace_id" if name == "id" else name, descending=descending)
            if column is None:
                return None
            found.append(column)
            if name == "id":
                found.append(spans_of(block, descending=descending))
        return found

    def _asked(self, block: Block, rows: int, after: Place | None) -> list[Candidate]:
        found = [(place, self._plain_at(block, place)) for place in rows_in(rows, block.count)]
        return [
            Candidate(tuple(self._orders_of(plain)), block, place)
            for place, plain in found
            if after is None or after.precedes(plain, self._sort)
        ]

    def _orders_of(self, plain: PlainRecord) -> list[_Order]:
        orders: list[_Order] = []
        for name, _ in self._order:
            if name == "id":
                orders += [order_of(plain["trace_id"]), order_of(int(plain["span_id"], 16))]
            else:
                orders.append(order_at(plain, tuple(name.split("."))))
        return orders

    def _floor(self, columns: Sequence[Ranked], after: Place) -> list[int] | None:
        """Return the ranks that rows behind a place must exceed; ``None`` where nothing is known of them."""
        orders: list[_Order] = []
        for (name, _), value in zip(
            self._order,
            (*after.values, after.key.id, after.key.started_at),
            strict=True,
        ):
            if name == "id":
                match = RECORD_ID.fullmatch(str(value))
                if match is None:
                    return None
                orders += [order_of(match[1]), order_of(int(match[2], 16))]
            else:
                orders.append(order_of(value))
        floor: list[int] = []
        for column, order in zip(columns, orders, strict=True):
            found = column.floor(order)
            if found is None:
                return None
            floor.append(found[0])
            if not found[1]:
                break
        return floor + [LAST] * (len(columns) - len(floor))


def _order_in(number: int, candidate: Candidate) -> _Order:
    return candidate.orders[number]
