"""How long batches take from a receiver until they are durable, and what went wrong with the last that were refused."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from provtel_model.errors import DeliveryError

if TYPE_CHECKING:
    from provtel_model.components import Batch, Consumer

BOUNDS: Final = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""The buckets of times begin with these seconds."""

_MOST_FAILURES: Final = 10


@dataclass(frozen=True, slots=True)
class Failure:
    """A batch that was refused.

    Args:
        at: When, in seconds since the epoch.
        seconds: How long it took until then.
        items: How many spans, log records or data points it had.
        reason: What was said.
    """

    at: float
    seconds: float
    items: int
    reason: str


@dataclass(slots=True)
class Journeys:
    """The batches of one receiver and one signal. May be used from several threads.

    Args:
        taken: How many there were in each bucket of times.
        failures: The last that were refused.
        underway: How many have not come to an end.
    """

    taken: list[int] = field(default_factory=lambda: [0] * len(BOUNDS))
    failures: deque[Failure] = field(default_factory=lambda: deque(maxlen=_MOST_FAILURES))
    underway: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> float:
        """Know of a batch; return when it began."""
        with self._lock:
            self.underway += 1
        return time.perf_counter()

    def end(self, began: float, items: int, reason: str | None) -> None:
        """Know that it was taken, or why not."""
        seconds = time.perf_counter() - began
        with self._lock:
            self.underway -= 1
            if reason is None:
                self.taken[bisect_right(BOUNDS, seconds) - 1] += 1
            else:
                self.failures.append(Failure(time.time(), seconds, items, reason))


class Journeyed:
    """Measures the way of each batch through a consumer.

    Args:
        consumer: The consumer.
        journeys: Where it is written down.
    """

    def __init__(self, consumer: Consumer, journeys: Journeys) -> None:
        self._consumer = consumer
        self._journeys = journeys

    def consume(self, batch: Batch) -> None:
        """Give a batch on."""
        began = self._journeys.begin()
        reason: str | None = "it failed in a way that it should not"
        try:
            self._consumer.consume(batch)
            reason = None
        except DeliveryError as error:
            reason = str(error)
            raise
        finally:
            self._journeys.end(began, batch.items, reason)
