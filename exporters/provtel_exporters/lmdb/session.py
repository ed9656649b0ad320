"""One run of a write transaction: merges records, adds observations, removes what is to go."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING

from provtel_model.merge import merge
from provtel_model.record import PlainRecord, key_of, run_of

from provtel_exporters.lmdb import layout, observations
from provtel_exporters.lmdb.parts import Parts
from provtel_exporters.lmdb.rows import EncodedRecord, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provtel_exporters.lmdb.files import Transaction
    from provtel_exporters.lmdb.observations import EncodedObservation


@dataclass(slots=True)
class _Standing:
    """The copy of a record that stands so far.

    Args:
        plain: The copy.
        record: The same, ready to be written; ``None`` where it is the one that the store has.
        old: What the store has: a row, and the record in it.
    """

    plain: PlainRecord
    record: EncodedRecord | None
    old: tuple[bytes, PlainRecord] | None = None


_first = itemgetter(0)


class Session:
    """What the orders of one transaction are done with.

    Args:
        transaction: The transaction.

    Attributes:
        parts: The interned parts as it sees them.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._txn = transaction.txn
        self._databases = transaction.databases
        self.parts = Parts(transaction.txn, transaction.databases, transaction.known)
        self._points = observations.points(transaction, self.parts)
        self._logs = observations.logs(transaction, self.parts)
        self._standing: dict[bytes, _Standing] = {}

    def merge(self, records: Iterable[EncodedRecord]) -> int:
        """Merge records into the store; return how many stand now that did not."""
        return sum(map(self._take, records))

    def add_points(self, points: Iterable[EncodedObservation]) -> int:
        """Add data points; return how many are new."""
        return self._points.put(points)

    def add_logs(self, logs: Iterable[EncodedObservation]) -> int:
        """Add log records; return how many are new."""
        return self._logs.put(logs)

    def remove_runs(self, runs: Sequence[str]) -> int:
        """Remove the records of runs, and the log records that name them; return how many records."""
        self._put()
        removed: list[PlainRecord] = []
        for run in dict.fromkeys(runs):
            for row in self._rows_of(layout.term_key("run", run)):
                plain = decode(self._txn.get(row, b"", db=self._databases.rows), self.parts)
                if run_of(plain) == run:
                    self._remove(row, plain)
                    self._txn.delete(layout.id_key(plain), db=self._databases.ids)
                    removed.append(plain)
        self._logs.remove_of({key_of(plain).id for plain in removed})
        return len(removed)

    def remove_telemetry(self, before: int) -> int:
        """Remove data points and log records from before a moment; return how many."""
        return self._points.remove_before(before) + self._logs.remove_before(before)

    def finish(self) -> None:
        """Write what was only remembered so far."""
        self._put()

    def _take(self, record: EncodedRecord) -> bool:
        """Merge a record with the copy that stands; return whether it stands now."""
        standing = self._standing.get(record.key)
        if standing is None:
            row = self._txn.get(record.key, db=self._databases.ids)
            if row is None:
                self._standing[record.key] = _Standing(record.plain, record)
                return True
            content = self._txn.get(row, b"", db=self._databases.rows)
            if content == record.row(self.parts):
                return False
            plain = decode(content, self.parts)
            standing = self._standing[record.key] = _Standing(plain, None, (row, plain))
        if merge(standing.plain, record.plain) is standing.plain:
            return False
        standing.plain, standing.record = record.plain, record
        return True

    def _put(self) -> None:
        number = layout.next_row(self._txn, self._databases)
        rows, ids = [], []
        postings: list[tuple[bytes, bytes]] = []
        for key, standing in self._standing.items():
            if standing.record is None:
                continue
            if standing.old is not None:
                self._remove(*standing.old)
            row = number.to_bytes(layout.ROW_BYTES, "big")
            number += 1
            rows.append((row, standing.record.row(self.parts)))
            ids.append((key, row))
            entry = layout.posting(standing.plain["started_at"], row)
            postings.extend(zip(standing.record.lists, repeat(entry), strict=False))
        with self._txn.cursor(self._databases.rows) as cursor:
            cursor.putmulti(rows, append=True)
        for database, items in ((self._databases.ids, ids), (self._databases.postings, postings)):
            with self._txn.cursor(database) as cursor:
                cursor.putmulti(sorted(items, key=_first))
        layout.put_next_row(self._txn, self._databases, number)
        self._standing.clear()

    def _rows_of(self, name: bytes) -> list[bytes]:
        with self._txn.cursor(self._databases.postings) as cursor:
            return [entry[layout.START_BYTES :] for entry in cursor.iternext_dup()] if cursor.set_key(name) else []

    def _remove(self, row: bytes, plain: PlainRecord) -> None:
        entry = layout.posting(plain["started_at"], row)
        for name in layout.posting_keys(plain):
            self._txn.delete(name, entry, db=self._databases.postings)
        self._txn.delete(row, db=self._databases.rows)
