"""Which of the processes on a machine measures it: the one that holds a lock, which goes with that process."""

from __future__ import annotations

import contextlib
import os
import weakref
from typing import TYPE_CHECKING, Final

from provtel_model.journal.liveness import boot_id, host_name, try_lock

from provtel.own_file import identity_of

if TYPE_CHECKING:
    from pathlib import Path

_held: Final[weakref.WeakSet[MachineLock]] = weakref.WeakSet()


class MachineLock:
    """A lock that one process of this machine has.

    Args:
        folder: Where its file is; processes that use the same folder have the same lock.
    """

    def __init__(self, folder: Path) -> None:
        """Hold nothing yet."""
        self._path = folder / f".sampler-{host_name()}-{boot_id()[:8]}"
        self._number = -1
        self._identity = (0, 0)
        _held.add(self)

    def is_mine(self) -> bool:
        """Say whether this process has it, after it took it where nobody had it. Never waits and never raises."""
        if self._number >= 0:
            if self._is_open():
                return True
            self._number = -1  # the program closed it
        try:
            number = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return False
        try:
            if not try_lock(number):
                os.close(number)
                return False
        except OSError:
            pass  # on a file system without locks each process measures for itself
        self._number, self._identity = number, identity_of(number)
        return True

    def let_go(self) -> None:
        """Let others have it; in a forked child, leave it to the parent."""
        if self._number >= 0 and self._is_open():
            with contextlib.suppress(OSError):
                os.close(self._number)
        self._number = -1

    def _is_open(self) -> bool:
        with contextlib.suppress(OSError):
            return identity_of(self._number) == self._identity
        return False


def _after_fork_in_child() -> None:
    # A descriptor that a child inherits holds the lock as long as the child lives.
    for lock in [*_held]:
        lock.let_go()


os.register_at_fork(after_in_child=_after_fork_in_child)
