"""The folder of a journal: made so that nobody sees it before its writer holds its lock."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Final

from provtel_model.errors import StoreError
from provtel_model.journal.layout import DROPPED_FILE, LOCK_FILE
from provtel_model.journal.liveness import try_lock
from provtel_model.journal.places import find_journals, register
from provtel_model.store_folder import JOURNAL_FOLDER, STORE_VARIABLE, is_own_folder, make_store

from provtel import notices
from provtel.own_file import OwnFile

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_model.journal.layout import ProcessFacts

SEGMENT_SIZE: Final = 4 * 2**20
_FREE_SHARE: Final = 0.1


class JournalFolder:
    """A folder for a journal in a store folder; `publish` gives it its name.

    Args:
        store: The store folder, which is made where it is not there.
        process: Whose journal it is.

    Raises:
        OSError: It cannot be made.
        StoreError: The store is not ours or cannot be made.
    """

    def __init__(self, store: Path, process: ProcessFacts) -> None:
        """Make it under a name that readers pass over, and take its lock."""
        make_store(store)
        parent = store / JOURNAL_FOLDER
        parent.mkdir(mode=0o700, exist_ok=True)
        if not is_own_folder(parent):
            msg = f"{parent} belongs to another user; name a store of your own by {STORE_VARIABLE}"
            raise StoreError(msg)
        self._name = f"{process.host}-{process.boot[:8]}-{process.pid}-{os.urandom(4).hex()}"
        self._store = store
        self.path = parent / f".{self._name}"
        self.path.mkdir(mode=0o700)
        self._lock = OwnFile(self.path / LOCK_FILE)
        with contextlib.suppress(OSError):  # on a file system without locks readers look for the process
            try_lock(self._lock.number)

    def publish(self) -> None:
        """Give it the name under which readers find it; its first segment is there.

        Raises:
            OSError: It cannot be renamed.
        """
        # While there is room for it: when there is something to be counted, the disk is full.
        self.keep_dropped(0, "")
        self.path = self.path.rename(self.path.with_name(self._name))
        register(self.path)

    def is_there(self) -> bool:
        """Say whether it was not deleted and the lock is still held."""
        return self._lock.is_linked()

    def was_closed(self) -> bool:
        """Say whether the program closed descriptors that are not its own."""
        return not self._lock.is_open()

    def let_go(self) -> None:
        """Let the lock go, so that others take what is there for finished."""
        self._lock.close()

    def keep_dropped(self, count: int, reason: str) -> None:
        """Write down how many activities were dropped and why, for whoever reads the journal; best effort."""
        # In place: on a full disk the room that the file has is all that there is.
        with contextlib.suppress(OSError):
            file = os.open(self.path / DROPPED_FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(file, f"{count:020d} {reason}\n".encode(errors="backslashreplace"), 0)
            finally:
                os.close(file)

    def remove(self) -> None:
        """Take it away again, where it could not be made whole."""
        self.let_go()
        with contextlib.suppress(OSError):
            for entry in self.path.iterdir():
                entry.unlink()
            self.path.rmdir()

    def size_of_segment(self, needed: int, limit: int) -> int:
        """Return how large the next segment is to be.

        Args:
            needed: How many bytes it has to hold at least.
            limit: How many bytes all journals of the store may have.

        Raises:
            OSError: The store has no room for it.
        """
        used = _bytes_of_journals(self._store)
        disk = os.statvfs(self._store)
        limit = min(limit, int((disk.f_bavail * disk.f_frsize + used) * _FREE_SHARE))
        size = max(needed, min(SEGMENT_SIZE, limit // 4))
        if used + size > limit:
            msg = f"the journals of {self._store} have reached their limit of {limit} bytes; a reader drains them"
            raise OSError(errno.EDQUOT, msg)
        if used > limit // 2:
            notices.say(
                "journal half full", f"the journals of {self._store} have {used} bytes, half of what they may have"
            )
        return size


def _bytes_of_journals(store: Path) -> int:
    total = 0
    for journal in find_journals(store):
        with contextlib.suppress(OSError):
            total += sum(entry.stat().st_size for entry in os.scandir(journal))
    return total
