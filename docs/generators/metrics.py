"""The reference page of metrics, from the registry."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml

PAGE = "reference/metrics.md"

_INTRODUCTION = """\
# Metrics

What the sampler measures, where the setting `sampler` asks for it; from the registry
`model/provtel_model/metrics.yaml`.
[How to measure what tasks cost](../how-to/measure-what-tasks-cost.md) tells the way there; what attributes mean is
[among the others](attributes.md). A counter and an updowncounter are sums of OTLP, since the sampler began or since the
kernel did; the other metrics are gauges. Every data point bears the resource of the process that measured.
"""
_GROUPS = {
    "process": "`process`: this process",
    "cpu": "`cpu`: the machine's CPUs; with `per_cpu` each, by `cpu.logical_number`",
    "memory": "`memory`: memory and swap",
    "disk": "`disk`: disks that were ever used, and file systems on disks of this machine",
    "network": "`network`: interfaces",
    "gpu": "`gpu`: the GPUs that this process may use, which `hw.id` tells apart",
}


def render() -> str:
    """Return the page."""
    registry: list[dict[str, Any]] = yaml.safe_load((files("provtel_model") / "metrics.yaml").read_text())
    parts = [_INTRODUCTION]
    for group, title in _GROUPS.items():
        rows = [_row(entry) for entry in registry if entry["group"] == group]
        head = "| name | unit | instrument | attributes | meaning | source |\n|---|---|---|---|---|---|\n"
        parts += [f"\n## {title}\n\n{head}", *rows]
    return "".join(parts)


def _row(entry: dict[str, Any]) -> str:
    attributes = " ".join(f"`{name}`" for name in entry["attributes"])
    facts = (
        f"`{entry['name']}`",
        f"`{entry['unit']}`",
        entry["instrument"],
        attributes,
        entry["brief"],
        entry["source"],
    )
    return f"| {' | '.join(facts)} |\n"
