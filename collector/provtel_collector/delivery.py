"""What stands between components: small consumers, each with one duty, put around or before others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from provtel_model.errors import DeliveryError, PermanentError, RetryableError

from provtel_collector.counters import ITEMS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from provtel_model.components import Batch, Consumer

_log = logging.getLogger(__name__)


class Counted:
    """Counts what a consumer took and what it refused.

    A failure that is no `DeliveryError` is the consumer's defect: it is logged, and the batch may be sent again.

    Args:
        consumer: The consumer.
        report: Where the counts go.
        names: Beginnings of the two metrics' names, for what was taken and for what was not.
    """

    def __init__(
        self, consumer: Consumer, report: Callable[[str, int, Mapping[str, str]], None], names: tuple[str, str]
    ) -> None:
        self._consumer = consumer
        self._report = report
        self._taken, self._refused = names

    def consume(self, batch: Batch) -> None:
        """Give a batch on and count how it went."""
        try:
            self._consumer.consume(batch)
        except DeliveryError:
            self._count(self._refused, batch)
            raise
        except Exception as error:
            self._count(self._refused, batch)
            raise _defect(self._consumer, error) from error
        self._count(self._taken, batch)

    def _count(self, name: str, batch: Batch) -> None:
        self._report(f"{name}_{ITEMS[batch.signal]}", batch.items, {})


class Announced:
    """Tells the log when a consumer begins to refuse and when it takes again, and nothing in between.

    Args:
        consumer: The consumer.
        name: What to call it.
    """

    def __init__(self, consumer: Consumer, name: str) -> None:
        self._consumer = consumer
        self._name = name
        self._refusing = False

    def consume(self, batch: Batch) -> None:
        """Give a batch on."""
        try:
            self._consumer.consume(batch)
        except DeliveryError as error:
            if not self._refusing:
                _log.warning("%s refuses data, and whoever sent it is told: %s", self._name, error)
            self._refusing = True
            raise
        if self._refusing:
            _log.info("%s takes data again", self._name)
        self._refusing = False


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
                errors.append(_defect(consumer, error))
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


def _defect(consumer: Consumer, error: Exception) -> RetryableError:
    """Log a failure that is no refusal, and return it as one: whoever sent the batch may send it again."""
    _log.error("%s failed in a way that it should not", type(consumer).__name__, exc_info=error)
    return RetryableError(f"{type(error).__name__}: {error}")
