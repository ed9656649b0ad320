"""Counts what goes on and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_model.errors import DeliveryError

from provtel_collector.counters import ITEMS
from provtel_collector.delivery.defects import DefectError, defect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel_model.components import Batch, Consumer


class Counted:
    """Counts what a consumer took and what it refused.

    A failure that is no `DeliveryError` is somebody's defect: it is logged, counted apart where there is a name for it,
    and the batch may be sent again.

    Args:
        consumer: The consumer.
        report: Where the counts go.
        names: Beginnings of the metrics' names, for what was taken, for what was not, and for what failed by a defect.
        attributes: What the counts are told apart by.
    """

    def __init__(
        self,
        consumer: Consumer,
        report: Callable[[str, int, Mapping[str, str]], None],
        names: tuple[str, str] | tuple[str, str, str],
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        self._consumer = consumer
        self._report = report
        self._names = names
        self._taken, self._refused, self._failed = (*names, names[1])[:3]
        self._attributes = attributes or {}

    def over(self, transport: str) -> Counted:
        """Return the same, whose counts say how the data came."""
        return Counted(self._consumer, self._report, self._names, {"transport": transport})

    def consume(self, batch: Batch) -> None:
        """Give a batch on and count how it went."""
        try:
            self._consumer.consume(batch)
        except DeliveryError as error:
            self._count(self._failed if isinstance(error, DefectError) else self._refused, batch)
            raise
        except Exception as error:
            self._count(self._failed, batch)
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
