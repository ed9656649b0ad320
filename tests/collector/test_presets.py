"""Every preset that ships is one that people can run, and the documents show it."""

from __future__ import annotations

import os
import re
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

UPSTREAM = {"PROVTEL_COLLECTOR_UPSTREAM": "http://localhost:1"}
README = Path(__file__).parents[2] / "collector_config" / "README.md"


@pytest.mark.parametrize("name", presets())
def test_preset_loads_and_is_built(name: str, tmp_path: Path) -> None:
    """A preset is valid with no more than it says must be set, and makes a service."""
    must = {variable: value for variable, value in UPSTREAM.items() if f"{variable} " in text_of(name)}
    state = {"PROVTEL_STORE": str(tmp_path), "PROVTEL_COLLECTOR_STATE": str(tmp_path / "state")}
    configuration = load([f"preset:{name}"], find_factories(), {**state, **must})

    assert configuration.warnings == ()
    Service(configuration).shutdown()


@pytest.mark.parametrize("name", presets())
def test_preset_is_listed(name: str) -> None:
    """The README of the room tells of a preset, and a preset tells of itself."""
    assert f"[`{name}`](provtel_collector_config/presets/{name}.yaml)" in README.read_text()
    assert presets()[name].read_text().startswith("# ")


def test_embedded_routes_every_signal() -> None:
    """Spans and log records, by OTLP and from journals, reach the store: what runs and what has ended."""
    pipelines = load(["preset:embedded"], find_factories(), {}).pipelines

    assert set(pipelines) == set(map(PipelineId, Signal))
    for pipeline in pipelines.values():
        assert set(pipeline.receivers) == {ComponentId("otlp"), ComponentId("journal")}
        assert pipeline.exporters == (ComponentId("lmdb"),)


def test_embedded_endpoints_come_from_the_environment() -> None:
    """The ports can be changed without a file."""
    environment = {"PROVTEL_COLLECTOR_ENDPOINT": "localhost:1", "PROVTEL_COLLECTOR_HEALTH_ENDPOINT": "localhost:2"}
    components = load(["preset:embedded"], find_factories(), environment).components

    assert components[Kind.RECEIVERS][ComponentId("otlp")].config.protocols.http.endpoint == "localhost:1"
    assert components[Kind.EXTENSIONS][ComponentId("health_check")].config.endpoint == "localhost:2"


@pytest.mark.parametrize("name", presets())
def test_variables_are_told(name: str) -> None:
    """The head of a preset tells every variable that it follows, and no other; what has no default must be set."""
    head, _, body = text_of(name).partition("\nreceivers:")
    followed = dict(re.findall(r"\$\{env:(\w+)(:-)?", body))
    told = dict(re.findall(r"^#   (\w+) +(.*)$", head, re.MULTILINE))
    stores = {"PROVTEL_STORE"} if "  lmdb:" in body or "  journal:" in body else set()

    assert followed.keys() | stores == told.keys()
    for variable, has_default in followed.items():
        assert told[variable].endswith("must be set") == (not has_default)


def test_every_variable_is_in_the_readme() -> None:
    """The README of the room tells of every variable of every preset."""
    variables = {name for preset in presets() for name in re.findall(r"PROVTEL_\w+", text_of(preset))}

    assert [name for name in sorted(variables) if f"`{name}`" not in README.read_text()] == []


def test_shared_presets_run_on_the_opentelemetry_collector(otelcol_binary: Path) -> None:
    """The OpenTelemetry Collector accepts every preset that uses only components which it has too, and those say so."""
    theirs = components_of(otelcol_binary)
    shared = {name for name, file in presets().items() if types_in(file) <= theirs}
    for name in sorted(shared):
        done = subprocess.run(
            [otelcol_binary, "validate", "--config", presets()[name]],
            env={**os.environ, **UPSTREAM},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    assert {"debug", "gateway", "kafka"} <= shared
    assert shared == {name for name in presets() if "which runs this file too" in words_of(name)}


def text_of(name: str) -> str:
    """Return what a preset says."""
    return presets()[name].read_text()


def words_of(name: str) -> str:
    """Return what a preset says, in one line and in one way of saying it."""
    words = " ".join(text_of(name).replace("#", " ").split())
    return words.replace("The OpenTelemetry Collector runs this file too", "which runs this file too")


def components_of(otelcol: Path) -> set[tuple[str, str]]:
    """Return the kind and type of every component that the OpenTelemetry Collector has."""
    listed = yaml.safe_load(subprocess.run([otelcol, "components"], capture_output=True, check=True).stdout)
    return {(kind.value, component["name"]) for kind in Kind for component in listed[kind.value]}


def types_in(file: Path) -> set[tuple[str, str]]:
    """Return the kind and type of every component that a file names."""
    document = yaml.safe_load(file.read_text())
    return {(kind.value, key.partition("/")[0]) for kind in Kind for key in document.get(kind.value) or {}}
