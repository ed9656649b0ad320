"""One batch to several consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel_model.errors import DeliveryError, PermanentError, RetryableError

from provtel_collector.delivery.attempts import Attempt, Attempts
from provtel_collector.delivery.defects import defect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_model.components import Batch, Consumer

# Where more batches than this are under way, those that are more go to one consumer after the other.
_MOST_ATTEMPTS: Final = 64


class FanOut:
    """Gives every batch to each of several consumers, to all at the same time, so that none waits for another.

    Where some refuse, the batch counts as refused, for good only if nobody wants to see it again: who took it and sees
    it again takes it as the same.
    """

    def __init__(self, consumers: Sequence[Consumer]) -> None:
        *self._others, self._last = consumers
        self._attempts = Attempts(_MOST_ATTEMPTS)

    def consume(self, batch: Batch) -> None:
        """Give a batch to all, then raise what is to be raised."""
        attempts = [self._attempts.begin(consumer, batch) or _made(consumer, batch) for consumer in self._others]
        attempts.append(_made(self._last, batch))
        for attempt in attempts:
            attempt.ended()
        errors = [_refusal(attempt) for attempt in attempts if attempt.error is not None]
        if errors:
            raise _joined(errors) from errors[0]


def _made(consumer: Consumer, batch: Batch) -> Attempt:
    """Make an attempt in this thread."""
    attempt = Attempt(consumer, batch)
    attempt.run()
    attempt.end()
    return attempt


def _refusal(attempt: Attempt) -> DeliveryError:
    if isinstance(attempt.error, DeliveryError):
        return attempt.error
    return defect(attempt.consumer, attempt.error or RuntimeError())


def _joined(errors: Sequence[DeliveryError]) -> DeliveryError:
    """Return the errors of several consumers as one."""
    message = "; ".join(map(str, errors))
    retryable = [error for error in errors if isinstance(error, RetryableError)]
    if not retryable:
        return PermanentError(message)
    waits = [error.retry_after for error in retryable if error.retry_after is not None]
    return RetryableError(message, max(waits, default=None))


def fan_out(consumers: Sequence[Consumer]) -> Consumer:
    """Return a consumer that feeds all of several."""
    return consumers[0] if len(consumers) == 1 else FanOut(consumers)
