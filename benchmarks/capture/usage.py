"""What this process has used so far."""

from __future__ import annotations

import contextlib
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_OWN = Path("/proc/self")
_ATTEMPTS = 20
_AT_ONCE = 0.0005
"""Seconds: when other programs ran between the clocks, they are read again."""


@dataclass(frozen=True)
class Usage:
    """Seconds; the difference of two is what happened between them.

    Attributes:
        wall: By the clock on the wall.
        cpu: Of the process with all its threads, and of the children that it has waited for.
        ready: That this thread was ready to run and had no core, because other programs had them.
    """

    wall: float
    cpu: float
    ready: float

    @classmethod
    def now(cls) -> Self:
        """Return what was used until now."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(_ATTEMPTS):
            begun = time.perf_counter()
            cpu, ready = time.process_time(), _ready()
            wall = time.perf_counter()
            if wall - begun < _AT_ONCE:
                break
        return cls(wall, cpu + children.ru_utime + children.ru_stime, ready)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.wall - other.wall, self.cpu - other.cpu, self.ready - other.ready)

    @property
    def caller(self) -> float:
        """Return what it took this thread: the time on the wall less what other programs took from it."""
        return self.wall - self.ready


def _ready() -> float:
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    return 0.0


class Memory:
    """How far the resident memory of this process rises from now on."""

    def __init__(self) -> None:
        """Begin here; the peak so far is forgotten where the system allows it."""
        with contextlib.suppress(OSError):
            (_OWN / "clear_refs").write_text("5")
        self._before = _status("VmRSS")

    def risen(self) -> float:
        """Return by how many MiB it has risen at its highest."""
        return (_status("VmHWM") - self._before) / 1024


def _status(field: str) -> int:
    lines = (_OWN / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
