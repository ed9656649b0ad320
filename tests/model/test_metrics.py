"""The metrics: one registry, mirrored by constants."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import yaml
from provtel_model import metrics
from provtel_model.metrics import Metric

REGISTRY: list[dict[str, Any]] = yaml.safe_load((files("provtel_model") / "metrics.yaml").read_text())
ATTRIBUTES: list[dict[str, Any]] = yaml.safe_load((files("provtel_model") / "attributes.yaml").read_text())
CONSTANTS = {name: value for name, value in vars(metrics).items() if isinstance(value, Metric)}


def test_registry_and_constants_are_equal() -> None:
    """Every metric of the registry has a constant with its instrument and unit, and every constant a metric."""
    known = [Metric(entry["name"], entry["instrument"], entry["unit"]) for entry in REGISTRY]

    assert sorted(known, key=str) == sorted(CONSTANTS.values(), key=str)
    assert len({metric.name for metric in known}) == len(known)


def test_every_metric_says_what_a_reader_needs() -> None:
    """Instrument, unit, group, source and meaning are there, and its attributes are registered as such of metrics."""
    registered = {entry["name"] for entry in ATTRIBUTES if entry["place"] == "metric"}
    for entry in REGISTRY:
        assert entry.keys() == {"name", "instrument", "unit", "group", "attributes", "source", "brief"}, entry["name"]
        assert entry["instrument"] in {metrics.COUNTER, metrics.UPDOWN, metrics.GAUGE}
        assert entry["group"] in {"process", "cpu", "memory", "disk", "network", "gpu"}
        assert set(entry["attributes"]) <= registered
        assert entry["brief"].endswith(".")
        assert entry["source"] == ("provtel" if entry["name"].startswith("provtel.") else "OTel 1.44")


def test_constants_are_named_after_what_they_hold() -> None:
    """A constant is the metric's name in capitals."""
    assert all(name == re.sub(r"[.]", "_", metric.name).upper() for name, metric in CONSTANTS.items())
