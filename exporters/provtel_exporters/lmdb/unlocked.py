"""Reading a store whose lock file we may not write: another user's, or one on a read-only file system.

A writer does not know of such a reader, and may reuse the pages that it looks at; to follow a page that was written
over may end the process (tried). So a store that some process has open is copied, and the copy is read: to copy bytes
is safe, and whether they were one snapshot can be told afterwards. A store that nobody has open is read in place.

A writer may reuse a page of a snapshot only in a transaction that begins after two others were committed. So what was
read is whole as long as at most one was committed since.
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import lmdb
from provtel_model.errors import StoreError

from provtel_exporters.lmdb import layout
from provtel_exporters.lmdb.files import DATA_FILE, LOCK_FILE, Files, Transaction, environment, identity_of, migrate

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_TRIES: Final = 20
_FLOCK: Final = "@hhqqi0q"  # struct flock of 64-bit Linux


class SnapshotLostError(Exception):
    """A snapshot may have been written over while it was read."""


@dataclass(frozen=True, slots=True)
class FilesAtRest(Files):
    """Files that no process had open, read in place."""

    def are_current(self) -> bool:
        """Say whether a transaction may begin: the files are still there, and nobody has them open."""
        return super(FilesAtRest, self).are_current() and not is_open_somewhere(self.folder)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on a snapshot, and return its result.

        Raises:
            SnapshotLostError: A writer came, and wrote more than once.
        """
        with self.env.begin(buffers=True) as txn:
            try:
                return work(Transaction(txn, self.databases, self.known))
            finally:
                if _last_transaction(self.env) > txn.id() + 1:
                    raise SnapshotLostError


@dataclass(frozen=True, slots=True)
class CopiedFiles(Files):
    """A copy of files that some process has open.

    Args:
        source: The environment that was copied; only its header is ever read.
        transaction: The last transaction in the copy.
        place: Holds the copy.
    """

    source: lmdb.Environment | None = None
    transaction: int = 0
    place: tempfile.TemporaryDirectory[str] | None = None

    def are_current(self) -> bool:
        """Say whether a transaction may begin: nothing was written since the copy was made."""
        unchanged = self.source is not None and _last_transaction(self.source) == self.transaction
        return unchanged and super(CopiedFiles, self).are_current()

    def close(self) -> None:
        """Close both environments, and remove the copy."""
        super(CopiedFiles, self).close()
        if self.source is not None:
            self.source.close()
        if self.place is not None:
            self.place.cleanup()


def open_unlocked(folder: Path) -> Files:
    """Open a store for reading without its lock file.

    Raises:
        StoreError: It is no store, or changes too fast to be copied.
        lmdb.Error: As LMDB says.
    """
    env = environment(folder, readonly=True, lock=False)
    try:
        if not is_open_somewhere(folder):
            return FilesAtRest(folder, env, layout.find(env, folder), identity_of(folder))
        return _copy(folder, env)
    except layout.OldFormatError:
        env.close()
        migrate(folder)
        return open_unlocked(folder)
    except BaseException:
        env.close()
        raise


def is_open_somewhere(folder: Path) -> bool:
    """Say whether a process has a store open, as far as can be told; LMDB holds a lock for as long."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return _is_locked(descriptor)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    if sys.platform != "linux":
        return True
    import fcntl

    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
    found = fcntl.fcntl(descriptor, fcntl.F_GETLK, wanted)
    return bool(struct.unpack(_FLOCK, found)[0] != fcntl.F_UNLCK)


def _copy(folder: Path, source: lmdb.Environment) -> CopiedFiles:
    place = tempfile.TemporaryDirectory(prefix="provtel-copy-")
    try:
        for _ in range(_TRIES):
            before = _last_transaction(source)
            shutil.copyfile(folder / DATA_FILE, Path(place.name) / DATA_FILE)
            if _last_transaction(source) <= before + 1:
                return _open_copy(folder, source, place)
    except BaseException:
        place.cleanup()
        raise
    place.cleanup()
    raise StoreError(
        f"the store {folder} is written faster than it can be copied; to read it in place you must be able to write "
        f"its lock file: ask its owner to run chmod o+rw {folder / LOCK_FILE}"
    )


def _open_copy(folder: Path, source: lmdb.Environment, place: tempfile.TemporaryDirectory[str]) -> CopiedFiles:
    env = environment(Path(place.name), readonly=True, lock=False)
    try:
        databases = layout.find(env, folder)
        return CopiedFiles(
            folder,
            env,
            databases,
            identity_of(folder),
            source=source,
            transaction=_last_transaction(env),
            place=place,
        )
    except BaseException:
        env.close()
        raise


def _last_transaction(env: lmdb.Environment) -> int:
    return int(env.info()["last_txnid"])
