"""The ``memory_limiter`` processor."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from provtel_model.errors import RetryableError

from provtel_collector import memory
from provtel_collector.counters import ITEMS

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context

    from provtel_collector.processors.memory_limiter.config import MemoryLimiterConfig

_log = logging.getLogger(__name__)

_MIB: Final = 2**20
# A collection that freed less than this was of no use, and the next waits longer.
_EFFECTIVE: Final = 0.05
# Of the interval between two looks: a collection takes time, and the next look must not come a little too early for it.
_NEARLY: Final = 0.95


class MemoryLimiter:
    """Refuses data for now while the process uses more memory than its soft limit.

    What counts is what the process holds for itself, without files that are mapped.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: MemoryLimiterConfig, context: Context) -> None:
        self._config = config
        self._context = context
        total = memory.available()
        self._hard = config.limit_mib * _MIB or config.limit_percentage * total // 100
        spike = config.spike_limit_mib * _MIB or (config.spike_limit_percentage * total // 100) * (not config.limit_mib)
        self._soft = self._hard - (spike or self._hard // 5)
        self._refusing = False
        self._last_used = 0
        self._collected_at = time.monotonic()
        self._soft_wait = self._hard_wait = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"provtel-{context.id}", daemon=True)

    def start(self) -> None:
        """Begin to look at the memory."""
        _log.info(
            "%s: refusing data from %d MiB on, limit %d MiB", self._context.id, self._soft // _MIB, self._hard // _MIB
        )
        self._thread.start()

    def shutdown(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def consume(self, batch: Batch) -> None:
        """Give a batch on, or refuse it for now.

        Raises:
            RetryableError: There is too little memory.
        """
        if self._refusing:
            self._context.report(f"processor_memory_limiter_refused_{ITEMS[batch.signal]}", batch.items, {})
            raise RetryableError("data refused due to high memory usage")
        self._context.report(f"processor_memory_limiter_accepted_{ITEMS[batch.signal]}", batch.items, {})
        self._context.next[batch.signal].consume(batch)

    def _watch(self) -> None:
        while not self._stopping.wait(self._config.check_interval):
            self.check()

    def check(self) -> None:
        """Look at the memory once, and decide whether data are refused until the next look."""
        used = memory.held()
        above = self._judge(used, collected=False)
        if above and time.monotonic() - self._collected_at > self._gate(used):
            memory.give_back()
            self._collected_at = time.monotonic()
            used = memory.held()
            above = self._judge(used, collected=True)
        if above != self._refusing:
            said = "above the soft limit, refusing data" if above else "back within limits, taking data again"
            _log.log(logging.WARNING if above else logging.INFO, "%s: %d MiB: %s", self._context.id, used // _MIB, said)
        self._refusing = above

    def _gate(self, used: int) -> float:
        """Return how long the last collection must be past."""
        if used >= self._hard:
            return max(self._config.min_gc_interval_when_hard_limited, self._hard_wait)
        return max(self._config.min_gc_interval_when_soft_limited, self._soft_wait)

    def _judge(self, used: int, *, collected: bool) -> bool:
        """Return whether it is too much; let the next collection wait longer where this one did not help."""
        above = used >= self._soft
        helped = not above or used <= self._last_used * (1 - _EFFECTIVE)
        self._last_used = used
        if helped:
            self._soft_wait = self._hard_wait = 0.0
        elif collected:
            config = self._config
            self._soft_wait = self._longer(
                self._soft_wait, config.min_gc_interval_when_soft_limited, config.max_gc_interval_when_soft_limited
            )
            self._hard_wait = self._longer(
                self._hard_wait, config.min_gc_interval_when_hard_limited, config.max_gc_interval_when_hard_limited
            )
        return above

    def _longer(self, wait: float, least: float, most: float) -> float:
        if not most:
            return least
        return min(max(wait, least, self._config.check_interval * _NEARLY) * 2, max(most, least))
