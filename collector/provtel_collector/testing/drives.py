"""Ways to put a component between a sender and a destination."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from provtel_collector_config.dataclass_loading import load_dataclass
from provtel_collector_config.problems import InvalidConfigurationError
from provtel_model.components import Batch, Component, Consumer, Context, Factory, Signal

from provtel_collector.testing.destination import Destination

Send = Callable[[Batch], None]
"""Sends one batch; raises a `DeliveryError` where it is told that the batch was not taken."""

Drive = Callable[[Destination], AbstractContextManager[Send]]
"""Runs a component before a destination for as long as the block lasts, and gives what sends to it."""


def through(
    factory: Factory,
    config: Mapping[str, Any] | None = None,
    extensions: Mapping[str, Component] | None = None,
    signals: Collection[Signal] | None = None,
) -> Drive:
    """Return a drive for a processor or a connector.

    Args:
        factory: What makes it.
        config: What a user writes in YAML; the pipelines that a connector may name are `traces`, `metrics`, `logs`.
        extensions: Extensions that it asks for, by id; they are not started.
        signals: Of which signals there are pipelines; of all that it can carry where nothing is said.
    """

    @contextmanager
    def drive(destination: Destination) -> Iterator[Send]:
        with _running(factory, config, destination, extensions, signals) as component:
            yield component.consume

    return drive


def from_receiver(factory: Factory, config: Mapping[str, Any], connect: Callable[[Any], Send]) -> Drive:
    """Return a drive for a receiver.

    Args:
        factory: What makes it.
        config: What a user writes in YAML.
        connect: Given the started receiver, returns what sends to it from outside, in its own protocol, from several
            threads.
    """

    @contextmanager
    def drive(destination: Destination) -> Iterator[Send]:
        with _running(factory, config, destination, None) as receiver:
            yield connect(receiver)

    return drive


def to_exporter(
    factory: Factory,
    serve: Callable[[Destination], AbstractContextManager[Mapping[str, Any]]],
    extensions: Mapping[str, Component] | None = None,
) -> Drive:
    """Return a drive for an exporter.

    Args:
        factory: What makes it.
        serve: Runs a server that gives what it receives to a destination and answers as that does, and gives the
            exporter's configuration, as a user writes it in YAML.
        extensions: Extensions that it asks for, by id; they are not started.
    """

    @contextmanager
    def drive(destination: Destination) -> Iterator[Send]:
        with serve(destination) as config, _running(factory, config, None, extensions) as exporter:
            yield exporter.consume

    return drive


@contextmanager
def _running(
    factory: Factory,
    config: Mapping[str, Any] | None,
    following: Consumer | None,
    extensions: Mapping[str, Component] | None,
    signals: Collection[Signal] | None = None,
) -> Iterator[Any]:
    loaded, problems = load_dataclass(factory.config, dict(config or {}))
    if problems:
        raise InvalidConfigurationError(problems)
    ways = dict.fromkeys(signals or factory.signals, following) if following else {}
    pipelines = {str(signal): way for signal, way in ways.items()}
    context = Context(factory.type, ways, lambda *_: None, extensions=extensions or {}, pipelines=pipelines)
    component = factory.create(loaded, context)
    component.start()
    try:
        yield component
    finally:
        component.shutdown()
        component.shutdown()  # safe to call twice
