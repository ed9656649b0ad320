"""What a task costs: CPU of its thread, or of the process where a thread's share cannot be told."""

from __future__ import annotations

import functools
import resource
import sys
import time
from typing import TYPE_CHECKING, Final

from provtel_model import attributes as names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provtel_model.anyvalue import AnyValue

    Usage = Callable[[], Sequence[float]]
    """Returns CPU seconds so far, user first, then system; what follows is of no concern."""


_thread_time: Final = time.thread_time_ns
_getrusage: Final = resource.getrusage
_THREAD: Final[int | None] = getattr(resource, "RUSAGE_THREAD", None)


def usage_of_thread() -> Sequence[float]:
    """Return the CPU seconds of this thread."""
    # The kernel brings a thread's usage up to date at its ticks of milliseconds, and whenever this clock is read.
    total = _thread_time()
    return (total / 1e9, 0.0) if _THREAD is None else _getrusage(_THREAD)


def usage_unknown() -> Sequence[float]:
    """Ask nothing: what the task costs is not wanted."""
    return _NOTHING


_NOTHING: Final = (0.0, 0.0)
usage_of_process: Final[Usage] = functools.partial(resource.getrusage, resource.RUSAGE_SELF)

PROCESS_SCOPE: Final[dict[str, AnyValue]] = {names.TASK_CPU_SCOPE.removeprefix(names.TASK_PREFIX): "process"}
"""Says of a record's telemetry that it is the whole process's."""


def usage_for(*, shares_thread: bool) -> Usage:
    """Return the clock for what has its thread to itself, or has not."""
    return usage_of_process if shares_thread else usage_of_thread


def in_event_loop() -> bool:
    """Say whether this thread runs an event loop, whose other tasks may run between start and end."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001  # documented, and never raises
