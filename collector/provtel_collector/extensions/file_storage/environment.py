"""One LMDB file, written by one thread for all who wait."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import lmdb
from provtel_model.errors import RetryableError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

_FIRST_MAP_SIZE: Final = 2**30
_MOST_SHELVES: Final = 1024
# What was removed need not be so at once; most of the time something that is to be kept comes before that.
_LINGER_SECONDS: Final = 0.05
_HOLD_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Order:
    """A value to keep, and who waits for it; `over` is released when it is on the disk, or is not."""

    name: bytes
    key: bytes
    value: bytes
    over: threading.Lock = field(default_factory=threading.Lock)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.over.acquire()


class Environment:
    """Shelves in one LMDB file. May be used from several threads.

    Everybody who gives something to keep while the disk is busy shares the next transaction and its fsync.

    Args:
        file: The file; made where it is missing.
        fsync: Whether a commit is on the disk when it is over.
        most: The most bytes that may be in use; 0 is no limit.
        upkeep: Called now and then by the thread that writes, between two transactions.
        upkeep_seconds: How often.

    Raises:
        lmdb.Error: The file cannot be opened.
    """

    def __init__(
        self,
        file: Path,
        *,
        fsync: bool = True,
        most: int = 0,
        upkeep: Callable[[Environment], None] | None = None,
        upkeep_seconds: float = 0,
    ) -> None:
        self.file = file
        self._fsync = fsync
        self._most = most
        self._upkeep = upkeep
        self._upkeep_seconds = upkeep_seconds
        self._handles: dict[bytes, Any] = {}
        self._lmdb = self._open()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._orders: list[_Order] = []
        self._removals: list[tuple[bytes, bytes]] = []
        self._closing = False
        self._map = threading.RLock()  # held by who reads, and by who changes the map
        self._thread = threading.Thread(target=self._run, name="provtel-storage", daemon=True)
        self._thread.start()

    def add_shelf(self, name: bytes) -> None:
        """Have a shelf of a name."""
        with self._map:
            if name not in self._handles:
                self._handles[name] = self._lmdb.open_db(name)

    def put(self, name: bytes, key: bytes, value: bytes) -> None:
        """Keep a value; return when it is on the disk.

        Raises:
            RetryableError: It is not.
        """
        order = _Order(name, key, value)
        with self._lock:
            if self._closing:
                raise RetryableError("the storage stops")
            self._orders.append(order)
            self._work.notify()
        order.over.acquire()
        if order.error is not None:
            raise RetryableError(f"the storage {self.file} cannot be written: {order.error}") from order.error

    def remove(self, name: bytes, keys: Sequence[bytes]) -> None:
        """Remove values some time soon."""
        with self._lock:
            self._removals += [(name, key) for key in keys]
            self._work.notify()

    def get(self, name: bytes, key: bytes) -> bytes | None:
        """Return a value."""
        with self._map, self._lmdb.begin(db=self._handles[name]) as transaction:
            return transaction.get(key)

    def listed(self, name: bytes, first: bytes, most: int) -> list[tuple[bytes, int]]:
        """Return so many keys of a shelf from one on, in their order, with the lengths of their values."""
        with self._map, self._lmdb.begin(db=self._handles[name], buffers=True) as transaction:
            cursor = transaction.cursor()
            found = cursor.set_range(first) if first else cursor.first()
            return [(bytes(key), len(value)) for key, value in islice(cursor, most)] if found else []

    def forgotten(self) -> dict[str, int]:
        """Return the shelves that have something on them and that nobody asked for, with how much it is."""
        with self._map, self._lmdb.begin() as transaction:
            names = [bytes(key) for key, _ in transaction.cursor() if key not in self._handles]
        found = {}
        for name in names:
            with self._map:
                handle = self._lmdb.open_db(name, create=False)
                with self._lmdb.begin() as transaction:
                    found[name.decode()] = transaction.stat(handle)["entries"]
        return {name: entries for name, entries in found.items() if entries}

    def used(self) -> int:
        """Return how many bytes of the file are in use."""
        with self._map, self._lmdb.begin() as transaction:
            stats = [transaction.stat(handle) for handle in self._handles.values()]
        return sum(
            stat["psize"] * (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]) for stat in stats
        )

    def size(self) -> int:
        """Return how many bytes the file has."""
        return self.file.stat().st_size

    def compact(self, copy: Path) -> None:
        """Give the room of what was removed back to the disk; for `upkeep`, or before anybody else uses this.

        Args:
            copy: Where to make a compact copy, on the same file system.

        Raises:
            lmdb.Error: It cannot be written; the file is as it was.
        """
        with self._map:
            self._lmdb.copy(str(copy), compact=True)
            sync(copy)
            self._lmdb.close()
            copy.replace(self.file)
            self._lmdb = self._open()

    def close(self) -> None:
        """Write what is to be written, and close the file; safe to call twice."""
        with self._lock:
            self._closing = True
            self._work.notify()
        self._thread.join()
        with self._map:
            self._lmdb.close()

    def _open(self) -> lmdb.Environment:
        opened = lmdb.open(
            str(self.file),
            map_size=max(_FIRST_MAP_SIZE, 2 * self.file.stat().st_size if self.file.exists() else 0),
            max_dbs=_MOST_SHELVES,
            mode=0o600,
            subdir=False,
            sync=self._fsync,
        )
        sync(self.file.parent)
        self._handles = {name: opened.open_db(name) for name in self._handles}
        return opened

    def _run(self) -> None:
        checked = time.monotonic()
        while True:
            orders, removals = self._next(checked + self._upkeep_seconds if self._upkeep else None)
            if orders or removals:
                self._commit(orders, removals)
            elif self._closing:
                return
            if self._upkeep and time.monotonic() >= checked + self._upkeep_seconds:
                try:
                    self._upkeep(self)
                except Exception:  # noqa: BLE001  # the thread has more to do than that
                    _log.exception("the upkeep of %s failed in a way that it should not", self.file)
                checked = time.monotonic()

    def _next(self, deadline: float | None) -> tuple[list[_Order], list[tuple[bytes, bytes]]]:
        """Return what is to be written, once there is something or the time is over."""
        with self._lock:
            if not self._orders and not self._removals and not self._closing:
                self._work.wait(None if deadline is None else max(0, deadline - time.monotonic()))
            if not self._orders and self._removals and not self._closing:
                self._work.wait_for(lambda: self._orders or self._closing, _LINGER_SECONDS)
            taken = self._orders, self._removals
            self._orders, self._removals = [], []
            return taken

    def _commit(self, orders: list[_Order], removals: list[tuple[bytes, bytes]]) -> None:
        try:
            if orders and self._most and self.used() > self._most:
                raise StoreError(f"it has {self._most} bytes in use, its max_size")  # noqa: TRY301  # one way out
            self._write(orders, removals)
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait are told, and the others go on
            self._fail(orders, removals, error)
        for order in orders:
            order.over.release()

    def _write(self, orders: list[_Order], removals: list[tuple[bytes, bytes]]) -> None:
        while True:
            try:
                with self._lmdb.begin(write=True) as transaction:
                    for name, key in removals:
                        transaction.delete(key, db=self._handles[name])
                    for order in orders:
                        transaction.put(order.key, order.value, db=self._handles[order.name])
            except lmdb.MapFullError:
                with self._map:
                    self._lmdb.set_mapsize(self._lmdb.info()["map_size"] * 2)
            else:
                return

    def _fail(self, orders: list[_Order], removals: list[tuple[bytes, bytes]], error: Exception) -> None:
        """Tell who waits, and remove later what is to be removed."""
        if isinstance(error, lmdb.PanicError):  # LMDB does nothing any more until it is opened again
            with self._map:
                self._lmdb.close()
                self._lmdb = self._open()
        for order in orders:
            order.error = error
        if not orders:
            _log.warning("the storage %s cannot be written: %s", self.file, error)
        with self._lock:
            if not self._closing:
                self._removals = removals + self._removals
        if not orders:
            time.sleep(_HOLD_SECONDS)


def sync(path: Path) -> None:
    """Make what is in a file, or the names in a folder, survive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
