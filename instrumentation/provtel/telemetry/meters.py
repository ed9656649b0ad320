"""Meters of tasks: CPU of its thread, or of the process where a thread's share cannot be told."""

from __future__ import annotations

import enum
import os
import resource
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from provtel_model import attributes as names

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_model.anyvalue import AnyValue

SPLIT_AGE: Final = 1_000_000
"""Nanoseconds of CPU time after which a thread asks again how much of its time was the system's.

The kernel samples that share at its ticks of some milliseconds, so that it says nothing of less than a millisecond:
such time counts as the user's. How much time it was in all is exact.
"""
_thread_time: Final = time.thread_time_ns
_THREAD: Final[int | None] = getattr(resource, "RUSAGE_THREAD", None)


class Level(enum.StrEnum):
    """How much is measured of a task."""

    OFF = "off"
    CPU = "cpu"
    FULL = "full"

    @classmethod
    def of(cls, wanted: object) -> Level | None:
        """Return the level that a task was told; ``None`` where it is the one of the settings.

        Raises:
            ValueError: It is none.
        """
        if wanted is None or wanted is True:
            return None
        try:
            return cls.OFF if wanted is False else cls(wanted)  # type: ignore[arg-type]  # it raises for what is no text
        except ValueError:
            raise ValueError(f"telemetry={wanted!r}: write 'off', 'cpu' or 'full'") from None


class Meter(Protocol):
    """Measures what is used between two moments of one thread."""

    def start(self) -> Any:
        """Return what `spent` wants to know of now."""

    def spent(self, before: Any) -> tuple[float, float, dict[str, AnyValue] | None]:
        """Return the seconds of CPU since then, the user's and the system's, and further figures by their keys."""


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

    def spent(self, before: tuple[int, int]) -> tuple[float, float, None]:
        """Return the seconds since then."""
        now = _thread_time()
        spent, system = now - before[0], 0
        if spent >= SPLIT_AGE:
            _split.renew(now)
            system = min(max(_split.system - before[1], 0), spent)
        return (spent - system) / 1e9, system / 1e9, None


class ProcessMeter:
    """Measures the whole process."""

    def start(self) -> resource.struct_rusage:
        """Return the process's usage so far."""
        return resource.getrusage(resource.RUSAGE_SELF)

    def spent(self, before: resource.struct_rusage) -> tuple[float, float, None]:
        """Return the seconds since then."""
        now = resource.getrusage(resource.RUSAGE_SELF)
        return now.ru_utime - before.ru_utime, now.ru_stime - before.ru_stime, None


class NoMeter:
    """Asks nothing: what the task costs is not wanted."""

    def start(self) -> None:
        """Do nothing."""

    def spent(self, before: None) -> tuple[float, float, None]:  # noqa: ARG002  # a meter's
        """Return that nothing was measured."""
        return 0.0, 0.0, None


THREAD_METER: Final = ThreadMeter()
PROCESS_METER: Final = ProcessMeter()
NO_METER: Final = NoMeter()

PROCESS: Final = "process"
PROCESS_SCOPE: Final[dict[str, AnyValue]] = {names.TASK_CPU_SCOPE.removeprefix(names.TASK_PREFIX): PROCESS}
"""Says of a record's telemetry that it is the whole process's."""


_around: Callable[[Meter], Meter] | None = None


def measure_around(wrap: Callable[[Meter], Meter] | None) -> None:
    """Let meters from now on be what `wrap` makes of them."""
    global _around  # noqa: PLW0603  # whether there is a GPU is known late
    _around = wrap


def meter_for(level: Level, *, shares_thread: bool) -> Meter:
    """Return the meter for what has its thread to itself, or has not."""
    if level is Level.OFF:
        return NO_METER
    meter: Meter = PROCESS_METER if shares_thread else THREAD_METER
    if level is Level.FULL:
        from provtel.telemetry import usage  # a program that does not ask for it is spared it

        meter = usage.PROCESS_METER if shares_thread else usage.THREAD_METER
    return meter if _around is None else _around(meter)


def figures_elsewhere(meter: Meter, before: Any) -> dict[str, AnyValue] | None:
    """Return those figures since `Meter.start` that are no thread's, for a task that ends in another thread."""
    ask = getattr(meter, "elsewhere", None)
    found: dict[str, AnyValue] | None = ask(before) if ask is not None and before is not None else None
    return found


def _after_fork_in_child() -> None:
    # What measured around was of the parent's sampler; the child's own begins anew.
    measure_around(None)


os.register_at_fork(after_in_child=_after_fork_in_child)


def in_event_loop() -> bool:
    """Say whether this thread runs an event loop, whose other tasks may run between start and end."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001  # documented, and never raises
