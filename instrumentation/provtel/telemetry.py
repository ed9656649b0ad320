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


def _thread_usage() -> Usage:
    thread = getattr(resource, "RUSAGE_THREAD", None)
    if thread is not None:
        return functools.partial(resource.getrusage, thread)
    return lambda: (time.thread_time(), 0.0)


usage_of_thread: Final[Usage] = _thread_usage()
usage_of_process: Final[Usage] = functools.partial(resource.getrusage, resource.RUSAGE_SELF)

PROCESS_SCOPE: Final[dict[str, AnyValue]] = {names.TASK_CPU_SCOPE.removeprefix(names.TASK_PREFIX): "process"}
"""Says of a record's telemetry that it is the whole process's."""


def in_event_loop() -> bool:
    """Say whether this thread runs an event loop, whose other tasks may run between start and end."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001  # documented, and never raises
