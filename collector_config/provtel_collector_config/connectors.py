"""What must hold of connectors: each ends pipelines and begins others, and no way leads back to where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provtel_collector_config.ids import ComponentId, Kind, PipelineId
from provtel_collector_config.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from provtel_model.components import Signal

    from provtel_collector_config.configuration import Configuration, Pipeline


def connector_problems(configuration: Configuration, ids: Mapping[Kind, Collection[ComponentId]]) -> Iterator[Problem]:
    """Yield what is wrong with how pipelines are connected.

    Args:
        configuration: The configuration, as far as it could be read.
        ids: Every id that the document has, also of components that could not be read.
    """
    for id_ in ids[Kind.CONNECTORS]:
        yield from _ambiguities(id_, ids)
        yield from _one_sided(id_, configuration.pipelines)
    cycle = _find_cycle(configuration.pipelines, ids[Kind.CONNECTORS])
    if cycle:
        yield Problem(f"cycle detected: {' -> '.join(cycle)}")


def _ambiguities(id_: ComponentId, ids: Mapping[Kind, Collection[ComponentId]]) -> Iterator[Problem]:
    for kind in (Kind.EXPORTERS, Kind.RECEIVERS):
        if id_ in ids[kind]:
            message = (
                f'ambiguous ID: Found both "{id_}" {kind.one} and "{id_}" connector. Change one of the components\' '
                f'IDs to eliminate ambiguity (e.g. rename "{id_}" connector to "{id_}/connector")'
            )
            yield Problem(message, (Kind.CONNECTORS, str(id_)))


def _one_sided(id_: ComponentId, pipelines: Mapping[PipelineId, Pipeline]) -> Iterator[Problem]:
    ended = _by_signal(name for name, one in pipelines.items() if id_ in one.exporters)
    begun = _by_signal(name for name, one in pipelines.items() if id_ in one.receivers)
    for here, there, used, unused in ((ended, begun, "exporter", "receiver"), (begun, ended, "receiver", "exporter")):
        for signal in here.keys() - there.keys():
            names = " ".join(map(str, here[signal]))
            message = f"used as {used} in [{names}] pipeline but not used in any supported {unused} pipeline"
            yield Problem(f'connector "{id_}" {message}')


def _by_signal(ids: Iterator[PipelineId]) -> dict[Signal, list[PipelineId]]:
    found: dict[Signal, list[PipelineId]] = {}
    for id_ in ids:
        found.setdefault(id_.signal, []).append(id_)
    return found


@dataclass(frozen=True, slots=True)
class _Step:
    """A pipeline, and the connector by which it is reached."""

    connector: ComponentId
    pipeline: PipelineId


def _find_cycle(pipelines: Mapping[PipelineId, Pipeline], connectors: Collection[ComponentId]) -> list[str]:
    """Return the components of a way that leads back to its beginning, which is a connector; nothing where none does.

    Args:
        pipelines: The pipelines.
        connectors: Which ids are connectors.
    """
    finished: set[PipelineId] = set()

    def visit(here: PipelineId, way: Sequence[_Step]) -> Sequence[_Step]:
        for index, step in enumerate(way[:-1]):
            if step.pipeline == here:
                return way[index + 1 :]
        for step in _following(here, pipelines, connectors):
            if step.pipeline not in finished and (cycle := visit(step.pipeline, [*way, step])):
                return cycle
        finished.add(here)
        return ()

    for start in pipelines:
        if start not in finished and (cycle := visit(start, [_Step(ComponentId(""), start)])):
            return _named(cycle, pipelines)
    return []


def _following(
    here: PipelineId, pipelines: Mapping[PipelineId, Pipeline], connectors: Collection[ComponentId]
) -> Iterator[_Step]:
    for id_ in pipelines[here].exporters:
        if id_ in connectors:
            for name, pipeline in pipelines.items():
                if id_ in pipeline.receivers and name.signal == here.signal:
                    yield _Step(id_, name)


def _named(cycle: Sequence[_Step], pipelines: Mapping[PipelineId, Pipeline]) -> list[str]:
    names = []
    for step in cycle:
        signal = step.pipeline.signal
        names.append(f'connector "{step.connector}" ({signal} to {signal})')
        names += [f'processor "{id_}" in pipeline "{step.pipeline}"' for id_ in pipelines[step.pipeline].processors]
    return [*names, names[0]]
