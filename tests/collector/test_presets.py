"""Every preset that ships is one that people can run, and the documents show it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from provtel_collector.registry import find_factories
from provtel_collector.service import Service
from provtel_collector_config.ids import ComponentId, Kind, PipelineId
from provtel_collector_config.loading import load
from provtel_collector_config.presets import presets
from provtel_model.components import Signal

from tests.services.otelcol import server
from tests.services.otelcol.server import Otelcol

SHARED = {"otlp", "debug", "health_check"}
README = Path(__file__).parents[2] / "collector_config" / "README.md"


@pytest.mark.parametrize("name", presets())
def test_preset_loads_and_is_built(name: str, tmp_path: Path) -> None:
    """A preset is valid with what a plain environment has, and makes a service."""
    configuration = load([f"preset:{name}"], find_factories(), {"PROVTEL_STORE": str(tmp_path)})

    assert configuration.warnings == ()
    Service(configuration).shutdown()


@pytest.mark.parametrize("name", presets())
def test_preset_is_listed(name: str) -> None:
    """The README of the room tells of a preset, and a preset tells of itself."""
    assert f"[`{name}`](provtel_collector_config/presets/{name}.yaml)" in README.read_text()
    assert presets()[name].read_text().startswith("# ")


def test_embedded_routes_both_signals() -> None:
    """Spans and log records, by OTLP and from journals, reach the store: what runs and what has ended."""
    pipelines = load(["preset:embedded"], find_factories(), {}).pipelines

    assert set(pipelines) == {PipelineId(Signal.TRACES), PipelineId(Signal.LOGS)}
    for pipeline in pipelines.values():
        assert set(pipeline.receivers) == {ComponentId("otlp"), ComponentId("journal")}
        assert pipeline.exporters == (ComponentId("lmdb"),)


def test_embedded_endpoints_come_from_the_environment() -> None:
    """The ports can be changed without a file."""
    environment = {"PROVTEL_COLLECTOR_ENDPOINT": "localhost:1", "PROVTEL_COLLECTOR_HEALTH_ENDPOINT": "localhost:2"}
    components = load(["preset:embedded"], find_factories(), environment).components

    assert components[Kind.RECEIVERS][ComponentId("otlp")].config.protocols.http.endpoint == "localhost:1"
    assert components[Kind.EXTENSIONS][ComponentId("health_check")].config.endpoint == "localhost:2"


def test_shared_presets_run_on_the_opentelemetry_collector(otelcol: Otelcol) -> None:
    """The OpenTelemetry Collector accepts a preset that uses only components which it has too."""
    shared = [file for file in presets().values() if types_in(file) <= SHARED]
    for file in shared:
        done = subprocess.run([server.find().binary, "validate", "--config", file], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    assert shared == [presets()["debug"]]
    assert otelcol.folder.exists()


def types_in(file: Path) -> set[str]:
    """Return the component types that a file names."""
    document = yaml.safe_load(file.read_text())
    return {key.partition("/")[0] for kind in Kind for key in document.get(kind.value) or {}}
