"""The JSON schema of configurations takes what the collector takes, and refuses what is misshapen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from provtel_collector.registry import find_loadable
from provtel_collector_config.dataclass_loading import load_dataclass
from provtel_collector_config.presets import presets
from provtel_collector_config.schema import schema
from provtel_collector_config.telemetry import TelemetryConfig
from provtel_collector_config.yaml_document import parse

from tests.collector_config.components import FACTORIES

MADE = schema(find_loadable()[0])
MADE_OF_FEW = schema(FACTORIES)
SHIPPED = jsonschema.Draft202012Validator(MADE)
SMALL = jsonschema.Draft202012Validator(MADE_OF_FEW)
REFUSALS = yaml.safe_load(Path(__file__).with_name("refusals.yaml").read_text())
# What a schema of one document cannot know: what must hold between its parts, and what a component checks itself.
BETWEEN_PARTS = (
    "not configured",
    "at least one",
    "multiple times",
    "does not support",
    "unmarshaling",
    "no receiver",
    "no exporter",
    "empty configuration",
    "unrecognized level",
    "environment variable",
)
FOLDER = Path(__file__).parent
SHARED = yaml.safe_load((FOLDER / "shared.yaml").read_text())
SHAPES = (
    "there are no other sections",
    "a section is a map",
    "a component is a map",
    "a receiver type is known",
    "an exporter type is known",
    "a processor type is known",
    "a connector type is known",
    "an extension type is known",
    "a type has letters, digits and underscores",
    "an id has a type before its name",
    "an id has a name after its slash",
    "a name has no blanks",
    "a component's keys are known",
    "keys inside of keys are known",
    "a choice is one of those that there are",
    "a text is a text",
    "a number is a number",
    "a list is a list",
    "a duration has a unit",
    "a yes or no is one",
    "a compression is known",
    "a service's keys are known",
    "a pipeline's keys are known",
    "a pipeline has a signal that there is",
    "a pipeline has a name after its slash",
    "a pipeline lists ids",
    "a list of ids is no text",
    "a list of secrets is no text",
    "what a pipeline names are ids",
    "the log's keys are known",
    "a port is a number",
    "telemetry's keys are known",
)
BROKEN = [row for row in yaml.safe_load((FOLDER / "broken.yaml").read_text()) if row["rule"] in SHAPES]
SHAPELESS = [row for row in REFUSALS if not any(words in row["says"] for words in BETWEEN_PARTS)]


def test_schema_is_one() -> None:
    """The schema itself is well formed, and JSON."""
    jsonschema.Draft202012Validator.check_schema(MADE)
    assert json.loads(json.dumps(MADE)) == MADE
    assert len(BROKEN) == len(SHAPES)


@pytest.mark.parametrize("name", presets())
def test_presets_are_taken(name: str) -> None:
    """Every preset that ships fits."""
    SHIPPED.validate(yaml.safe_load(presets()[name].read_text()))


@pytest.mark.parametrize("row", SHARED, ids=lambda row: row["of"])
def test_shared_documents_are_taken(row: dict[str, str]) -> None:
    """What the collector takes an editor does not mark."""
    SHIPPED.validate(parse(row["document"], "").tree)


@pytest.mark.parametrize("row", BROKEN, ids=lambda row: row["rule"])
def test_broken_documents_are_marked(row: dict[str, str]) -> None:
    """Documents that are refused for their shape by the OpenTelemetry Collector too are marked."""
    assert list(SHIPPED.iter_errors(yaml.safe_load(row["document"])))


@pytest.mark.parametrize("row", SHAPELESS, ids=lambda row: row["says"])
def test_misshapen_documents_are_refused(row: dict[str, str]) -> None:
    """What the collector refuses for its shape an editor marks too."""
    assert list(SMALL.iter_errors(yaml.safe_load(row["document"])))


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"logs": None},
        {"logs": {"sampling": {"tick": "1m30s", "initial": "${env:N}"}}},
        {"logs": "${file:logs.yaml}"},
        {"resource": {"site": "x", "service.name": None}},
        {"metrics": {"readers": [{"pull": {"exporter": {"prometheus": {"port": 1}}}}]}},
    ],
)
def test_references_and_nulls_are_taken(value: dict[str, Any]) -> None:
    """Nulls and references are taken wherever the collector takes them."""
    SMALL.validate({"service": {"telemetry": value}})


def test_every_key_is_described() -> None:
    """Every key of every component that ships says what it means, so that an editor can show it."""

    def nameless(part: dict[str, Any], path: str) -> list[str]:
        found = []
        for name, inner in part.get("properties", {}).items():
            place = f"{path}::{name}"
            found += [] if inner.get("description") else [place]
            for one in (inner, inner.get("items", {}), *inner.get("anyOf", [])):
                found += nameless(one, place)
        return found

    sections = MADE["properties"]
    components = [
        (f"{kind}::{type_}", component)
        for kind, section in sections.items()
        for type_, component in section.get("patternProperties", {}).items()
    ]
    told = [place for name, component in components for place in nameless(component, name)]

    assert components
    assert told == []


def test_defaults_fit() -> None:
    """The defaults that the schema tells are what the collector would read."""
    telemetry = MADE_OF_FEW["properties"]["service"]["properties"]["telemetry"]
    defaults = {name: part["default"] for name, part in telemetry["properties"].items()}

    assert load_dataclass(TelemetryConfig, defaults) == (TelemetryConfig(), [])
