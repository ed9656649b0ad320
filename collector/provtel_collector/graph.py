"""From a configuration to components that are connected: one of each id, built only where a pipeline needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from provtel_collector_config.ids import ComponentId, Kind
from provtel_model.components import Component, Consumer, Context, Signal

from provtel_collector.delivery import Announced, Counted, fan_out
from provtel_collector.located import located

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from provtel_collector_config.configuration import Configuration, Pipeline

    from provtel_collector.counters import Counters

_RECEIVED: Final = ("receiver_accepted", "receiver_refused")
_EXPORTED: Final = ("exporter_sent", "exporter_send_failed")


@dataclass(frozen=True, slots=True)
class Node:
    """A component in its place.

    Args:
        kind: What it is.
        id: Its id in the configuration.
        component: The component.
    """

    kind: Kind
    id: ComponentId
    component: Component

    @property
    def path(self) -> str:
        """Where the configuration has it."""
        return f"{self.kind}::{self.id}"


def build(configuration: Configuration, counters: Counters) -> list[Node]:
    """Return the components that a configuration uses, in the order in which they start.

    Extensions come first, then everything before what feeds it, so that receivers come last.

    Raises:
        UserError: A component cannot be made as it is configured.
    """
    return _Building(configuration, counters).nodes()


class _Building:
    """One pass over a configuration."""

    def __init__(self, configuration: Configuration, counters: Counters) -> None:
        self.configuration = configuration
        self.counters = counters
        self.pipelines = configuration.pipelines

    def nodes(self) -> list[Node]:
        """Make everything, the last in the flow first."""
        extensions = [self.make(Kind.EXTENSIONS, id_, {}) for id_ in _unique(self.configuration.extensions)]
        exporters = {id_: self.make(Kind.EXPORTERS, id_, {}) for id_ in self.used(lambda one: one.exporters)}
        exits = {id_: self.exit(node) for id_, node in exporters.items()}
        processors: list[Node] = []
        heads = {}
        for pipeline_id, pipeline in self.pipelines.items():
            head = fan_out([exits[id_] for id_ in _unique(pipeline.exporters)])
            for id_ in reversed(pipeline.processors):
                # Each pipeline has a processor of its own, as it may keep what flows through it for a while.
                processors.append(self.make(Kind.PROCESSORS, id_, {pipeline_id.signal: head}))
                head = cast("Consumer", processors[-1].component)
            heads[pipeline_id] = head
        receivers = [self.receiver(id_, heads) for id_ in self.used(lambda one: one.receivers)]
        return [*extensions, *exporters.values(), *processors, *receivers]

    def receiver(self, id_: ComponentId, heads: Mapping[Any, Consumer]) -> Node:
        """Make a receiver that feeds every pipeline that names it."""
        fed: dict[Signal, list[Consumer]] = {}
        for pipeline_id, pipeline in self.pipelines.items():
            if id_ in pipeline.receivers:
                fed.setdefault(pipeline_id.signal, []).append(heads[pipeline_id])
        report = self.report(Kind.RECEIVERS, id_)
        following = {signal: Counted(fan_out(consumers), report, _RECEIVED) for signal, consumers in fed.items()}
        return self.make(Kind.RECEIVERS, id_, following)

    def used(self, named: Callable[[Pipeline], Iterable[ComponentId]]) -> list[ComponentId]:
        """Return the ids that pipelines name, each once."""
        return _unique(id_ for pipeline in self.pipelines.values() for id_ in named(pipeline))

    def make(self, kind: Kind, id_: ComponentId, following: Mapping[Signal, Consumer]) -> Node:
        """Make one component."""
        configured = self.configuration.components[kind][id_]
        context = Context(str(id_), following, self.report(kind, id_))
        with located(f"{kind}::{id_}"):
            return Node(kind, id_, configured.factory.create(configured.config, context))

    def exit(self, exporter: Node) -> Consumer:
        """Return what gives data to an exporter."""
        counted = Counted(cast("Consumer", exporter.component), self.report(exporter.kind, exporter.id), _EXPORTED)
        return Announced(counted, exporter.path)

    def report(self, kind: Kind, id_: ComponentId) -> Callable[[str, int, Mapping[str, str]], None]:
        """Return where a component reports its numbers: they carry its id."""
        own = {kind.one: str(id_)}
        return lambda name, count, attributes: self.counters.add(name, count, {**own, **attributes})


def _unique(ids: Iterable[ComponentId]) -> list[ComponentId]:
    return list(dict.fromkeys(ids))
