"""What the kernel counts of a thread, its process and the children of that: memory, I/O, context switches.

`FullMeter` exists twice and does the same: here, and compiled, in ``usage.h``. Nothing is asked that costs more than a
system call: `getrusage`, and one file of ``/proc`` that is kept open.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provtel_model import attributes as names

from provtel.accelerator import accelerator
from provtel.own_file import identity_of
from provtel.telemetry import meters
from provtel.telemetry.meters import PROCESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.anyvalue import AnyValue

    from provtel.telemetry.meters import Meter

_LINUX: Final = sys.platform == "linux"
_BLOCK: Final = 512
"""Bytes in what Linux counts I/O by; elsewhere operations are counted, of which nobody knows the size."""
_PEAK_UNIT: Final = 1024 if _LINUX else 1
_PAGE: Final = resource.getpagesize()
_CLOSED: Final = (-1, -1)
_SUMS: Final = frozenset(
    name.removeprefix(names.TASK_PREFIX)
    for name in (
        names.TASK_IO_READ,
        names.TASK_IO_WRITE,
        names.TASK_CONTEXT_SWITCHES,
        names.TASK_CHILDREN_CPU_USER,
        names.TASK_CHILDREN_CPU_SYSTEM,
        names.TASK_CHILDREN_IO_READ,
        names.TASK_CHILDREN_IO_WRITE,
        names.TASK_GPU_ENERGY,
        names.TASK_GPU_SAMPLES,
    )
)
_HIGHEST: Final = frozenset({names.TASK_GPU_MEMORY.removeprefix(names.TASK_PREFIX)})

RSS, PEAK, MEMORY_SCOPE, READ, WRITTEN, SWITCHES, CHILD_USER, CHILD_SYSTEM, CHILD_READ, CHILD_WRITTEN = KEYS = tuple(
    name.removeprefix(names.TASK_PREFIX)
    for name in (
        names.TASK_MEMORY_RSS,
        names.TASK_MEMORY_RSS_PEAK,
        names.TASK_MEMORY_SCOPE,
        names.TASK_IO_READ,
        names.TASK_IO_WRITE,
        names.TASK_CONTEXT_SWITCHES,
        names.TASK_CHILDREN_CPU_USER,
        names.TASK_CHILDREN_CPU_SYSTEM,
        names.TASK_CHILDREN_IO_READ,
        names.TASK_CHILDREN_IO_WRITE,
    )
)


class _Statm:
    """The kernel's file of this process's memory, kept open; opened again in a forked child, and where it was closed.

    A program may close descriptors that are not its own and be given the same number for a file of its own: so each
    time it is looked whether the descriptor is still this file's.
    """

    def __init__(self) -> None:
        self._number = -1
        self._identity = _CLOSED

    def resident(self) -> int:
        """Return the bytes that are resident now; -1 where they cannot be told."""
        for _ in range(2):
            try:
                if self._number < 0:
                    self._number = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
                    self._identity = identity_of(self._number)
                if identity_of(self._number) == self._identity:
                    return int(os.pread(self._number, 128, 0).split()[1]) * _PAGE
            except (OSError, IndexError, ValueError):
                pass
            self._number = -1
        return -1

    def leave(self) -> None:
        """Close the parent's file, in a forked child."""
        try:
            if self._number >= 0 and identity_of(self._number) == self._identity:
                os.close(self._number)
        except OSError:
            pass
        self._number = -1


class _Peak:
    """The peak of this process's resident memory, since it began to run its program.

    `getrusage` remembers beyond that: a program that was started by a large process begins with that one's peak. As
    long as its own is below, the kernel's longer text is asked; again only after page faults, by which memory grows.
    """

    def __init__(self) -> None:
        self._inherited: int | None = None
        self._own = self._faults = -1

    def bytes(self, counted: int) -> int:
        """Return it.

        Args:
            counted: What `getrusage` says, in bytes.
        """
        if not _LINUX:
            return counted
        if self._inherited is None:
            own = high_water_mark()
            self._inherited = counted if 0 <= own < counted else 0
        return counted if counted > self._inherited else self._own_bytes()

    def _own_bytes(self) -> int:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        faults = usage.ru_minflt + usage.ru_majflt
        if faults != self._faults:
            self._own, self._faults = high_water_mark(), faults
        return self._own

    def leave(self) -> None:
        """Begin anew, in a forked child."""
        self._inherited, self._faults = None, -1


def high_water_mark() -> int:
    """Return the peak of this process's resident memory since it began to run its program; -1 where nobody tells."""
    try:
        with open("/proc/self/status", "rb", buffering=0) as file:  # noqa: PTH123  # a Path takes longer than the file
            text = file.read(4096)
        return int(text.partition(b"\nVmHWM:")[2].split(None, 1)[0]) * 1024
    except (OSError, IndexError, ValueError):
        return -1


_statm: Final = _Statm()
_peak: Final = _Peak()


def _after_fork_in_child() -> None:
    _statm.leave()
    _peak.leave()


os.register_at_fork(after_in_child=_after_fork_in_child)


class _Usage(NamedTuple):
    """What was counted until a moment."""

    own: resource.struct_rusage
    children: resource.struct_rusage
    peak: int
    rss: int


def _now(who: int) -> _Usage:
    own = resource.getrusage(who)
    peak = _peak.bytes(own.ru_maxrss * _PEAK_UNIT)
    rss = _statm.resident() if _LINUX else -1
    return _Usage(own, resource.getrusage(resource.RUSAGE_CHILDREN), peak, rss)


class FullMeter:
    """Measures CPU time, memory, I/O, context switches, and the share of children that ended.

    Args:
        whole_process: CPU time, I/O and context switches are the whole process's, and not the thread's.
    """

    def __init__(self, *, whole_process: bool) -> None:
        """Choose whose figures they are."""
        self.whole_process = whole_process or meters._THREAD is None  # noqa: SLF001  # of the same package
        self._who: int = resource.RUSAGE_SELF if self.whole_process else meters._THREAD  # type: ignore[assignment]  # noqa: SLF001  # as above
        self._cpu: Meter = meters.PROCESS_METER if whole_process else meters.THREAD_METER

    def start(self) -> tuple[_Usage, Any]:
        """Return what was counted so far."""
        return _now(self._who), self._cpu.start()

    def spent(self, before: tuple[_Usage, Any]) -> tuple[float, float, dict[str, AnyValue]]:
        """Return what was counted since then."""
        user, system, _ = self._cpu.spent(before[1])
        return user, system, _figures(before[0], _now(self._who))


def _figures(before: _Usage, now: _Usage) -> dict[str, AnyValue]:
    found: dict[str, AnyValue] = {}
    if now.rss >= 0:
        found[RSS] = now.rss
    if now.peak > before.peak and before.rss >= 0:
        found[PEAK] = max(now.peak - before.rss, 0)
    elif now.peak >= 0:
        found[PEAK], found[MEMORY_SCOPE] = now.peak, PROCESS
    own, earlier = now.own, before.own
    if _LINUX:
        found[READ] = (own.ru_inblock - earlier.ru_inblock) * _BLOCK
        found[WRITTEN] = (own.ru_oublock - earlier.ru_oublock) * _BLOCK
    found[SWITCHES] = own.ru_nvcsw + own.ru_nivcsw - earlier.ru_nvcsw - earlier.ru_nivcsw
    children, earlier = now.children, before.children
    user, system = children.ru_utime - earlier.ru_utime, children.ru_stime - earlier.ru_stime
    if user > 0 or system > 0:
        found[CHILD_USER], found[CHILD_SYSTEM] = round(user, 6), round(system, 6)
        if _LINUX:
            found[CHILD_READ] = (children.ru_inblock - earlier.ru_inblock) * _BLOCK
            found[CHILD_WRITTEN] = (children.ru_oublock - earlier.ru_oublock) * _BLOCK
    return found


def combined(known: Mapping[str, AnyValue], later: Mapping[str, AnyValue]) -> dict[str, AnyValue]:
    """Return the figures of an activity that ran in two pieces: sums, the later memory, and the highest peak.

    Args:
        known: What is known of it: scopes, and figures of pieces before.
        later: Figures of a later piece.
    """
    result: dict[str, AnyValue] = {**known}
    rises = [piece[PEAK] for piece in (known, later) if PEAK in piece and MEMORY_SCOPE not in piece]
    for key, value in later.items():
        before = known.get(key)
        if isinstance(value, int | float) and isinstance(before, int | float):
            value = before + value if key in _SUMS else max(before, value) if key in _HIGHEST else value  # noqa: PLW2901  # of both pieces
        result[key] = value
    if rises:
        result[PEAK] = max(rises)  # type: ignore[type-var]  # numbers
        result.pop(MEMORY_SCOPE, None)
    return result


if accelerator is not None:
    accelerator.configure(figures=KEYS, process=PROCESS)
    if not TYPE_CHECKING:
        FullMeter = accelerator.FullMeter

THREAD_METER: Final = FullMeter(whole_process=False)
PROCESS_METER: Final = FullMeter(whole_process=True)
