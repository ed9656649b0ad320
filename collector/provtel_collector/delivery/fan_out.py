"""One batch to several consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_model.errors import DeliveryError, PermanentError, RetryableError

from provtel_collector.delivery.defects import defect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_model.components import Batch, Consumer


class FanOut:
    """Gives every batch to each of several consumers.

    All are tried. Where some refuse, the batch counts as refused, for good only if nobody wants to see it again: who
    took it and sees it again takes it as the same.
    """

    def __init__(self, consumers: Sequence[Consumer]) -> None:
        self._consumers = tuple(consumers)

    def consume(self, batch: Batch) -> None:
        """Give a batch to all, then raise what is to be raised."""
        errors: list[DeliveryError] = []
        for consumer in self._consumers:
            try:
                consumer.consume(batch)
            except DeliveryError as error:
                errors.append(error)
            except Exception as error:  # noqa: BLE001  # the others are still to be tried
                errors.append(defect(consumer, error))
        if not errors:
            return
        retryable = [error for error in errors if isinstance(error, RetryableError)]
        message = "; ".join(map(str, errors))
        if retryable:
            waits = [error.retry_after for error in retryable if error.retry_after is not None]
            raise RetryableError(message, max(waits, default=None)) from errors[0]
        raise PermanentError(message) from errors[0]


def fan_out(consumers: Sequence[Consumer]) -> Consumer:
    """Return a consumer that feeds all of several."""
    return consumers[0] if len(consumers) == 1 else FanOut(consumers)
