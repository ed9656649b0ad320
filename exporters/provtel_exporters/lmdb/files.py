"""The LMDB files of a store, as one process has them open."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import lmdb
from provtel_model.errors import StoreError
from provtel_model.file_systems import require_local
from provtel_model.store_folder import make_store

from provtel_exporters.lmdb import layout
from provtel_exporters.lmdb.migration import migrating
from provtel_exporters.lmdb.parts import KnownParts

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

DATA_FILE: Final = "data.mdb"
LOCK_FILE: Final = "lock.mdb"
MAX_READERS: Final = 2048

_FIRST_MAP_SIZE: Final = 2**30


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction and what it works on.

    Args:
        txn: LMDB's own transaction; what it returns are buffers, to be read before it ends.
        databases: The store's databases.
        known: Interned parts that this process has seen committed.
    """

    txn: lmdb.Transaction[Any]
    databases: layout.Databases
    known: KnownParts


@dataclass(frozen=True, slots=True)
class Files:
    """Open files.

    Args:
        folder: Where they are.
        env: LMDB's environment.
        databases: The store's databases.
        identity: What tells these files from later ones at the same place.
        writable: Whether they are open for writing.
        known: Interned parts that this process has seen committed.
    """

    folder: Path
    env: lmdb.Environment
    databases: layout.Databases
    identity: tuple[int, int] | None
    writable: bool = False
    known: KnownParts = field(default_factory=KnownParts)

    def are_current(self) -> bool:
        """Say whether a transaction may begin: these are still the files at that place."""
        return self.identity == identity_of(self.folder)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on a snapshot of what is durable now, and return its result."""
        with self.env.begin(buffers=True) as txn:
            return work(Transaction(txn, self.databases, self.known))

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a write transaction, commit it to the disk, and return its result."""
        with self.env.begin(write=True, buffers=True) as txn:
            return work(Transaction(txn, self.databases, self.known))

    def resize(self, size: int) -> None:
        """Map so many bytes, or with 0 as many as the files have; no transaction may be open."""
        self.known.blocks = -1, ()
        self.env.set_mapsize(size)

    def close(self) -> None:
        """Close the files."""
        self.env.close()


def open_for_writing(folder: Path) -> Files:
    """Open a store for writing; it is made where it is missing.

    Raises:
        StoreError: The folder cannot be made, belongs to somebody else, or holds something else or a newer format.
        lmdb.Error: As LMDB says.
    """
    require_local(folder, "an LMDB store")
    make_store(folder.parent)
    make_store(folder)
    env = environment(folder, readonly=False, lock=True)
    try:
        databases = layout.create(env, folder, migrating(env))
        env.reader_check()
        return Files(folder, env, databases, identity_of(folder), writable=True)
    except BaseException:
        env.close()
        raise


def open_for_reading(folder: Path) -> Files:
    """Open a store for reading, registered in its lock file.

    Raises:
        StoreError: The folder holds something else or a newer format.
        lmdb.Error: As LMDB says.
    """
    identity = identity_of(folder)  # before they are opened: they may be put in place of others in between
    env = environment(folder, readonly=True, lock=True)
    try:
        env.reader_check()
        return Files(folder, env, layout.find(env, folder), identity)
    except layout.OldFormatError:
        env.close()
        migrate(folder)
        return open_for_reading(folder)
    except BaseException:
        env.close()
        raise


def migrate(folder: Path) -> None:
    """Bring a store of an older format to this one.

    Raises:
        StoreError: This user may not; the text says who may.
    """
    try:
        open_for_writing(folder).close()
    except (StoreError, lmdb.Error):
        raise StoreError(
            f"the store {folder} was written by an older provtel, and can be read once its owner has opened it with "
            f"this one: ask them to run provtel status --store {folder.parent}"
        ) from None


def can_lock(folder: Path) -> bool:
    """Say whether readers may register; not in another user's store, nor on a read-only file system."""
    lock_file = folder / LOCK_FILE
    return os.access(lock_file if lock_file.exists() else folder, os.W_OK)


def require(folder: Path) -> None:
    """Check that there are files that may be read.

    Raises:
        StoreError: There are none, or they lie on the disk of another machine.
    """
    require_local(folder, "an LMDB store")
    if not (folder / DATA_FILE).exists():
        raise StoreError(f"there is no store in {folder}: it holds no {DATA_FILE}")


def identity_of(folder: Path) -> tuple[int, int] | None:
    """Return what tells the files in a folder from others; ``None`` where there are none."""
    try:
        status = os.stat(f"{folder}/{DATA_FILE}")  # noqa: PTH116  # a tenth of Path.stat's time, once a transaction
    except OSError:
        return None
    return status.st_dev, status.st_ino


def environment(folder: Path, *, readonly: bool, lock: bool) -> lmdb.Environment:
    """Open LMDB's environment in a folder that exists.

    Raises:
        StoreError: It lies on the disk of another machine.
        lmdb.Error: As LMDB says.
    """
    require_local(folder, "an LMDB store")
    return lmdb.Environment(
        os.fspath(folder),
        map_size=0 if (folder / DATA_FILE).exists() else _FIRST_MAP_SIZE,  # 0 takes what the file says
        readonly=readonly,
        lock=lock,
        mode=0o600,
        create=False,
        max_dbs=layout.MAX_DATABASES,
        max_readers=MAX_READERS,
    )
