"""LMDB environments, one for each folder and process: shared, growing, reopened after a fork.

LMDB locks belong to a process and a file, so py-lmdb refuses a second open of the same files. Exporter and readers of
one process therefore share one `Environment`, found by its real path and counted by its users.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import lmdb
from provtel_model.errors import StoreError
from provtel_model.store_folder import make_store

from provtel_exporters.lmdb import layout
from provtel_exporters.lmdb.parts import KnownParts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

DATA_FILE: Final = "data.mdb"
LOCK_FILE: Final = "lock.mdb"

_FIRST_MAP_SIZE: Final = 2**30
_LARGEST_MAP_SIZE: Final = 2**46
_MAX_READERS: Final = 2048
_UNLOCKED_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction and what it works on.

    Args:
        txn: LMDB's own transaction.
        databases: The store's databases.
        known: Interned parts that this process has seen committed.
    """

    txn: lmdb.Transaction[bytes]
    databases: layout.Databases
    known: KnownParts


@dataclass(frozen=True, slots=True)
class _Files:
    """An open LMDB environment and the files that it belongs to."""

    env: lmdb.Environment
    databases: layout.Databases
    writable: bool
    locked: bool
    identity: tuple[int, int]
    known: KnownParts = field(default_factory=KnownParts)


class _Gate:
    """Lets many in, or one alone."""

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.Lock())
        self._inside = 0
        self._asked_for_alone = 0

    def __enter__(self) -> None:
        with self._condition:
            while self._asked_for_alone:
                self._condition.wait()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._inside -= 1
            self._condition.notify_all()

    def close(self) -> None:
        """Wait until nobody is inside, and let nobody in until `open`."""
        self._condition.acquire()
        self._asked_for_alone += 1
        while self._inside:
            self._condition.wait()

    def open(self) -> None:
        """Let others in again."""
        self._asked_for_alone -= 1
        self._condition.notify_all()
        self._condition.release()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Close the gate for the length of a block."""
        self.close()
        try:
            yield
        finally:
            self.open()


class Environment:
    """The LMDB files of one folder, as this process uses them. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.users = 0
        self.gate = _Gate()
        self._writable = False
        self._files: _Files | None = None

    @classmethod
    def acquire(cls, folder: Path, *, writable: bool) -> Environment:
        """Return the environment of a folder, opened; it is released by `release`.

        Args:
            folder: Holds the files; made where it is to be written and missing.
            writable: Whether it will be written to; one that was open for reading is then opened anew.

        Raises:
            StoreError: It cannot be opened as asked.
        """
        with _registry_lock:
            _watch_forks()
            path = Path(os.path.realpath(folder))
            environment = _registry.setdefault(path, cls(path))
            environment.users += 1
        try:
            environment._open_for(writable=writable)  # noqa: SLF001  # its own class
        except BaseException:
            environment.release()
            raise
        return environment

    def release(self) -> None:
        """Give up one use; the last one closes the files."""
        with _registry_lock:
            self.users -= 1
            if not self.users:
                _registry.pop(self.folder, None)
                with self.gate.alone():
                    self.close_files()

    def close_files(self) -> None:
        """Close the files; the next transaction opens them again. The gate must be closed."""
        if self._files is not None:
            self._files.env.close()
            self._files = None

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on a snapshot of what is durable now and return its result; it may be run more than once.

        Raises:
            StoreError: The store went away, or has no room for another reader.
        """
        for _ in range(_UNLOCKED_TRIES):
            try:
                with self.gate:
                    files = self._usable()
                    if files is not None:
                        result, intact = _read(files, work)
                        if intact:
                            return result
            except lmdb.MapResizedError:
                self._adopt_size()
            except lmdb.ReadersFullError:
                self._drop_dead_readers()
            else:
                if files is None:
                    self._reopen(make=False)
        raise StoreError(f"the store {self.folder} changes faster than it can be read without its lock file; copy it")

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a write transaction, commit it to the disk and return its result; it may be run more than once.

        Raises:
            lmdb.Error: Nothing was written.
            StoreError: The store cannot be opened any more.
        """
        while True:
            try:
                with self.gate:
                    files = self._usable()
                    if files is not None:
                        with files.env.begin(write=True) as txn:
                            return work(Transaction(txn, files.databases, files.known))
            except lmdb.MapResizedError:
                self._adopt_size()
            except lmdb.MapFullError:
                self._grow()
            else:
                self._reopen(make=True)

    def _usable(self) -> _Files | None:
        """Return the open files, or ``None`` where they are closed or no longer those at the path."""
        files = self._files
        return files if files is not None and files.identity == _identity(self.folder) else None

    def _open_for(self, *, writable: bool) -> None:
        with self.gate.alone():
            if self._files is not None and (self._files.writable or not writable):
                return
            self._writable = self._writable or writable
            self.close_files()
            self._files = _open(self.folder, writable=self._writable, make=writable)

    def _reopen(self, *, make: bool) -> None:
        with self.gate.alone():
            if self._usable() is None:
                self.close_files()
                self._files = _open(self.folder, writable=self._writable, make=make)

    def _adopt_size(self) -> None:
        with self.gate.alone():
            if self._files is not None:
                self._files.env.set_mapsize(0)

    def _grow(self) -> None:
        with self.gate.alone():
            if self._files is None:
                return
            size = self._files.env.info()["map_size"] * 2
            if size > _LARGEST_MAP_SIZE:
                raise lmdb.MapFullError(f"{self.folder} has reached {_LARGEST_MAP_SIZE} bytes")
            self._files.env.set_mapsize(size)

    def _drop_dead_readers(self) -> None:
        with self.gate:
            if self._files is not None and not self._files.env.reader_check():
                msg = f"the store {self.folder} has {_MAX_READERS} readers at once, which is the most; try again later"
                raise StoreError(msg)


def _read(files: _Files, work: Callable[[Transaction], T]) -> tuple[T, bool]:
    """Return the result of a read, and whether its snapshot stayed whole.

    Without a lock file the writer does not know of us. It may reuse a page of our snapshot only in a transaction that
    begins after two others were committed, so a snapshot that is at most one behind is whole.
    """
    with files.env.begin() as txn:
        if files.locked:
            return work(Transaction(txn, files.databases, files.known)), True
        try:
            result = work(Transaction(txn, files.databases, KnownParts()))
        except Exception:
            if _is_intact(files, txn):
                raise
            return None, False  # type: ignore[return-value]  # not looked at
        return result, _is_intact(files, txn)


def _is_intact(files: _Files, txn: lmdb.Transaction[bytes]) -> bool:
    return files.env.info()["last_txnid"] <= txn.id() + 1


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(f"{folder}/{DATA_FILE}")  # noqa: PTH116  # a tenth of Path.stat's time, once a transaction
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _open(folder: Path, *, writable: bool, make: bool) -> _Files:
    try:
        if make:
            make_store(folder.parent)
            make_store(folder)
        elif not (folder / DATA_FILE).exists():
            raise StoreError(f"there is no store in {folder}: it holds no {DATA_FILE}")
        return _open_files(folder, writable=writable)
    except (lmdb.Error, OSError) as error:
        msg = f"the store {folder} cannot be opened for {'writing' if writable else 'reading'}: {error}"
        raise StoreError(msg) from None


def _open_files(folder: Path, *, writable: bool) -> _Files:
    locked = writable or _can_lock(folder)
    env = _environment(folder, readonly=not writable, lock=locked)
    try:
        databases = layout.create(env, folder) if writable else layout.find(env, folder)
        if locked:
            env.reader_check()
        identity = _identity(folder)
    except BaseException:
        env.close()
        raise
    if identity is None:
        env.close()
        msg = f"the store {folder} was removed while it was being opened"
        raise StoreError(msg)
    return _Files(env, databases, writable, locked, identity)


def _can_lock(folder: Path) -> bool:
    """Say whether readers may write their slots; not in another user's store, nor on a read-only file system."""
    lock_file = folder / LOCK_FILE
    return os.access(lock_file if lock_file.exists() else folder, os.W_OK)


def _environment(folder: Path, *, readonly: bool, lock: bool) -> lmdb.Environment:
    exists = (folder / DATA_FILE).exists()
    return lmdb.Environment(
        os.fspath(folder),
        map_size=0 if exists else _FIRST_MAP_SIZE,  # 0 takes what the file says
        readonly=readonly,
        lock=lock,
        mode=0o600,
        create=False,
        max_dbs=layout.MAX_DATABASES,
        max_readers=_MAX_READERS,
    )


_registry: Final[dict[Path, Environment]] = {}
_registry_lock = threading.Lock()
_watching: Final[list[bool]] = []


def _watch_forks() -> None:
    if not _watching:
        _watching.append(True)
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def _before_fork() -> None:
    """Close every environment, so that a child inherits neither LMDB's locks nor its reader slots.

    To close one in the child instead would clear the parent's slots; both sides reopen at their next transaction.
    """
    _registry_lock.acquire()
    for environment in _registry.values():
        environment.gate.close()
        environment.close_files()


def _after_fork() -> None:
    for environment in _registry.values():
        environment.gate.open()
    _registry_lock.release()
