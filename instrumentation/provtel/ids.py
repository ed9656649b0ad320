"""Trace ids and span ids, from a generator of our own.

The global `random` is never touched: a seeded program would repeat its ids, and draw other numbers than without us.
"""

from __future__ import annotations

import contextlib
import os
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

GENERATOR: Final = random.Random()  # noqa: S311  # ids have to be unique, not secret
"""The source of all ids, seeded by the system and again in a forked child."""
_bits: Final = GENERATOR.getrandbits


def _reseed() -> None:
    GENERATOR.seed(os.urandom(32))


_reseed()
os.register_at_fork(after_in_child=_reseed)


@contextlib.contextmanager
def repeated() -> Iterator[None]:
    """Give the same ids in each run of a block of code; afterwards ids are new again."""
    GENERATOR.seed(0)
    try:
        yield
    finally:
        _reseed()


def new_trace_id() -> bytes:
    """Return the 16 bytes of a new trace id, never all zero."""
    return (_bits(128) or 1).to_bytes(16, "big")


def new_span_id() -> int:
    """Return a new span id, never zero."""
    return _bits(64) or 1
