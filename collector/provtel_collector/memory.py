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


def used() -> int:
    """Return the resident bytes of this process; where they cannot be told, the most that it ever had."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


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
