"""One view of a store: finds rows by keys and by the columns of blocks, and checks what these cannot decide."""

from __future__ import annotations

from functools import partial
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from provtel_model.aggregation import aggregate, different, distinct
from provtel_model.errors import StoreError
from provtel_model.paging import Place
from provtel_model.record import key_of

from provtel_exporters.lmdb import layout, observations
from provtel_exporters.lmdb.conditions import Bounds, Conditions, Read, reading_once, rows_in
from provtel_exporters.lmdb.figures import Figures, different_values
from provtel_exporters.lmdb.groups import counts_of
from provtel_exporters.lmdb.index.blocks import Blocks
from provtel_exporters.lmdb.index.kernels import many
from provtel_exporters.lmdb.index.keys import PARENT, key_of_id, reference_key
from provtel_exporters.lmdb.pages import Candidate, Page
from provtel_exporters.lmdb.parts import Parts
from provtel_exporters.lmdb.rows import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from provtel_model.aggregation import Aggregation
    from provtel_model.anyvalue import AnyValue
    from provtel_model.filters import Query
    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint, Window

    from provtel_exporters.lmdb.files import Transaction
    from provtel_exporters.lmdb.index.block import Block

T = TypeVar("T")

_MOST_AT_ONCE: Final = 10_000
_FEW: Final = 4  # so many records are read sooner than told apart
_FIRST_START: Final[Mapping[tuple[tuple[str, int], ...], Callable[[Block], int]]] = {
    (("started_at", -1),): lambda block: -block.latest,
    (("started_at", 1),): lambda block: block.earliest,
}
"""The least that a block has, of starts times direction, where the start decides first."""
_LAST_ROW: Final = 2 ** (8 * layout.ROW_BYTES) - 1


class Snapshot:
    """The records of a store at one moment."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._txn = transaction.txn
        self._databases = transaction.databases
        self._parts = Parts(transaction.txn, transaction.databases, transaction.known)
        self._blocks = Blocks(transaction.txn, transaction.databases, transaction.known)

    def find(self, query: Query) -> list[PlainRecord]:
        """Return the records that a query selects, in its order, with its fields."""
        known = self._by_keys(query.where)
        if known is not None:
            found = query.ordered([plain for plain in known if query.selects(plain)])
        elif query.limit is None:
            found = query.ordered([*self._matching(query)])
        else:
            found = self._page(query, query.limit)
        return [*map(query.projected, found)]

    def count(self, query: Query) -> int:
        """Return how many records a query's filter matches."""
        known = self._by_keys(query.where)
        if known is not None:
            return sum(map(query.matches, known))
        return sum(many(rows) for _, rows in self._exactly(query))

    def with_ids(self, record_ids: Sequence[str]) -> dict[str, PlainRecord]:
        """Return the earliest record of each id that the store has."""
        found: dict[str, PlainRecord] = {}
        keys = {record_id: key for record_id in record_ids if (key := key_of_id(record_id)) is not None}
        wanted = [*keys]
        for number, block, place in self._blocks.find([*keys.values()]):
            known, plain = wanted[number], self._remembered(block, place)
            if key_of(plain).id == known and (known not in found or plain["started_at"] < found[known]["started_at"]):
                found[known] = plain
        return found

    def led_to(self, keys: Sequence[int], name: str, made_of: Callable[[PlainRecord], T]) -> list[list[T]]:
        """Return, for each key, what is made of the records that it may lead to.

        Args:
            keys: The keys.
            name: What is made: it is remembered under this name and the number of the row.
            made_of: Makes it.
        """
        found: list[list[T]] = [[] for _ in keys]
        self._add_made(found, self._blocks.find(keys), name, made_of)
        return found

    def led_to_in(
        self, runs: Collection[str], keys: Sequence[int], name: str, made_of: Callable[[PlainRecord], T]
    ) -> tuple[list[list[T]], set[int]]:
        """Return what `led_to` does; of a key that leads to many records only of those of some runs.

        Args:
            runs: The runs, by `provtel_model.record.run_of`.
            keys: The keys.
            name: As for `led_to`.
            made_of: As for `led_to`.

        Returns:
            It, and the numbers of the keys that lead to many.
        """
        found: list[list[T]] = [[] for _ in keys]
        of_few, many = self._blocks.find_few(keys, _FEW)
        self._add_made(found, of_few, name, made_of)
        if many:
            numbers = sorted(many)
            rows_of = partial(self._rows_of, {"run": {"$in": [*runs]}}, reading_once())
            of_runs = self._blocks.find_within([keys[number] for number in numbers], rows_of)
            self._add_made(found, ((numbers[number], block, place) for number, block, place in of_runs), name, made_of)
        return found, many

    def _rows_of(self, where: Mapping[str, Any], read: Read, block: Block) -> bytes | None:
        """Return the mask of the rows of a block that may match a filter; ``None`` where none may."""
        rows = Conditions(block, self._parts, read).matching(where).maybe
        return rows if 1 in rows else None

    def _add_made(
        self,
        found: list[list[T]],
        rows: Iterable[tuple[int, Block, int]],
        name: str,
        made_of: Callable[[PlainRecord], T],
    ) -> None:
        made = self._transaction.known.made
        for number, block, place in rows:
            at = name, block.row(place)
            one = made.get(at)
            if one is None:
                one = made[at] = made_of(self._remembered(block, place))
            found[number].append(one)

    def points(self, window: Window) -> list[PlainPoint]:
        """Return the data points of a window."""
        return observations.points(self._transaction, self._parts).within(window)

    def logs(self, window: Window) -> list[PlainLog]:
        """Return the log records of a window."""
        return observations.logs(self._transaction, self._parts).within(window)

    def counts(self, query: Query, by: Sequence[str]) -> Mapping[tuple[str | None, ...], int] | None:
        """Return how many records of those that match have each combination of values at some fields.

        ``None`` where the records themselves must be asked.
        """
        if self._by_keys(query.where) is not None:
            return None
        return counts_of(self._exactly(query), by, self._parts)

    def aggregate(self, wanted: Aggregation) -> list[dict[str, AnyValue]]:
        """Return figures over groups of records."""
        known = self._by_keys(wanted.where)
        if known is not None:
            return aggregate(known, wanted)
        figures = Figures(wanted, self._parts, self.plain_at)
        for block, rows in self._exactly(wanted.query):
            figures.add(block, rows)
        return figures.answer()

    def distinct(self, name: str, query: Query) -> list[AnyValue]:
        """Return the different values that the records which match have at a field."""
        known = self._by_keys(query.where)
        if known is not None:
            return distinct(known, name, query)
        return different(
            value
            for block, rows in self._exactly(query)
            for value in different_values(block, rows, name, self._parts, self.plain_at)
        )

    def changes(self, first: int, limit: int) -> tuple[list[PlainRecord], int]:
        """Return what is in the rows from one on, and the row behind it."""
        with self._txn.cursor(self._databases.rows) as cursor:
            there = cursor.set_range(layout.row_key(min(first, _LAST_ROW)))
            found = [*islice(cursor, limit)] if there else []
        last = int.from_bytes(found[-1][0], "big") + 1 if len(found) == limit else self.next_row
        return [decode(content, self._parts) for _, content in found], last

    @property
    def next_row(self) -> int:
        """The number of the row that comes next."""
        return layout.next_row(self._txn, self._databases)

    @property
    def name(self) -> str:
        """What tells the store from others."""
        return layout.name_of_store(self._txn, self._databases)

    def plain_at(self, block: Block, place: int) -> PlainRecord:
        """Return the record at a place of a block."""
        row = block.row(place)
        content = self._txn.get(layout.row_key(row), db=self._databases.rows)
        if content is None:
            raise StoreError(
                f"the store is damaged: an index names row {row}, which is missing; see provtel store verify"
            )
        return decode(content, self._parts)

    def _by_keys(self, where: Mapping[str, Any]) -> list[PlainRecord] | None:
        """Return records among which are those that match; ``None`` where no key leads to them."""
        for name, key_of_text in (("id", key_of_id), ("parent_id", partial(reference_key, PARENT))):
            texts = _texts(where.get(name))
            if texts is not None:
                keys = [key for text in texts if (key := key_of_text(text)) is not None]
                # Two keys may lead to one row.
                found = {(block.first, place): block for _, block, place in self._blocks.find(keys)}
                return [self.plain_at(block, place) for (_, place), block in found.items()]
        for branch in where.get("$and", ()):
            known = self._by_keys(branch)
            if known is not None:
                return known
        return None

    def _remembered(self, block: Block, place: int) -> PlainRecord:
        made = self._transaction.known.made
        at = "", block.row(place)
        plain: PlainRecord | None = made.get(at)
        if plain is None:
            plain = made[at] = self.plain_at(block, place)
        return plain

    def _bounds(self, where: Mapping[str, Any]) -> Iterator[tuple[Block, Bounds]]:
        """Yield the blocks that may have matches, with the living rows that match for sure, and that may."""
        read = reading_once()
        for block in self._blocks:
            bounds = self._bounds_of(block, where, read)
            if 1 in bounds.maybe:
                yield block, bounds

    def _bounds_of(self, block: Block, where: Mapping[str, Any], read: Read) -> Bounds:
        bounds = Conditions(block, self._parts, read).matching(where)
        dead = self._blocks.dead(block)
        if not dead:
            return bounds
        living = bytearray(b"\1") * block.count
        for place in dead:
            living[place] = 0
        return bounds.both(Bounds.exactly(bytes(living)))

    def _exactly(self, query: Query) -> Iterator[tuple[Block, bytes]]:
        """Yield the blocks that have matches, each with the rows of them."""
        for block, bounds in self._bounds(query.where):
            if bounds.are_exact:
                yield block, bounds.sure
                continue
            mask = bytearray(bounds.sure)
            for place in rows_in(bounds.doubtful):
                mask[place] = query.matches(self.plain_at(block, place))
            yield block, bytes(mask)

    def _matching(self, query: Query) -> Iterator[PlainRecord]:
        """Yield the records that a query selects, in no order; those are asked of which columns are not sure."""
        for block, (sure, maybe) in self._bounds(query.where):
            for place in rows_in(maybe):
                plain = self.plain_at(block, place)
                if (sure[place] and query.after is None) or query.selects(plain):
                    yield plain

    def _page(self, query: Query, limit: int) -> list[PlainRecord]:
        """Look at the first records in order, and at more of them where some do not match after all."""
        page = Page(query.sort, self._parts, self.plain_at)
        after = None if query.after is None else Place.parse(query.after, len(query.sort))
        start_of = _FIRST_START.get(tuple(query.sort[:1]))
        blocks = [*self._blocks] if start_of is None else sorted(self._blocks, key=start_of)
        known: dict[int, Bounds] = {}
        read = reading_once()
        found: list[PlainRecord] = []
        most = limit
        while len(found) < limit:
            heads: list[Iterable[Candidate]] = []
            for block in blocks:
                if start_of is not None:
                    candidates = _first_of(heads, most)
                    heads = [candidates]
                    if len(candidates) == most and candidates[-1].start_in_order < start_of(block):
                        break
                if block.first not in known:
                    known[block.first] = self._bounds_of(block, query.where, read)
                if 1 in known[block.first].maybe:
                    heads.append(page.first_of(block, known[block.first].maybe, after, most))
            candidates = _first_of(heads, most)
            plains = [self.plain_at(candidate.block, candidate.place) for candidate in candidates]
            found += [
                plain
                for plain, candidate in zip(plains, candidates, strict=True)
                if (query.after is None and known[candidate.block.first].sure[candidate.place]) or query.selects(plain)
            ]
            if len(candidates) < most:
                break
            after = Place.of(plains[-1], query.sort)
            most = min(most * 4, _MOST_AT_ONCE)
        return found[:limit]


def _first_of(heads: Sequence[Iterable[Candidate]], most: int) -> list[Candidate]:
    """Return the first candidates of all, in order."""
    return [*islice(merge(*heads), most)]


def _texts(condition: Any) -> set[str] | None:
    """Return the texts one of which a condition asks for; ``None`` where it asks for something else."""
    if isinstance(condition, str):
        return {condition}
    if isinstance(condition, dict):
        wanted = [condition["$eq"]] if "$eq" in condition else condition.get("$in")
        if isinstance(wanted, list | tuple) and all(isinstance(text, str) for text in wanted):
            return set(wanted)
    return None
