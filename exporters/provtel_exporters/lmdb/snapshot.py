"""One view of a store: finds rows through the indexes, in the order that a query wants."""

from __future__ import annotations

import re
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Final

from provtel_model.errors import StoreError
from provtel_model.paging import Place

from provtel_exporters.lmdb import layout, observations
from provtel_exporters.lmdb.parts import Parts
from provtel_exporters.lmdb.plan import Plan
from provtel_exporters.lmdb.rows import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provtel_model.filters import Query
    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint, Window

    from provtel_exporters.lmdb.files import Transaction

_MOST_IDS: Final = 1000  # of a wider range the order of time is the better way in
_KEPT: Final = 4096
_LAST_ROW: Final = 2 ** (8 * layout.ROW_BYTES) - 1
_ID_BYTES: Final = 24
_ID_PREFIX: Final = re.compile(r"[0-9a-f]{32}-[0-9a-f]{0,16}|[0-9a-f]{0,32}")


class Snapshot:
    """The records of a store at one moment."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._txn = transaction.txn
        self._databases = transaction.databases
        self._parts = Parts(transaction.txn, transaction.databases, transaction.known)

    def find(self, query: Query) -> list[PlainRecord]:
        """Return the records that a query selects, in its order, with its fields."""
        plan = Plan.of(query.where)
        rows = self._rows_of_ids(plan)
        if rows is not None:
            found = query.ordered([plain for plain in map(self.plain, rows) if query.selects(plain)])
        elif query.sort and query.sort[0][0] == "started_at":
            found = self._find_by_time(query, plan)
        else:
            found = self._find_any(query, plan)
        return [*map(query.projected, found)]

    def count(self, query: Query) -> int:
        """Return how many records a query's filter matches."""
        plan = Plan.of(query.where)
        rows = self._rows_of_ids(plan)
        if rows is None and plan.exact:
            return self._count_entries(plan)
        if rows is None:
            rows = (entry[layout.START_BYTES :] for entry in self._entries(plan))
        return sum(query.matches(plain) for plain in map(self.plain, rows))

    def points(self, window: Window) -> list[PlainPoint]:
        """Return the data points of a window."""
        return observations.points(self._transaction, self._parts).within(window)

    def logs(self, window: Window) -> list[PlainLog]:
        """Return the log records of a window."""
        return observations.logs(self._transaction, self._parts).within(window)

    def changes(self, first: int, limit: int) -> tuple[list[PlainRecord], int]:
        """Return what is in the rows from one on, and the row behind it."""
        with self._txn.cursor(self._databases.rows) as cursor:
            there = cursor.set_range(min(first, _LAST_ROW).to_bytes(layout.ROW_BYTES, "big"))
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

    def with_id(self, record_id: bytes) -> PlainRecord | None:
        """Return the earliest record of an id, trace id and span id as bytes."""
        row = next(self._rows_between(record_id, record_id), None)
        return None if row is None else self.plain(row)

    def listed(self, key: bytes) -> Iterator[PlainRecord]:
        """Yield the records of a posting list, oldest first."""
        for entry in self._entries_of(key, Plan(), newest_first=False):
            yield self.plain(entry[layout.START_BYTES :])

    def plain(self, row: bytes) -> PlainRecord:
        """Return the record of a row."""
        content = self._txn.get(row, db=self._databases.rows)
        if content is None:
            number = int.from_bytes(row, "big")
            raise StoreError(
                f"the store is damaged: an index names row {number}, which is missing; see provtel store verify"
            )
        return decode(content, self._parts)

    def _find_by_time(self, query: Query, plan: Plan) -> list[PlainRecord]:
        """Walk in the order of time, and stop where the limit is reached and nothing started at the same moment."""
        found: list[PlainRecord] = []
        last = b""
        if query.after is not None:
            plan.begin_at(Place.parse(query.after, len(query.sort)).key.started_at, query.sort[0][1])
        for entry in self._entries(plan, newest_first=query.sort[0][1] < 0):
            start = entry[: layout.START_BYTES]
            if query.limit is not None and len(found) >= query.limit and start != last:
                break
            plain = self.plain(entry[layout.START_BYTES :])
            if query.selects(plain):
                found.append(plain)
                last = start
        return query.ordered(found)

    def _find_any(self, query: Query, plan: Plan) -> list[PlainRecord]:
        found: list[PlainRecord] = []
        for entry in self._entries(plan):
            plain = self.plain(entry[layout.START_BYTES :])
            if query.selects(plain):
                found.append(plain)
                if query.limit is not None and len(found) > query.limit + _KEPT:
                    found = query.ordered(found)
        return query.ordered(found)

    def _rows_of_ids(self, plan: Plan) -> Iterable[bytes] | None:
        """Return the rows in the plan's ranges of ids; ``None`` where it has none, or they hold too many."""
        if plan.ids is None:
            return None
        rows: dict[bytes, None] = {}
        for first, last in plan.ids:
            for row in self._rows_between(_at_least(first), _at_most(last)):
                rows[row] = None
                if len(rows) > _MOST_IDS:
                    return None
        return rows

    def _rows_between(self, first: bytes, last: bytes) -> Iterator[bytes]:
        with self._txn.cursor(self._databases.ids) as cursor:
            if cursor.set_range(first):
                for key, row in cursor:
                    if key[:_ID_BYTES] > last:
                        return
                    yield row

    def _count_entries(self, plan: Plan) -> int:
        lists = plan.lists if len(plan.lists) == 1 else plan.lists[1:]
        if len(lists) == 1 and not plan.has_bounds:
            return sum(map(self._length, lists[0]))
        both = [{entry for key in keys for entry in self._entries_of(key, plan)} for keys in lists]
        return len(set.intersection(*both))

    def _length(self, key: bytes) -> int:
        with self._txn.cursor(self._databases.postings) as cursor:
            return cursor.count() if cursor.set_key(key) else 0

    def _entries(self, plan: Plan, *, newest_first: bool = False) -> Iterator[bytes]:
        """Yield the entries of the shortest lists of a plan, in the order of time."""
        keys = min(plan.lists, key=lambda keys: sum(map(self._length, keys)))
        lists = [self._entries_of(key, plan, newest_first=newest_first) for key in keys]
        return lists[0] if len(lists) == 1 else merge(*lists, reverse=newest_first)

    def _entries_of(self, key: bytes, plan: Plan, *, newest_first: bool = False) -> Iterator[bytes]:
        if plan.first > plan.last:
            return
        first = layout.posting(plan.first, bytes(layout.ROW_BYTES))
        last = layout.posting(plan.last, b"\xff" * layout.ROW_BYTES)
        with self._txn.cursor(self._databases.postings) as cursor:
            if newest_first:
                if cursor.set_range_dup(key, last) or (cursor.set_key(key) and cursor.last_dup()):
                    yield from _within(cursor.iterprev_dup(), first, last)
            elif cursor.set_range_dup(key, first):
                yield from _within(cursor.iternext_dup(), first, last)


def _within(entries: Iterator[bytes], first: bytes, last: bytes) -> Iterator[bytes]:
    """Yield entries from one end of a range to the other; they may begin one step outside it."""
    started = False
    for entry in entries:
        if first <= entry <= last:
            started = True
            yield entry
        elif started or entry < first:
            return


def _at_least(text: str) -> bytes:
    """Return the first id that may not lie before a text."""
    return bytes.fromhex(_digits(text).ljust(2 * _ID_BYTES, "0"))


def _at_most(text: str) -> bytes:
    """Return the last id that may not lie after a text."""
    return bytes.fromhex(_digits(text).ljust(2 * _ID_BYTES, "f"))


def _digits(text: str) -> str:
    """Return the digits of the longest beginning of a text that begins an id."""
    match = _ID_PREFIX.match(text)
    return match[0].replace("-", "") if match else ""
