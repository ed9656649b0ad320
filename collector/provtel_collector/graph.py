"""From a configuration to components that are connected: one of each id, built only where a pipeline needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from provtel_collector_config.ids import ComponentId, Kind, PipelineId
from provtel_model.components import Component, Consumer, Context, Signal

from provtel_collector.delivery import Counted, Passing, fan_out
from provtel_collector.delivery.delivered import Delivered
from provtel_collector.delivery.journeys import Journeyed, Journeys
from provtel_collector.located import located

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from provtel_collector_config.configuration import Configuration, Pipeline

    from provtel_collector.counters import Counters, OwnCounters

_RECEIVED: Final = ("receiver_accepted", "receiver_refused", "receiver_failed")
_INCOMING: Final = "processor_incoming_items"
_OUTGOING: Final = "processor_outgoing_items"


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


AllJourneys = dict[tuple[str, str], Journeys]
"""How long batches take, by receiver and signal."""


def build(
    configuration: Configuration, counters: Counters | OwnCounters, journeys: AllJourneys | None = None
) -> list[Node]:
    """Return the components that a configuration uses, in the order in which they start.

    Extensions come first, then everything before what feeds it, so that receivers come last.

    Args:
        configuration: What is wanted.
        counters: Where components count.
        journeys: Where it is written down how long batches take.

    Raises:
        UserError: A component cannot be made as it is configured.
    """
    return _Building(configuration, counters, {} if journeys is None else journeys).nodes()


class _Building:
    """One pass over a configuration, from what is last in the flow to what is first."""

    def __init__(self, configuration: Configuration, counters: Counters | OwnCounters, journeys: AllJourneys) -> None:
        self.configuration = configuration
        self.counters = counters
        self.journeys = journeys
        self.pipelines = configuration.pipelines
        self.connectors = configuration.components[Kind.CONNECTORS]
        self.extensions: dict[str, Component] = {}
        self.shared: dict[tuple[Kind, ComponentId], dict[str, Any]] = {}
        self.made: list[Node] = []
        self.exits: dict[tuple[ComponentId, Signal], Consumer] = {}
        self.heads: dict[PipelineId, Consumer] = {}

    def nodes(self) -> list[Node]:
        """Make everything."""
        for id_ in _unique(self.configuration.extensions):
            self.extensions[str(id_)] = self.make(Kind.EXTENSIONS, id_).component
        for id_ in self.used(lambda one: one.exporters):
            self.exporter(id_)
        for pipeline_id in self.pipelines:
            self.head(pipeline_id)
        for id_ in self.used(lambda one: one.receivers):
            self.receiver(id_)
        return self.made

    def exporter(self, id_: ComponentId) -> None:
        """Make an exporter with its delivery; it takes every signal."""
        signals = [name.signal for name, pipeline in self.pipelines.items() if id_ in pipeline.exporters]
        node = self.make(Kind.EXPORTERS, id_, signals=dict.fromkeys(signals))
        self.exits.update({(id_, signal): cast("Consumer", node.component) for signal in signals})

    def head(self, pipeline_id: PipelineId) -> Consumer:
        """Return what a pipeline begins with; what it feeds by connectors is made first."""
        if pipeline_id not in self.heads:
            pipeline = self.pipelines[pipeline_id]
            head = fan_out([self.exit(id_, pipeline_id.signal) for id_ in _unique(pipeline.exporters)])
            for id_ in reversed(pipeline.processors):
                # Each pipeline has a processor of its own, as it may keep what flows through it for a while.
                head = self.processor(id_, pipeline_id.signal, head)
            self.heads[pipeline_id] = head
        return self.heads[pipeline_id]

    def processor(self, id_: ComponentId, signal: Signal, following: Consumer) -> Consumer:
        """Make a processor, and count what comes to it and what it gives on."""
        report = self.report(Kind.PROCESSORS, id_)
        node = self.make(Kind.PROCESSORS, id_, {signal: Passing(following, report, _OUTGOING)})
        return Passing(cast("Consumer", node.component), report, _INCOMING)

    def exit(self, id_: ComponentId, signal: Signal) -> Consumer:
        """Return what a pipeline of a signal gives its data to under the name of an exporter."""
        if (id_, signal) not in self.exits:
            self.exits[id_, signal] = self.connector(id_, signal)
        return self.exits[id_, signal]

    def connector(self, id_: ComponentId, signal: Signal) -> Consumer:
        """Make a connector for one signal, with all that it feeds."""
        fed = {name: self.head(name) for name in self.fed_by(id_) if name.signal is signal}
        following = {signal: fan_out(list(fed.values()))}
        pipelines = {str(name): head for name, head in fed.items()}
        return cast("Consumer", self.make(Kind.CONNECTORS, id_, following, pipelines).component)

    def receiver(self, id_: ComponentId) -> None:
        """Make a receiver that feeds every pipeline that names it."""
        fed: dict[Signal, list[Consumer]] = {}
        for name in self.fed_by(id_):
            fed.setdefault(name.signal, []).append(self.heads[name])
        report = self.report(Kind.RECEIVERS, id_)
        following = {
            signal: Counted(self.journey(id_, signal, fan_out(consumers)), report, _RECEIVED)
            for signal, consumers in fed.items()
        }
        self.make(Kind.RECEIVERS, id_, following)

    def journey(self, id_: ComponentId, signal: Signal, consumer: Consumer) -> Consumer:
        """Return a consumer that measures how long a batch of a receiver takes until it is durable."""
        journeys = self.journeys.setdefault((str(id_), signal.value), Journeys())
        return Journeyed(consumer, journeys)

    def fed_by(self, id_: ComponentId) -> list[PipelineId]:
        """Return the pipelines that name a receiver or a connector as where their data comes from."""
        return [name for name, pipeline in self.pipelines.items() if id_ in pipeline.receivers]

    def used(self, named: Callable[[Pipeline], Iterable[ComponentId]]) -> list[ComponentId]:
        """Return the ids that pipelines name, each once, without those of connectors."""
        ids = _unique(id_ for pipeline in self.pipelines.values() for id_ in named(pipeline))
        return [id_ for id_ in ids if id_ not in self.connectors]

    def make(
        self,
        kind: Kind,
        id_: ComponentId,
        following: Mapping[Signal, Consumer] | None = None,
        pipelines: Mapping[str, Consumer] | None = None,
        signals: Collection[Signal] = (),
    ) -> Node:
        """Make one component; an exporter gets its delivery."""
        configured = self.configuration.components[kind][id_]
        context = Context(
            id=str(id_),
            next=following or {},
            report=self.report(kind, id_),
            observe=self.observe(kind, id_),
            extensions=self.extensions,
            pipelines=pipelines or {},
            signals=frozenset(name.signal for name in self.pipelines),
            shared=self.shared.setdefault((kind, id_), {}),
        )
        with located(f"{kind}::{id_}"):
            component = configured.factory.create(configured.config, context)
            if kind is Kind.EXPORTERS:
                component = Delivered(component, configured.config, context, signals)
            self.made.append(Node(kind, id_, component))
        return self.made[-1]

    def report(self, kind: Kind, id_: ComponentId) -> Callable[[str, int, Mapping[str, str]], None]:
        """Return where a component reports its numbers: they carry its id."""
        own = {kind.one: str(id_)}
        return lambda name, count, attributes: self.counters.add(name, count, {**own, **attributes})

    def observe(self, kind: Kind, id_: ComponentId) -> Callable[[str, Callable[[], float], Mapping[str, str]], None]:
        """Return where a component registers its gauges: they carry its id."""
        own = {kind.one: str(id_)}
        return lambda name, read, attributes: self.counters.observe(name, read, {**own, **attributes})


def _unique(ids: Iterable[ComponentId]) -> list[ComponentId]:
    return list(dict.fromkeys(ids))
