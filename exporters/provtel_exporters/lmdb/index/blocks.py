"""The blocks of a store as one transaction sees them.

Each write transaction adds a block. Four of about one size become one of four times that size, so that there are few,
and each row is copied few times; blocks that are large enough stay. What replaced or removed rows leave behind in a
block is marked as dead beside it, and gone when the block is next merged.
"""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from provtel_exporters.lmdb import layout
from provtel_exporters.lmdb.index.block import MOST_ROWS, Block, Entries, block_of, merged, parse
from provtel_exporters.lmdb.index.kernels import search, search_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import lmdb

    from provtel_exporters.lmdb.parts import KnownParts

_TOGETHER: Final = 4
_MOST_DEAD: Final = 4  # one in so many rows; more make a block be written anew
_LARGE: Final = MOST_ROWS // 2  # a block of so many rows stays as it is
_NONE: Final[frozenset[int]] = frozenset()


class Blocks:
    """The blocks of a store, oldest rows first.

    Args:
        txn: The transaction.
        databases: The store's databases.
        known: What this process knows of blocks that were committed, for a transaction that writes nothing.
    """

    def __init__(
        self, txn: lmdb.Transaction[Any], databases: layout.Databases, known: KnownParts | None = None
    ) -> None:
        self._txn = txn
        self._known = known
        self._databases = databases
        self._blocks: list[Block] | None = None
        self._dead: dict[int, frozenset[int]] | None = None

    def __iter__(self) -> Iterator[Block]:
        return iter(self._all())

    def __reversed__(self) -> Iterator[Block]:
        return reversed(self._all())

    def dead(self, block: Block) -> frozenset[int]:
        """Return the places in a block whose rows are gone."""
        if self._dead is None:
            with self._txn.cursor(self._databases.dead) as cursor:
                self._dead = {
                    int.from_bytes(key, "big"): frozenset(memoryview(value).cast("B").cast("H"))
                    for key, value in cursor
                }
        return self._dead.get(block.first, _NONE)

    def find(
        self, keys: Sequence[int], may_have: Callable[[Block], bool] = lambda _: True
    ) -> Iterator[tuple[int, Block, int]]:
        """Yield the number of a key, a block and a place in it, for every living row that a key may lead to.

        Args:
            keys: Keys, in any order.
            may_have: Says of a block whether it may have what is looked for.
        """
        wanted = array("Q", keys)
        for block in self._all():
            if may_have(block):
                yield from self._living(block, search(block.digests, wanted, MOST_ROWS))

    def find_few(self, keys: Sequence[int], few: int) -> tuple[Iterator[tuple[int, Block, int]], set[int]]:
        """Return what `find` yields of the keys that lead to few rows, and the numbers of the other keys.

        Args:
            keys: Keys, in any order.
            few: How many rows are few; of a key that leads to more, no more are counted.
        """
        wanted = array("Q", keys)
        found = [(block, search(block.digests, wanted, few + 1)) for block in self._all()]
        rows = Counter(number for _, pairs in found for number, _ in pairs)  # the dead count: not all were looked at
        many = {number for number, count in rows.items() if count > few}
        living = chain.from_iterable(self._living(block, pairs) for block, pairs in found)
        return (one for one in living if one[0] not in many), many

    def find_within(
        self, keys: Sequence[int], rows_of: Callable[[Block], bytes | None]
    ) -> Iterator[tuple[int, Block, int]]:
        """Yield what `find` does of some rows.

        Args:
            keys: Keys, in any order.
            rows_of: Returns the mask of those of a block; ``None`` for none.
        """
        wanted = array("Q", keys)
        for block in self._all():
            mask = rows_of(block)
            if mask is not None:
                yield from self._living(block, search_within(block.digests, block.places, wanted, mask))

    def _living(self, block: Block, found: Iterable[tuple[int, int]]) -> Iterator[tuple[int, Block, int]]:
        dead = self.dead(block)
        places = memoryview(block.places).cast("B").cast("H")
        for number, place in found:
            if places[place] not in dead:
                yield number, block, places[place]

    def add(self, entries: Entries) -> None:
        """Add a block of new rows, the last there are, and merge what is to be merged."""
        for start in range(0, len(entries.rows), MOST_ROWS):
            blocks = self._all()
            blocks.append(block_of(entries.between(start, start + MOST_ROWS)))
            groups = together([block.count for block in blocks])
            if not groups or groups[-1][1] < len(blocks):
                self._put(blocks[-1])
            for begin, end in reversed(groups):
                self._merge(begin, end)

    def bury(self, dead: Iterable[tuple[Block, int]]) -> None:
        """Mark places whose rows are gone; a block of which much is gone is written anew."""
        gone: dict[int, set[int]] = {}
        for block, place in dead:
            gone.setdefault(block.first, set(self.dead(block))).add(place)
        blocks = self._all()
        for number in reversed(range(len(blocks))):
            places = gone.get(blocks[number].first)
            if places:
                self._mark(blocks[number], frozenset(places))
                if len(places) * _MOST_DEAD > blocks[number].count:
                    self._merge(number, number + 1)

    def clear(self) -> None:
        """Forget every block."""
        for database in (self._databases.blocks, self._databases.dead):
            self._txn.drop(database, delete=False)
        self._blocks, self._dead = [], {}

    def _all(self) -> list[Block]:
        if self._blocks is None:
            heads = None if self._known is None else self._known.heads
            self._blocks = [parse(value, heads) for value in self._values()]
        return self._blocks

    def _values(self) -> Sequence[Any]:
        """Return the bytes of all blocks, where they lie; py-lmdb touches every page of what it looks up."""
        number, values = (-1, ()) if self._known is None else self._known.blocks
        if number != self._txn.id():
            with self._txn.cursor(self._databases.blocks) as cursor:
                values = [*cursor.iternext(keys=False)]
            if self._known is not None:
                self._known.blocks = self._txn.id(), values
        return values

    def _merge(self, begin: int, end: int) -> None:
        """Put one block in the place of some that follow each other."""
        blocks = self._all()
        old = blocks[begin:end]
        new = merged(old, [self.dead(block) for block in old])
        blocks[begin:end] = [new] if new is not None else []
        for block in old:
            self._txn.delete(_key(block.first), db=self._databases.blocks)
            self._mark(block, _NONE)
        if new is not None:
            self._put(new)

    def _mark(self, block: Block, places: frozenset[int]) -> None:
        """Write down which places of a block are dead."""
        known = self.dead(block)
        if self._dead is not None:
            self._dead[block.first] = places
        if places:
            self._txn.put(_key(block.first), array("H", sorted(places)).tobytes(), db=self._databases.dead)
        elif known:
            self._txn.delete(_key(block.first), db=self._databases.dead)

    def _put(self, block: Block) -> None:
        self._txn.put(_key(block.first), block.pack(), db=self._databases.blocks)


def together(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Return which blocks are to become one, each time the first of them and the one behind the last.

    Args:
        counts: How many rows each block has, oldest first; all but the last were looked at before.
    """
    groups = [(number, number + 1, count) for number, count in enumerate(counts)]
    while (found := _next_to_merge([count for _, _, count in groups])) is not None:
        begin, end = found
        whole = groups[begin][0], groups[end - 1][1], sum(count for _, _, count in groups[begin:end])
        groups[begin:end] = [whole]
    return [(begin, end) for begin, end, _ in groups if end - begin > 1]


def _next_to_merge(counts: Sequence[int]) -> tuple[int, int] | None:
    last = _level(counts[-1])
    begin = len(counts) - 1
    while begin and _level(counts[begin - 1]) <= last and counts[begin - 1] < _LARGE:
        begin -= 1
    if len(counts) - begin < _TOGETHER and all(_level(count) == last for count in counts[begin:]):
        return None
    end, rows = begin, 0
    while end < len(counts) and rows + counts[end] <= MOST_ROWS:
        rows += counts[end]
        end += 1
    return (begin, end) if end - begin > 1 else None


def _level(count: int) -> int:
    """Return a number that grows by one where a block is four times as large."""
    return (count.bit_length() - 1) // 2


def _key(first: int) -> bytes:
    return first.to_bytes(layout.ROW_BYTES, "big")
