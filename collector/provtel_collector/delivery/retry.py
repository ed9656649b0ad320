"""What was refused for now is sent again."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from provtel_model.errors import PermanentError, RetryableError

from provtel_collector.delivery.defects import DefectError

if TYPE_CHECKING:
    import threading

    from provtel_model.components import Batch, Consumer
    from provtel_model.delivery import RetryOnFailure

# Both must be over: what a machine lacks for some seconds looks like a defect too.
_DEFECTIVE_TRIES: Final = 3
_DEFECTIVE_SECONDS: Final = 60.0
_SHORTEST_SECONDS: Final = 0.001
_LONGEST_SECONDS: Final = 86_400.0


class StoppingError(RetryableError):
    """A batch was refused for now, and there is no time to send it again."""


class Retry:
    """Sends a batch again while it is refused for now, after waits that grow and vary.

    The destination's own wish for a wait is granted where it is longer. A batch that makes the consumer fail by a
    defect time and again, for a minute, is refused for good, so that it does not stand in the way of the others for
    ever.

    Args:
        consumer: The consumer.
        settings: How long to wait, and when to give up.
        stopping: When it is set there are no more waits.
        patience: When to give up in any case, in seconds.
    """

    def __init__(
        self, consumer: Consumer, settings: RetryOnFailure, stopping: threading.Event, patience: float | None = None
    ) -> None:
        self._consumer = consumer
        self._settings = settings
        self._stopping = stopping
        limits = [limit for limit in (settings.max_elapsed_time, patience) if limit]
        self._limit = min(limits, default=None)

    def consume(self, batch: Batch) -> None:
        """Give a batch on, as often as it takes.

        Raises:
            StoppingError: It was refused, and the collector stops.
            RetryableError: It was refused for as long as it is to be sent again.
        """
        begun = time.monotonic()
        interval = float(self._settings.initial_interval)
        defects = 0
        while True:
            try:
                return self._consumer.consume(batch)
            except RetryableError as error:
                defects += isinstance(error, DefectError)
                if defects >= _DEFECTIVE_TRIES and time.monotonic() - begun >= _DEFECTIVE_SECONDS:
                    raise PermanentError(f"failed {defects} times by a defect: {error}") from error
                wait = min(max(self._vary(interval), error.retry_after or 0, _SHORTEST_SECONDS), _LONGEST_SECONDS)
                self._pause(wait, begun, error)
            interval = min(interval * self._settings.multiplier, self._settings.max_interval)

    def _pause(self, wait: float, begun: float, error: RetryableError) -> None:
        """Wait before the next try, or raise why there is none."""
        if self._limit is not None and time.monotonic() + wait > begun + self._limit:
            raise RetryableError(f"no more retries left: {error}", wait) from error
        if self._stopping.wait(wait):
            raise StoppingError(str(error), wait) from error

    def _vary(self, interval: float) -> float:
        spread = self._settings.randomization_factor
        return interval * random.uniform(1 - spread, 1 + spread)  # noqa: S311  # no secret
