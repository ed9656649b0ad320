"""The ``routing`` connector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from provtel_model.components import Batch, Consumer, Signal
from provtel_model.errors import ConfigError

from provtel_collector.conditions import Condition, Decider, Place
from provtel_collector.counters import ITEMS
from provtel_collector.delivery import FanOut, fan_out
from provtel_collector.requests import count, parse, resources, take_groups, take_items

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provtel_model.components import Context

    from provtel_collector.connectors.routing.config import RouteConfig, RoutingConfig


@dataclass(frozen=True, slots=True)
class _Route:
    """A row of the table for one signal."""

    take: Callable[[Batch, Any], Any]
    consumer: Consumer


@dataclass(frozen=True, slots=True)
class _Addressed:
    """A consumer that is given a part of a batch in place of the batch."""

    consumer: Consumer
    part: Batch

    def consume(self, _batch: Batch) -> None:
        """Give the part on."""
        self.consumer.consume(self.part)


class RoutingConnector:
    """Gives each part of a batch to the pipelines of the first row whose condition holds for it.

    A batch that goes one way as a whole goes as the bytes that came. All ways are tried; where one refuses, the batch
    counts as refused.

    Args:
        config: What the user wrote.
        context: Where it stands: behind one pipeline, of one signal.

    Raises:
        ConfigError: A row names a pipeline that is not behind it, or a condition is not about this signal.
    """

    def __init__(self, config: RoutingConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._decider = Decider(f"connectors::{context.id}", config.error_mode)
        self._routes = {signal: self._table(signal) for signal in context.next}
        self._defaults = {signal: self._heads(config.default_pipelines, signal) for signal in context.next}

    def start(self) -> None:
        """Need nothing."""

    def shutdown(self) -> None:
        """Release nothing."""

    def consume(self, batch: Batch) -> None:
        """Give each part on to where it belongs."""
        request = parse(batch)
        ways = []
        for route in self._routes[batch.signal]:
            part = route.take(batch, request)
            if resources(batch.signal, part):
                ways.append((route.consumer, part))
        if resources(batch.signal, request):
            ways.append((self._defaults[batch.signal] or _Dropped(self._context), request))
        FanOut([_Addressed(consumer, _batch_of(batch, part)) for consumer, part in ways]).consume(batch)

    def _table(self, signal: Signal) -> list[_Route]:
        routes = []
        for index, row in enumerate(self._config.table):
            path = f"connectors::{self._context.id}::table[{index}]"
            if signal not in row.signals:
                raise ConfigError(f"{row.about} is no part of {signal}", f"{path}::context")
            consumer = self._heads(row.pipelines, signal)
            if consumer is not None:
                routes.append(_Route(self._taking(signal, row), consumer))
        return routes

    def _taking(self, signal: Signal, row: RouteConfig) -> Callable[[Batch, Any], Any]:
        copy = row.action == "copy"
        if row.about == "request":
            wanted = row.of_request()
            return lambda batch, request: take_groups(signal, request, lambda _: wanted(batch.metadata), copy=copy)
        condition = row.parsed(signal)
        if row.about == "resource":
            return lambda _, request: take_groups(
                signal, request, lambda group: self._holds(condition, Place(group)), copy=copy
            )
        return lambda _, request: take_items(
            signal, request, lambda *place: self._holds(condition, Place(*place)), copy=copy
        )

    def _heads(self, names: Iterable[str], signal: Signal) -> Consumer | None:
        """Return what feeds pipelines; ``None`` where no name is one of this signal."""
        mine = [name for name in names if name.partition("/")[0] == signal]
        if missing := [name for name in mine if name not in self._context.pipelines]:
            message = f'pipeline "{missing[0]}" does not have this connector as a receiver'
            raise ConfigError(message, f"connectors::{self._context.id}")
        return fan_out([self._context.pipelines[name] for name in mine]) if mine else None

    def _holds(self, condition: Condition | None, place: Place) -> bool:
        return condition is None or self._decider.holds(condition, place)


class _Dropped:
    """Counts what goes nowhere.

    Args:
        context: Where the connector stands.
    """

    def __init__(self, context: Context) -> None:
        self._report = context.report

    def consume(self, batch: Batch) -> None:
        """Count it."""
        self._report(f"connector_routing_dropped_{ITEMS[batch.signal]}", batch.items, {})


def _batch_of(batch: Batch, part: Any) -> Batch:
    items = count(batch.signal, part)
    if items == batch.items:
        return batch
    return replace(batch, payload=part.SerializeToString(), items=items)
