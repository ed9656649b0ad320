"""The life of a collector: what starts when, and what stops before what."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from provtel_collector.counters import Counters, OwnCounters
from provtel_collector.graph import Node, build
from provtel_collector.located import located
from provtel_collector.telemetry import MetricsServers
from provtel_collector.view import Onlooker, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_collector_config.configuration import Configuration

    from provtel_collector.delivery.journeys import Journeys

_log = logging.getLogger(__name__)


@runtime_checkable
class Watcher(Protocol):
    """A component that is told when data flows."""

    def ready(self) -> None:
        """Know that every component has started."""

    def not_ready(self) -> None:
        """Know that the components are about to stop."""


@runtime_checkable
class Listening(Protocol):
    """A component that can be reached; it knows where once it has started."""

    addresses: tuple[str, ...]


class Service:
    """A collector in this process, also for tests: ``with Service(configuration): …``.

    Args:
        configuration: What it is made of.
        counters: Where it counts; its own where it takes over from nobody.

    Raises:
        UserError: A component cannot be made as it is configured.
    """

    def __init__(self, configuration: Configuration, counters: Counters | None = None) -> None:
        self.counters = Counters() if counters is None else counters
        self._configuration = configuration
        self._journeys: dict[tuple[str, str], Journeys] = {}
        self._own_counters = OwnCounters(self.counters)
        self._nodes = build(configuration, self._own_counters, self._journeys)
        self._metrics = MetricsServers(configuration.telemetry, self.counters)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def start(self) -> None:
        """Start everything, receivers last; where something cannot, stop what has started.

        Raises:
            UserError: A component cannot run as it is configured.
        """
        try:
            self._metrics.start()
            for node in self._nodes:
                with located(node.path):
                    node.component.start()
        except BaseException:
            self.shutdown()
            raise
        view = View(
            self._configuration, time.time(), {one.path: _addresses(one) for one in self._nodes}, self._journeys
        )
        for node in self._nodes:
            if isinstance(node.component, Onlooker):
                node.component.look_at(view)
        for watcher in self._watchers():
            watcher.ready()
        _log.info("ready: %s", ", ".join(self._told()))

    def shutdown(self) -> None:
        """Stop receivers first, let each component finish what it took, extensions last; safe to call twice."""
        for watcher in self._watchers():
            watcher.not_ready()
        for node in reversed(self._nodes):
            try:
                node.component.shutdown()
            except Exception:  # noqa: BLE001  # whatever it was, the others are still to be stopped
                _log.exception("%s did not stop as it should", node.path)
        self._metrics.shutdown()
        self._own_counters.forget()

    def addresses(self, id_: str) -> tuple[str, ...]:
        """Return where a component can be reached."""
        return {str(node.id): _addresses(node) for node in self._nodes}[id_]

    def _watchers(self) -> Iterator[Watcher]:
        for node in self._nodes:
            if isinstance(node.component, Watcher):
                yield node.component

    def _told(self) -> Iterator[str]:
        for node in reversed(self._nodes):
            where = " ".join(_addresses(node))
            yield f"{node.id} on {where}" if where else str(node.id)
        if self._metrics.addresses:
            yield f"metrics on {' '.join(self._metrics.addresses)}"


def _addresses(node: Node) -> tuple[str, ...]:
    return node.component.addresses if isinstance(node.component, Listening) else ()
