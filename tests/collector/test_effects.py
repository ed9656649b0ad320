"""Whoever sets a key that changes nothing is told so, once, when the configuration is loaded."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from provtel_collector.registry import find_factories
from provtel_collector_config.keys import keys_of, without_none
from provtel_collector_config.loading import load
from provtel_collector_config.telemetry import TelemetryConfig
from provtel_model.settings import NO_EFFECT

FACTORIES = find_factories()
CONFIGS = {f"{kind}::{name}": known[name].config for kind, known in FACTORIES.items() for name in known}
DOCUMENT = """
receivers: {otlp: {protocols: {grpc: {read_buffer_size: 5}}}}
exporters:
  kafka: {producer: {compression: gzip, compression_params: {level: 5}}, metadata: {retry: {max: 9}}, timeout: 1s}
  debug: {}
processors: {batch: {metadata_cardinality_limit: 1000}}
service:
  telemetry:
    logs: {development: true}
    metrics: {readers: [{pull: {exporter: {prometheus: {without_units: true}}}}]}
  pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [debug]}}
"""


def fields(config: type[Any]) -> Iterator[tuple[str, dataclasses.Field[Any], str]]:
    """Yield the path, the field and the meaning of each key of a dataclass, at any depth."""
    known = {field.name: field for field in dataclasses.fields(config)}
    for key in keys_of(config):
        yield key.name, known[key.name], key.meaning
        kind = without_none(key.kind)
        for inner in (kind, *get_args(kind)):
            if isinstance(inner, type) and dataclasses.is_dataclass(inner):
                yield from ((f"{key.name}::{path}", *rest) for path, *rest in fields(inner))  # type: ignore[misc]


def test_keys_without_effect_are_told() -> None:
    """They are named with their paths, those that have their defaults are not, nor are those that have an effect."""
    units = "metrics::readers::0::pull::exporter::prometheus::without_units"

    loaded = load([f"yaml:{DOCUMENT}"], FACTORIES, {})

    assert loaded.warnings == (
        "receivers::otlp: of no effect here: protocols::grpc::read_buffer_size",
        "exporters::kafka: of no effect here: metadata::retry::max, producer::compression_params::level",
        f"service::telemetry: of no effect here: logs::development, {units}",
    )


@pytest.mark.parametrize("config", [*CONFIGS.values(), TelemetryConfig], ids=[*CONFIGS, "telemetry"])
def test_what_is_said_of_a_key_is_what_is_told(config: type[Any]) -> None:
    """A key whose meaning is that it has no effect is marked so, and no other is."""
    for path, field, meaning in fields(config):
        said = re.search("(no|without) effect", meaning) is not None

        assert said == (field.metadata.keys() >= NO_EFFECT.keys()), path
