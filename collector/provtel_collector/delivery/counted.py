"""Counts what goes on and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_model.errors import DeliveryError

from provtel_collector.counters import ITEMS
from provtel_collector.delivery.defects import defect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel_model.components import Batch, Consumer


class Counted:
    """Counts what a consumer took and what it refused.

    A failure that is no `DeliveryError` is the consumer's defect: it is logged, and the batch may be sent again.

    Args:
        consumer: The consumer.
        report: Where the counts go.
        names: Beginnings of the two metrics' names, for what was taken and for what was not.
        attributes: What the counts are told apart by.
    """

    def __init__(
        self,
        consumer: Consumer,
        report: Callable[[str, int, Mapping[str, str]], None],
        names: tuple[str, str],
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        self._consumer = consumer
        self._report = report
        self._names = names
        self._taken, self._refused = names
        self._attributes = attributes or {}

    def over(self, transport: str) -> Counted:
        """Return the same, whose counts say how the data came."""
        return Counted(self._consumer, self._report, self._names, {"transport": transport})

    def consume(self, batch: Batch) -> None:
        """Give a batch on and count how it went."""
        try:
            self._consumer.consume(batch)
        except DeliveryError:
            self._count(self._refused, batch)
            raise
        except Exception as error:
            self._count(self._refused, batch)
            raise defect(self._consumer, error) from error
        self._count(self._taken, batch)

    def _count(self, name: str, batch: Batch) -> None:
        self._report(f"{name}_{ITEMS[batch.signal]}", batch.items, self._attributes)


class Passing:
    """Counts what comes to a consumer, whatever becomes of it.

    Args:
        consumer: The consumer.
        report: Where the counts go.
        name: The metric's name.
    """

    def __init__(self, consumer: Consumer, report: Callable[[str, int, Mapping[str, str]], None], name: str) -> None:
        self._consumer = consumer
        self._report = report
        self._name = name

    def consume(self, batch: Batch) -> None:
        """Count a batch, and give it on."""
        self._report(self._name, batch.items, {"otel.signal": batch.signal.value})
        self._consumer.consume(batch)


def over(consumer: Consumer, transport: str) -> Consumer:
    """Return a consumer whose counts, where it has any, say how the data came."""
    return consumer.over(transport) if isinstance(consumer, Counted) else consumer
