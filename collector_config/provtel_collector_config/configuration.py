"""A configuration that was checked: what the service builds itself from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provtel_model.components import Factory

from provtel_collector_config.ids import ComponentId, Kind, PipelineId
from provtel_collector_config.telemetry import TelemetryConfig


@dataclass(frozen=True, slots=True)
class Configured:
    """A component as it is configured.

    Args:
        factory: What makes it.
        config: An instance of the factory's dataclass.
    """

    factory: Factory
    config: Any


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The way of one signal: every receiver feeds the first processor, the last one feeds every exporter."""

    receivers: tuple[ComponentId, ...]
    processors: tuple[ComponentId, ...]
    exporters: tuple[ComponentId, ...]


@dataclass(frozen=True)
class Configuration:
    """A whole configuration; every reference in it is to something in it.

    Args:
        components: What is configured, used or not.
        extensions: The extensions that run, in order.
        pipelines: The pipelines.
        telemetry: What the collector says of itself.
        warnings: What is no mistake but may surprise.
    """

    components: Mapping[Kind, Mapping[ComponentId, Configured]]
    extensions: tuple[ComponentId, ...]
    pipelines: Mapping[PipelineId, Pipeline]
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    warnings: tuple[str, ...] = ()
