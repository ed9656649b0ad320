"""Metrics in the text format of Prometheus."""

from __future__ import annotations

import math
import re
import time
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from provtel_collector import memory
from provtel_collector.counters import PREFIX
from provtel_collector.telemetry.descriptions import MetricLevel, description

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provtel_collector.counters import Attributes, Counters, Sizes

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_:]")
_STARTED: Final = time.monotonic()

_Rows = dict[str, list[str]]


def exposed(counters: Counters, level: MetricLevel, target: Mapping[str, str]) -> str:
    """Return everything that is shown at a level.

    Args:
        counters: What was counted.
        level: How much is shown.
        target: Which collector this is, for ``target_info``.
    """
    families: dict[str, tuple[str, str, list[str]]] = {}
    for name, kind, rows in _families(counters):
        told = description(name)
        if told.level <= level:
            families[_name(name)] = (kind, told.help, rows)
    families["target_info"] = ("gauge", "Target metadata", [f"target_info{_labels(target.items())} 1"])
    lines = []
    for name, (kind, told_help, rows) in sorted(families.items()):
        lines += [f"# HELP {name} {_escaped_help(told_help)}", f"# TYPE {name} {kind}", *rows]
    return "\n".join(lines) + "\n"


def _families(counters: Counters) -> Iterator[tuple[str, str, list[str]]]:
    for kind, values in (("counter", {**counters.sums(), **_of_process()}), ("gauge", _gauges(counters))):
        rows: _Rows = {}
        for (name, attributes), value in sorted(values.items()):
            rows.setdefault(name, []).append(f"{_name(name)}{_labels(attributes)} {_number(value)}")
        yield from ((name, kind, found) for name, found in rows.items())
    sizes: _Rows = {}
    for (name, attributes), found in sorted(counters.sizes().items(), key=lambda item: item[0]):
        sizes.setdefault(name, []).extend(_size_rows(_name(name), attributes, found))
    yield from ((name, "histogram", rows) for name, rows in sizes.items())


def _of_process() -> dict[tuple[str, Attributes], float]:
    return {
        (f"{PREFIX}process_uptime", ()): time.monotonic() - _STARTED,
        (f"{PREFIX}process_cpu_seconds", ()): time.process_time(),
    }


def _gauges(counters: Counters) -> dict[tuple[str, Attributes], float]:
    return {**counters.gauges(), (f"{PREFIX}process_memory_rss", ()): float(memory.resident())}


def _size_rows(name: str, attributes: Attributes, sizes: Sizes) -> Iterator[str]:
    counts = list(accumulate(sizes.counts))
    for bound, count in zip((*map(str, sizes.bounds), "+Inf"), counts, strict=True):
        yield f"{name}_bucket{_labels((*attributes, ('le', bound)))} {count}"
    yield f"{name}_sum{_labels(attributes)} {sizes.total}"
    yield f"{name}_count{_labels(attributes)} {counts[-1]}"


def _name(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name)


def _labels(attributes: Iterable[tuple[str, str]]) -> str:
    pairs = [f'{_name(key)}="{_escaped(value)}"' for key, value in attributes]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _number(value: float) -> str:
    if not math.isfinite(value):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(value)]
    return str(int(value)) if value == int(value) else repr(value)
