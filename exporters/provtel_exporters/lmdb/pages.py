"""Pages of an answer: the first rows of all blocks in the order that a query wants, behind a place in it."""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, Any

from provtel_model.fields import order_at, order_of

from provtel_exporters.lmdb.conditions import rows_in
from provtel_exporters.lmdb.index.kernels import LAST, first
from provtel_exporters.lmdb.index.keys import RECORD_ID
from provtel_exporters.lmdb.ranks import Ranked, ranked, spans_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from provtel_model.paging import Place
    from provtel_model.record import PlainRecord

    from provtel_exporters.lmdb.index.block import Block
    from provtel_exporters.lmdb.parts import Parts

_Order = tuple[int, Any]


class Candidate:
    """A row that may be on a page; it is less than those that come behind it.

    Args:
        block: Its block.
        place: Its place there.
        orders: Its places in the sorts by what it is ordered by, the id and the start among them.
        directions: 1 or -1 for each of them.
    """

    __slots__ = ("block", "directions", "orders", "place")

    def __init__(self, block: Block, place: int, orders: Sequence[_Order], directions: Sequence[int]) -> None:
        self.block = block
        self.place = place
        self.orders = orders
        self.directions = directions

    def __lt__(self, other: Candidate) -> bool:
        """Say whether it comes before another."""
        for mine, its, direction in zip(self.orders, other.orders, self.directions, strict=False):
            if mine != its:
                return (mine < its) == (direction > 0)
        return False

    @property
    def start_in_order(self) -> int:
        """When it started, times the direction of the sort by it; the least comes first."""
        return self.block.start(self.place) * self.directions[0]


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

    def first_of(self, block: Block, rows: bytes, after: Place | None, most: int) -> Iterator[Candidate]:
        """Yield the first rows of one block, and all of which only the records tell the place, in order.

        Args:
            block: The block.
            rows: The rows that count, as a set of `provtel_exporters.lmdb.conditions`.
            after: What must come before them.
            most: How many of those whose place the columns tell.
        """
        columns = self._columns(block)
        if columns is None:
            return iter(self._asked(block, rows_in(rows), after))
        floor = None if after is None else self._floor(columns, after)
        places, asked = first([column.ranking for column in columns], floor, rows, most)
        found = (
            Candidate(block, place, [column.order(place) for column in columns], self._directions) for place in places
        )
        return merge(found, self._asked(block, asked, after)) if asked else found

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

    def _asked(self, block: Block, places: Iterable[int], after: Place | None) -> list[Candidate]:
        """Return candidates for rows of which the records tell the place, in order."""
        found = [(place, self._plain_at(block, place)) for place in places]
        return sorted(
            Candidate(block, place, self._orders_of(plain), self._directions)
            for place, plain in found
            if after is None or after.precedes(plain, self._sort)
        )

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
