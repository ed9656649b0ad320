"""An end to the wait for an exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel_model.errors import RetryableError

from provtel_collector.delivery.attempts import Attempts

if TYPE_CHECKING:
    from provtel_model.components import Batch, Consumer

_MOST_ATTEMPTS: Final = 64
# An exporter that watches the time itself knows better what happened when it is over.
_GRACE_SECONDS: Final = 0.5


class Timeout:
    """Gives batches to a consumer, and waits for it no longer than allowed.

    An attempt that takes longer is given up. It may still succeed, as nothing stops a thread from outside, so what is
    sent again may arrive twice.

    Args:
        consumer: The consumer.
        seconds: How long to wait.
    """

    def __init__(self, consumer: Consumer, seconds: float) -> None:
        self._consumer = consumer
        self._seconds = seconds
        self._attempts = Attempts(_MOST_ATTEMPTS)

    def consume(self, batch: Batch) -> None:
        """Give a batch on.

        Raises:
            RetryableError: There was no answer in time, or too many earlier attempts still hang.
        """
        attempt = self._attempts.begin(self._consumer, batch)
        if attempt is None:
            raise RetryableError(f"{_MOST_ATTEMPTS} attempts hang, each for more than {self._seconds:g} s")
        if not attempt.ended(self._seconds + _GRACE_SECONDS):
            raise RetryableError(f"no answer within {self._seconds:g} s")
        if attempt.error is not None:
            raise attempt.error
