"""Watches the attempts to give data to an exporter: how it is doing is told to the log, and to who wants to know."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from provtel_model.errors import DeliveryError, RetryableError

from provtel_collector.delivery.defects import defect

if TYPE_CHECKING:
    from provtel_model.components import Batch, Consumer

_log = logging.getLogger(__name__)

_SLOW_SECONDS: Final = 1.0
_QUIET_SECONDS: Final = 10.0


class Announced:
    """Tells the log when a consumer begins to refuse what it may take later, and when it takes again.

    Between the two it tells nothing, and where they alternate quickly not each of them. A failure that is no
    `DeliveryError` is the consumer's defect: it is logged, and the batch may be sent again.

    Args:
        consumer: The consumer.
        name: What to call it.
        fate: What happens to data that is refused.
    """

    def __init__(self, consumer: Consumer, name: str, fate: str = "whoever sent it is told") -> None:
        self._consumer = consumer
        self._name = name
        self._fate = fate
        self._lock = threading.Lock()
        self._refusing = False
        self._told = False
        self._quiet_until = float("-inf")
        self._running = 0
        self._moved = time.monotonic()

    def consume(self, batch: Batch) -> None:
        """Give a batch on."""
        self._begin()
        try:
            self._consumer.consume(batch)
        except DeliveryError as error:
            self._end(error)
            raise
        except Exception as error:
            refusal = defect(self._consumer, error)
            self._end(refusal)
            raise refusal from error
        self._end(None)

    @property
    def struggling(self) -> bool:
        """Whether the last attempt failed, or none of those that run has ended for some time."""
        return self._refusing or (self._running > 0 and time.monotonic() - self._moved > _SLOW_SECONDS)

    def _begin(self) -> None:
        with self._lock:
            if not self._running:
                self._moved = time.monotonic()
            self._running += 1

    def _end(self, error: DeliveryError | None) -> None:
        with self._lock:
            now = time.monotonic()
            self._running -= 1
            self._moved = now
            self._refusing = isinstance(error, RetryableError)
            telling = self._refusing is not self._told and (self._told or now >= self._quiet_until)
            if telling:
                self._told = self._refusing
                self._quiet_until = now + _QUIET_SECONDS
        if telling and self._refusing:
            _log.warning("%s refuses data, and %s: %s", self._name, self._fate, error)
        elif telling:
            _log.info("%s takes data again", self._name)
