"""What must hold between the parts of a configuration, each of which is well formed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from provtel_collector_config.connectors import connector_problems
from provtel_collector_config.ids import ComponentId, Kind, PipelineId
from provtel_collector_config.problems import Path, Problem

if TYPE_CHECKING:
    from provtel_collector_config.configuration import Configuration, Pipeline

Ids = Mapping[Kind, Collection[ComponentId]]


def reference_problems(configuration: Configuration, ids: Ids) -> Iterator[Problem]:
    """Yield what is missing, dangling or named twice.

    Args:
        configuration: The configuration, as far as it could be read.
        ids: Every id that the document has, also of components that could not be read.
    """
    for id_ in configuration.extensions:
        if id_ not in ids[Kind.EXTENSIONS]:
            yield _dangling(Kind.EXTENSIONS, id_, ("service", "extensions"))
    for pipeline_id, pipeline in configuration.pipelines.items():
        path = ("service", "pipelines", str(pipeline_id))
        yield from _pipeline_problems(pipeline, path, ids)
        yield from _signal_problems(configuration, pipeline_id, pipeline, path)
    yield from connector_problems(configuration, ids)


def _pipeline_problems(pipeline: Pipeline, path: Path, ids: Ids) -> Iterator[Problem]:
    if not pipeline.receivers:
        yield Problem("must have at least one receiver", path)
    if not pipeline.exporters:
        yield Problem("must have at least one exporter", path)
    for kind, named in _named(pipeline):
        for id_ in dict.fromkeys(named):
            if id_ not in ids[kind] and not (kind is not Kind.PROCESSORS and id_ in ids[Kind.CONNECTORS]):
                yield _dangling(kind, id_, path)
    for id_, count in Counter(pipeline.processors).items():
        if count > 1:
            yield Problem(f'references processor "{id_}" multiple times', path)


def _signal_problems(
    configuration: Configuration, pipeline_id: PipelineId, pipeline: Pipeline, path: Path
) -> Iterator[Problem]:
    for kind, named in _named(pipeline):
        for id_ in dict.fromkeys(named):
            configured = configuration.components[kind].get(id_)
            if configured and pipeline_id.signal not in configured.factory.signals:
                yield Problem(f'{kind.one} "{id_}" does not support {pipeline_id.signal}', path)


def _named(pipeline: Pipeline) -> Iterator[tuple[Kind, tuple[ComponentId, ...]]]:
    yield Kind.RECEIVERS, pipeline.receivers
    yield Kind.PROCESSORS, pipeline.processors
    yield Kind.EXPORTERS, pipeline.exporters


def _dangling(kind: Kind, id_: ComponentId, path: Path) -> Problem:
    return Problem(f'references {kind.one} "{id_}" which is not configured', path)
