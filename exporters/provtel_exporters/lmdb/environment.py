"""LMDB environments, one for each folder and process: shared, growing, reopened after a fork.

LMDB locks belong to a process and a file, so py-lmdb refuses a second open of the same files. Exporter and readers of
one process therefore share one `Environment`, found by its real path and counted by its users.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import lmdb
from provtel_model.errors import StoreError

from provtel_exporters.lmdb.files import (
    MAX_READERS,
    Files,
    Transaction,
    can_lock,
    open_for_reading,
    open_for_writing,
    require,
)
from provtel_exporters.lmdb.gate import Gate
from provtel_exporters.lmdb.unlocked import SnapshotLostError, open_unlocked

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_LARGEST_MAP_SIZE: Final = 2**46
_READ_TRIES: Final = 20


class Environment:
    """The LMDB files of one folder, as this process uses them. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.users = 0
        self.gate = Gate()
        self._writable = False
        self._files: Files | None = None

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
            self._files.close()
            self._files = None

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on a snapshot of what is durable now and return its result; it may be run more than once.

        Raises:
            StoreError: The store went away, is damaged, or has no room for another reader.
        """
        reopened: Files | None = None
        for _ in range(_READ_TRIES):
            try:
                with self.gate:
                    # What was opened since the call began is new enough, whatever was written in the meantime.
                    files = reopened if reopened is not None and reopened is self._files else self._current_files()
                    if files is not None:
                        return files.read(work)
                reopened = self._reopen(make=False)
            except SnapshotLostError:
                reopened = None
            except lmdb.MapResizedError:
                self._adopt_size()
            except lmdb.ReadersFullError:
                self._drop_dead_readers()
            except lmdb.Error as error:
                raise StoreError(f"the store {self.folder} cannot be read: {error}") from error
        raise StoreError(f"the store {self.folder} is changed faster than it can be read; try again later")

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a write transaction, commit it to the disk and return its result; it may be run more than once.

        Raises:
            lmdb.Error: Nothing was written.
            StoreError: The store cannot be opened any more.
        """
        while True:
            try:
                with self.gate:
                    files = self._current_files()
                    if files is not None:
                        return files.write(work)
                self._reopen(make=True)
            except lmdb.MapResizedError:
                self._adopt_size()
            except lmdb.MapFullError:
                self._grow()

    def _current_files(self) -> Files | None:
        """Return the open files, or ``None`` where they are closed or no longer those at the path."""
        return self._files if self._files is not None and self._files.are_current() else None

    def _open_for(self, *, writable: bool) -> None:
        with self.gate.alone():
            if self._files is not None and (self._files.writable or not writable):
                return
            self._writable = self._writable or writable
            self.close_files()
            self._files = _open(self.folder, writable=self._writable, make=writable)

    def _reopen(self, *, make: bool) -> Files:
        with self.gate.alone():
            current = self._current_files()
            if current is None:
                self.close_files()
                current = self._files = _open(self.folder, writable=self._writable, make=make)
            return current

    def _adopt_size(self) -> None:
        with self.gate.alone():
            if self._files is not None:
                self._files.resize(0)

    def _grow(self) -> None:
        with self.gate.alone():
            if self._files is None:
                return
            size = self._files.env.info()["map_size"] * 2
            if size > _LARGEST_MAP_SIZE:
                raise lmdb.MapFullError(f"{self.folder} has reached {_LARGEST_MAP_SIZE} bytes")
            self._files.resize(size)

    def _drop_dead_readers(self) -> None:
        with self.gate:
            if self._files is not None and not self._files.env.reader_check():
                raise StoreError(f"the store {self.folder} has {MAX_READERS} readers at once; try again later")


def _open(folder: Path, *, writable: bool, make: bool) -> Files:
    try:
        if not make:
            require(folder)
        if writable:
            return open_for_writing(folder)
        return open_for_reading(folder) if can_lock(folder) else open_unlocked(folder)
    except (lmdb.Error, OSError) as error:
        purpose = "writing" if writable else "reading"
        raise StoreError(f"the store {folder} cannot be opened for {purpose}: {error}") from None


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
