"""What a task costs: CPU of its thread, or of the process where a thread's share cannot be told."""

from __future__ import annotations

import resource
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from provtel_model import attributes as names

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue

SPLIT_AGE: Final = 1_000_000
"""Nanoseconds of CPU time after which a thread asks again how much of its time was the system's.

The kernel samples that share at its ticks of some milliseconds, so that it says nothing of less than a millisecond:
such time counts as the user's. How much time it was in all is exact.
"""
_thread_time: Final = time.thread_time_ns
_THREAD: Final[int | None] = getattr(resource, "RUSAGE_THREAD", None)


class Meter(Protocol):
    """Measures CPU time between two moments of one thread."""

    def start(self) -> Any:
        """Return what `spent` wants to know of now."""

    def spent(self, before: Any) -> tuple[float, float]:
        """Return the seconds since then: the user's, and the system's."""


class _Split(threading.local):
    at = -(2**62)
    system = 0

    def renew(self, now: int) -> None:
        self.at = now
        if _THREAD is not None:
            self.system = int(resource.getrusage(_THREAD).ru_stime * 1e9)


_split: Final = _Split()


class ThreadMeter:
    """Measures this thread."""

    def start(self) -> tuple[int, int]:
        """Return the thread's nanoseconds so far, and the system's share of them when it was last asked for."""
        now = _thread_time()
        if not 0 <= now - _split.at <= SPLIT_AGE:  # a forked child's clock begins anew
            _split.renew(now)
        return now, _split.system

    def spent(self, before: tuple[int, int]) -> tuple[float, float]:
        """Return the seconds since then."""
        now = _thread_time()
        spent, system = now - before[0], 0
        if spent >= SPLIT_AGE:
            _split.renew(now)
            system = min(max(_split.system - before[1], 0), spent)
        return (spent - system) / 1e9, system / 1e9


class ProcessMeter:
    """Measures the whole process."""

    def start(self) -> resource.struct_rusage:
        """Return the process's usage so far."""
        return resource.getrusage(resource.RUSAGE_SELF)

    def spent(self, before: resource.struct_rusage) -> tuple[float, float]:
        """Return the seconds since then."""
        now = resource.getrusage(resource.RUSAGE_SELF)
        return now.ru_utime - before.ru_utime, now.ru_stime - before.ru_stime


class NoMeter:
    """Asks nothing: what the task costs is not wanted."""

    def start(self) -> None:
        """Do nothing."""

    def spent(self, before: None) -> tuple[float, float]:  # noqa: ARG002  # a meter's
        """Return that nothing was measured."""
        return 0.0, 0.0


THREAD_METER: Final = ThreadMeter()
PROCESS_METER: Final = ProcessMeter()
NO_METER: Final = NoMeter()

PROCESS_SCOPE: Final[dict[str, AnyValue]] = {names.TASK_CPU_SCOPE.removeprefix(names.TASK_PREFIX): "process"}
"""Says of a record's telemetry that it is the whole process's."""


def meter_for(*, telemetry: bool, shares_thread: bool) -> Meter:
    """Return the meter for what has its thread to itself, or has not."""
    if not telemetry:
        return NO_METER
    return PROCESS_METER if shares_thread else THREAD_METER


def in_event_loop() -> bool:
    """Say whether this thread runs an event loop, whose other tasks may run between start and end."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001  # documented, and never raises
