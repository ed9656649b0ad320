"""Memory that the process can do without: on an edge, 4 MB of 60."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2


def share_arenas() -> None:
    """Let all threads share two arenas of malloc, instead of up to eight for each core, which are never full."""
    option = _of_glibc("mallopt")
    if option is not None:
        option(_M_ARENA_MAX, _ARENAS)


def give_back_memory() -> None:
    """Give what reading and checking the configuration took back to the system."""
    gc.collect()
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> ctypes._NamedFuncPointer | None:
    """Return a function that glibc has, and other libraries do not."""
    return getattr(ctypes.CDLL(None), name, None)
