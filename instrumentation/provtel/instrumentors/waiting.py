"""How long a call waited from when it was handed over until it began."""

from __future__ import annotations

import functools
import time
from typing import NamedTuple

from provtel_model.journal.liveness import boot_id

_boot = functools.cache(boot_id)


class HandedOver(NamedTuple):
    """When a call was handed over, by two clocks.

    Args:
        boot: The kernel whose steady clock it is.
        steady: Nanoseconds of that clock.
        wall: Nanoseconds since the epoch, for other machines.
    """

    boot: str
    steady: int
    wall: int

    @classmethod
    def now(cls) -> HandedOver:
        """Return this moment."""
        return cls(_boot(), time.monotonic_ns(), time.time_ns())

    def waited(self) -> float:
        """Return the seconds since then, never less than none."""
        since = time.monotonic_ns() - self.steady if self.boot == _boot() else time.time_ns() - self.wall
        return max(since, 0) / 1e9
