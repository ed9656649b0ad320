"""The reference page of attributes, from the registry."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml

PAGE = "reference/attributes.md"

_INTRODUCTION = """\
# Attributes

Every attribute and event that provtel writes or reads by name, from the registry
`model/provtel_model/attributes.yaml`. Attributes of other instrumentations are kept as they are.
"""
_SECTIONS = {
    "span": "Span attributes",
    "link": "Attributes of span links that are data-flow edges",
    "event": "Span events and their attributes",
    "log": "Log records of activities that have not ended",
    "resource": "Resource attributes",
    "metric": "Attributes of data points",
}


def render() -> str:
    """Return the page."""
    registry: list[dict[str, Any]] = yaml.safe_load((files("provtel_model") / "attributes.yaml").read_text())
    parts = [_INTRODUCTION]
    for place, title in _SECTIONS.items():
        rows = [_row(entry) for entry in registry if entry["place"] == place]
        parts += [f"\n## {title}\n\n| name | type | meaning | source |\n|---|---|---|---|\n", *rows]
    return "".join(parts)


def _row(entry: dict[str, Any]) -> str:
    unit = f", {entry['unit']}" if "unit" in entry else ""
    return f"| `{entry['name']}` | {entry['type']}{unit} | {entry['brief']} | {entry['source']} |\n"
