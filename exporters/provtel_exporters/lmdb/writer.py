"""The writing side: merges records into the store, one transaction for all who wait."""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass, field
from itertools import repeat
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import lmdb
from provtel_model.components import WriteResult
from provtel_model.errors import DeliveryError, PermanentError, RetryableError, StoreError, UnsupportedError
from provtel_model.merge import merge
from provtel_model.record import PlainRecord
from provtel_model.store_folder import LMDB_FOLDER, make_store

from provtel_exporters.lmdb import layout
from provtel_exporters.lmdb.environment import Environment
from provtel_exporters.lmdb.parts import Parts
from provtel_exporters.lmdb.rows import EncodedRecord, decode, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_model.telemetry import PlainLog, PlainPoint

    from provtel_exporters.lmdb.files import Transaction


class LmdbWriter:
    """A `provtel_model.components.Writer` over LMDB.

    Threads that call at once share a transaction and its fsync; each still gets its own result, and one that cannot be
    written does not take the others with it.

    Args:
        folder: Holds the LMDB files; made where it is missing.

    Raises:
        StoreError: The folder cannot be made or written, or holds a newer format.
    """

    def __init__(self, folder: Path) -> None:
        self._environment: Environment | None = Environment.acquire(folder, writable=True)
        self._line = _Line()

    def write(self, records: Sequence[PlainRecord]) -> WriteResult:
        """Merge records into the store; see `provtel_model.components.Writer`."""
        environment = self._environment
        if environment is None:
            raise RetryableError("the store was closed")
        order = _Order(_encode(records))
        if not order.records:
            return WriteResult(0, 0)
        if self._line.process != os.getpid():  # a fork copies locks that nobody here will release
            self._line = _Line()
        self._line.serve(order, environment)
        if order.failure is not None:
            raise order.failure
        return WriteResult(order.stored, len(order.records) - order.stored)

    def write_points(self, points: Sequence[PlainPoint]) -> WriteResult:
        """Refuse: this layout keeps none."""
        raise UnsupportedError(f"an LMDB store keeps no data points; it was given {len(points)}")

    def write_logs(self, logs: Sequence[PlainLog]) -> WriteResult:
        """Refuse: this layout keeps none."""
        raise UnsupportedError(f"an LMDB store keeps no log records; it was given {len(logs)}")

    def delete(self, runs: Sequence[str]) -> int:
        """Refuse: this layout keeps everything."""
        raise UnsupportedError(f"an LMDB store forgets no runs; it was given {len(runs)}")

    def delete_telemetry(self, before: int) -> int:
        """Refuse: this layout keeps none."""
        raise UnsupportedError(f"an LMDB store keeps no telemetry from before {before}")

    def close(self) -> None:
        """Release the store; safe to call twice."""
        environment, self._environment = self._environment, None
        if environment is not None:
            environment.release()


def open_writer(location: str) -> LmdbWriter:
    """Open a store folder for writing, and make it where it is missing; an entry point of ``provtel.writers``.

    Raises:
        StoreError: It cannot be made or written, or is not this user's alone.
    """
    store = Path(location.removeprefix("lmdb://")).expanduser().absolute()
    make_store(store)
    return LmdbWriter(store / LMDB_FOLDER)


@dataclass(slots=True)
class _Order:
    """What one caller wants written, and what became of it."""

    records: list[EncodedRecord]
    stored: int = 0
    done: bool = False
    failure: DeliveryError | None = None


@dataclass(slots=True)
class _Line:
    """The callers who wait; whoever comes first serves all."""

    process: int = field(default_factory=os.getpid)
    waiting: deque[_Order] = field(default_factory=deque)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, order: _Order, environment: Environment) -> None:
        """Return when an order is done: by the one before, or with all others that wait."""
        self.waiting.append(order)
        with self.turn:
            if order.done:
                return
            orders = [self.waiting.popleft() for _ in range(len(self.waiting))]
            try:
                _write(orders, environment)
            except BaseException:  # an interrupt of this thread; the others' orders still stand
                self.waiting.extend(other for other in orders if other is not order and not other.done)
                raise


def _encode(records: Sequence[PlainRecord]) -> list[EncodedRecord]:
    try:
        return [encode(plain) for plain in records]
    except (KeyError, ValueError, TypeError, OverflowError, AttributeError) as error:
        msg = f"a record cannot be stored: {error!r}"
        raise PermanentError(msg) from error


def _write(orders: list[_Order], environment: Environment) -> None:
    """Write orders in one transaction; where it fails for another reason than the store's, each in its own."""

    def work(transaction: Transaction) -> _Merge:
        merging = _Merge(transaction)
        merging.run(orders)
        return merging

    try:
        environment.write(work).parts.commit()
    except (lmdb.Error, OSError, StoreError) as error:
        _fail(orders, RetryableError(f"the store {environment.folder} cannot be written: {error}"))
    except Exception as error:  # noqa: BLE001  # told to the one caller whose records did it
        if len(orders) == 1:
            failure = PermanentError(f"the records cannot be stored: {error!r}")
            failure.__cause__ = error
            _fail(orders, failure)
            return
        for order in orders:
            _write([order], environment)
    for order in orders:
        order.done = True


def _fail(orders: list[_Order], failure: DeliveryError) -> None:
    for order in orders:
        order.failure = failure


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


class _Merge:
    """One run of a transaction that merges orders into the store."""

    def __init__(self, transaction: Transaction) -> None:
        self._txn = transaction.txn
        self._databases = transaction.databases
        self.parts = Parts(transaction.txn, transaction.databases, transaction.known)
        self._standing: dict[bytes, _Standing] = {}

    def run(self, orders: list[_Order]) -> None:
        """Merge the records of all orders, in their order."""
        for order in orders:
            order.stored = sum(map(self._take, order.records))
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

    def _remove(self, row: bytes, plain: PlainRecord) -> None:
        entry = layout.posting(plain["started_at"], row)
        for name in layout.posting_keys(plain):
            self._txn.delete(name, entry, db=self._databases.postings)
        self._txn.delete(row, db=self._databases.rows)
