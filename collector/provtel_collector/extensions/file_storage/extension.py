"""The ``file_storage`` extension."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lmdb
from provtel_model.errors import ConfigError, StoreError
from provtel_model.file_systems import require_local

from provtel_collector.extensions.file_storage.environment import Environment, sync

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_model.components import Context

    from provtel_collector.extensions.file_storage.config import FileStorageConfig

_log = logging.getLogger(__name__)

_FILE: Final = "provtel.mdb"
_LOCK: Final = "provtel.lock"
_COPY: Final = "tempdb-provtel.mdb"
_MIB: Final = 2**20
_TRY_SECONDS: Final = 0.02


class FileStorage:
    """A `provtel_model.components.Storage` in one LMDB file of a directory, which one process uses at a time.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: FileStorageConfig, context: Context) -> None:
        self._config = config
        self._path = f"extensions::{context.id}"
        self._lock: int | None = None
        self._environment: Environment | None = None
        self._grown = False
        self.folder = Path(config.directory).expanduser().absolute()

    def start(self) -> None:
        """Open the file, alone.

        Raises:
            ConfigError: The directory is not there, cannot be used, or is used by another process.
        """
        self._find_directories()
        try:
            self._begin()
        except OSError as error:
            self.shutdown()
            raise ConfigError(f"problem accessing configured directory: {self.folder}: {error}", self._path) from error
        except ConfigError:
            self.shutdown()
            raise

    def shelf(self, name: str) -> _Shelf:
        """Return the shelf of a name.

        Raises:
            StoreError: The storage does not run, or the file is damaged.
        """
        if self._environment is None:
            raise StoreError(f"the storage {self.folder} does not run")
        try:
            return _Shelf(self._environment, name.encode())
        except lmdb.Error as error:
            raise StoreError(f"the storage {self.folder} cannot be read: {error}") from error

    def ready(self) -> None:
        """Warn of what waits for components that there are no more."""
        for name, entries in (self._environment.forgotten() if self._environment else {}).items():
            _log.warning("%s: %d requests wait in %s for a component that does not run", name, entries, self.folder)

    def not_ready(self) -> None:
        """Go on."""

    def shutdown(self) -> None:
        """Close the file."""
        if self._environment is not None:
            self._environment.close()
        if self._lock is not None:
            os.close(self._lock)
        self._environment = self._lock = None

    @property
    def _copy(self) -> Path:
        folder = self._config.compaction.directory
        return (Path(folder).expanduser() if folder else self.folder) / _COPY

    def _begin(self) -> None:
        self._lock = self._take_lock()
        if self._config.compaction.cleanup_on_start:
            self._copy.unlink(missing_ok=True)
        self._environment = self._open()
        if self._config.compaction.on_start:
            self._compact(self._environment)

    def _find_directories(self) -> None:
        compaction = self._config.compaction
        folders = {self.folder}
        if compaction.on_start or compaction.on_rebound:
            folders.add(self._copy.parent)
        for folder in folders:
            self._find_directory(folder)

    def _find_directory(self, folder: Path) -> None:
        try:
            require_local(folder, "the file of a storage")
            if self._config.create_directory:
                folder.mkdir(mode=self._config.permissions, parents=True, exist_ok=True)
                sync(folder.parent)
            elif not folder.exists():
                raise ConfigError(
                    f"directory must exist: stat {folder}: no such file or directory. You can enable the "
                    "create_directory option to automatically create it",
                    self._path,
                )
        except OSError as error:
            raise ConfigError(f"problem accessing configured directory: {folder}: {error}", self._path) from error
        except StoreError as error:
            raise ConfigError(str(error), self._path) from error
        if not folder.is_dir():
            raise ConfigError(f"{folder} is not a directory", self._path)

    def _take_lock(self) -> int:
        """Return a descriptor that says that this process uses the directory."""
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + self._config.timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(_TRY_SECONDS)
                    continue
                os.close(descriptor)
                message = f"{self.folder} is used by another collector, or by another extension of this one"
                raise ConfigError(f"{message}; give each a directory of its own", self._path) from None
            return descriptor

    def _open(self) -> Environment:
        file = self.folder / _FILE
        compaction = self._config.compaction
        for last in (not self._config.recreate, True):
            try:
                return Environment(
                    file,
                    fsync=self._config.fsync,
                    most=self._config.max_size,
                    upkeep=self._rebound if compaction.on_rebound else None,
                    upkeep_seconds=compaction.check_interval,
                )
            except lmdb.Error as error:
                if last:
                    raise ConfigError(f"the file {file} cannot be opened: {error}", self._path) from error
                aside = file.with_name(f"{file.name}.{time.time_ns()}.backup")
                _log.error("%s is damaged (%s); it is put aside as %s, and a new one begins", file, error, aside)
                file.replace(aside)
        raise AssertionError  # not reached: the last try returns or raises

    def _rebound(self, environment: Environment) -> None:
        """Compact a file that had grown and is almost empty again."""
        compaction = self._config.compaction
        self._grown = self._grown or environment.size() >= compaction.rebound_needed_threshold_mib * _MIB
        if self._grown and environment.used() < compaction.rebound_trigger_threshold_mib * _MIB:
            self._grown = False
            self._compact(environment)

    def _compact(self, environment: Environment) -> None:
        before = environment.size()
        try:
            environment.compact(self._copy)
        except (lmdb.Error, OSError) as error:
            _log.warning("%s could not be compacted: %s", environment.file, error)
            self._copy.unlink(missing_ok=True)
        else:
            _log.info("%s had %d bytes and has %d now", environment.file, before, environment.size())


class _Shelf:
    """A `provtel_model.components.Shelf`, a database of the file."""

    def __init__(self, environment: Environment, name: bytes) -> None:
        self._environment = environment
        self._name = name
        environment.add_shelf(name)

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value; return when it is on the disk."""
        self._environment.put(self._name, key, value)

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key."""
        return self._environment.get(self._name, key)

    def remove(self, keys: Sequence[bytes]) -> None:
        """Remove some values some time soon."""
        self._environment.remove(self._name, keys)

    def listed(self, first: bytes, most: int) -> list[tuple[bytes, int]]:
        """Return so many keys from one on, in their order, with the lengths of their values."""
        return self._environment.listed(self._name, first, most)
