"""How much memory this process uses, how much there is, and how to give some back."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import sys
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_CGROUP_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def resident() -> int:
    """Return the bytes of this process that are in memory; where they cannot be told, the most that ever were."""
    return _pages()[0]


def held() -> int:
    """Return the bytes that only this process's end would free.

    Mapped files, such as stores and queues in LMDB, are in memory only for as long as nobody needs the room.
    """
    in_memory, of_files = _pages()
    return in_memory - of_files


def _pages() -> tuple[int, int]:
    """Return how many bytes are in memory, and how many of these are of files."""
    try:
        _, in_memory, of_files, *_ = Path("/proc/self/statm").read_text(encoding="ascii").split()
        return int(in_memory) * _PAGE, int(of_files) * _PAGE
    except (OSError, ValueError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024, 0


def available() -> int:
    """Return the bytes that this process may use: the machine's, or its control group's where those are fewer."""
    limits = [os.sysconf("SC_PHYS_PAGES") * _PAGE]
    for place in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # missing, or "max"
            limits.append(int(Path(place).read_text(encoding="ascii")))
    return min(limits)


def give_back() -> None:
    """Collect garbage, and return what the allocator holds to the system where it can."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
