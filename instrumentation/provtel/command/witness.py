"""Whether a signal was sent to this process alone, or to all that run in its group or in its job."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

_SHELL: Final = "/bin/sh"
_WAITS: Final = "ulimit -c 0; read -r nothing"
_SECONDS: Final = 0.05
_STEP: Final = 0.005


class Witness:
    """A process that does nothing but end by whatever signal it gets.

    Batch systems, service managers and shells send a signal to each process of a job or a group, the command's too; to
    hand on what this process gets of it would reach the command twice.

    Args:
        mask: The signals that it holds back.
    """

    def __init__(self, mask: set[int]) -> None:
        """Prepare."""
        self._mask = mask
        self._pid = 0
        self._reading, self._writing = os.pipe()

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let it end: nobody will write to it any more."""
        os.close(self._writing)
        os.close(self._reading)
        if self._pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)

    def saw(self, number: int) -> bool:
        """Say whether it got a signal that this process got."""
        give_up_at = time.monotonic() + _SECONDS
        while self._pid and time.monotonic() < give_up_at:
            found, status = os.waitpid(self._pid, os.WNOHANG)
            if found:
                self._start()
                return os.WIFSIGNALED(status) and os.WTERMSIG(status) == number
            time.sleep(_STEP)
        return False

    def _start(self) -> None:
        # It has its input alone of all open files; when this process is gone, whatever the way, it reads the end of it.
        quiet = [
            (os.POSIX_SPAWN_DUP2, self._reading, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        defaults = set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP}
        self._pid = 0
        with contextlib.suppress(OSError):
            self._pid = os.posix_spawn(
                _SHELL, [_SHELL, "-c", _WAITS], {}, file_actions=quiet, setsigmask=self._mask, setsigdef=defaults
            )
