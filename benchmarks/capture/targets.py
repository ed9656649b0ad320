"""What capture must reach, as ratios within the run."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.capture.losses import WAYS
from benchmarks.capture.peers import (
    FLOWCEPT,
    FLOWCEPT_MEASURED,
    FLOWCEPT_STORED,
    FULL,
    JOURNAL,
    LEAN,
    LIGHTWEIGHT,
    OTEL,
    PURE_JOURNAL,
    SHIPPED,
    TITLES,
)
from benchmarks.capture.runner import Rounds
from benchmarks.capture.workload import THREADS, TWO

Result = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """One thing to reach.

    Args:
        text: What is measured, for people.
        limit: The most that it may be.
        measure: Returns it; ``None`` where it was not measured.
    """

    text: str
    limit: float
    measure: Callable[[Result, Rounds], float | None]


_WORDS = {"caller_us": "caller's time", "cpu_us": "CPU in all"}


def _ratio(limit: float, figure: str, ours: str, theirs: str) -> Target:
    text = f"{_WORDS[figure]}: {TITLES[ours]} / {TITLES[theirs]}"
    return Target(text, limit, lambda _, rounds: rounds.ratio(figure, (TWO, ours), (TWO, theirs)))


def _growth(figure: str) -> Target:
    text = f"{_WORDS[figure]}, {THREADS} / one thread: {TITLES[JOURNAL]}"
    return Target(text, 1.6, lambda _, rounds: rounds.ratio(figure, (THREADS, JOURNAL), (TWO, JOURNAL)))


def _lost(result: Result) -> float | None:
    tolls = [result["losses"][name][way] for name in (JOURNAL, SHIPPED) for way in WAYS if name in result["losses"]]
    return sum(toll["lost"] + toll["twice"] for toll in tolls) if tolls else None


def _of(part: str, name: str, figure: str) -> Callable[[Result, Rounds], float | None]:
    def measure(result: Result, _rounds: Rounds) -> float | None:
        found = result[part].get(name, {}).get(figure)
        return None if found is None else float(found)

    return measure


def _cost(rounds: Rounds, measured: str, bare: str) -> float | None:
    """Return the microseconds that telemetry adds to a call, the median of the rounds."""
    pairs = zip(rounds.measured.get((TWO, measured), []), rounds.measured.get((TWO, bare), []), strict=False)
    added = [a["caller_us"] - b["caller_us"] for a, b in pairs if a and b]
    return statistics.median(added) if added else None


def _cost_ratio(rounds: Rounds) -> float | None:
    ours, theirs = _cost(rounds, FULL, LEAN), _cost(rounds, FLOWCEPT_MEASURED, FLOWCEPT)
    return ours / theirs if ours is not None and theirs else None


def _of_spans(*figures: str) -> Callable[[Result, Rounds], float | None]:
    def measure(result: Result, _rounds: Rounds) -> float | None:
        ours, theirs = (result["spans"].get(name, {}) for name in ("provtel", "sdk"))
        if any(figure not in row for figure in figures for row in (ours, theirs)):
            return None
        return float(sum(ours[figure] for figure in figures) / sum(theirs[figure] for figure in figures))

    return measure


TARGETS = (
    _ratio(0.35, "caller_us", JOURNAL, FLOWCEPT),
    _ratio(0.35, "cpu_us", JOURNAL, FLOWCEPT),
    _ratio(0.28, "caller_us", LEAN, FLOWCEPT),
    _ratio(0.28, "cpu_us", LEAN, FLOWCEPT),
    _ratio(0.6, "cpu_us", SHIPPED, FLOWCEPT),
    _ratio(0.15, "cpu_us", SHIPPED, FLOWCEPT_STORED),
    _ratio(0.2, "cpu_us", SHIPPED, OTEL),
    _ratio(2.5, "cpu_us", JOURNAL, LIGHTWEIGHT),
    _ratio(2.5, "cpu_us", PURE_JOURNAL, LIGHTWEIGHT),
    _growth("caller_us"),
    _growth("cpu_us"),
    Target(
        f"bytes of a task with {TWO}: {TITLES[JOURNAL]}",
        200,
        lambda result, _: result["cases"].get(TWO, {}).get(JOURNAL, {}).get("bytes"),
    ),
    Target("MiB for a million tasks: provtel, journal", 15, _of("many", JOURNAL, "memory_mib")),
    Target("MiB for a million tasks: provtel, shipped by OTLP", 15, _of("many", SHIPPED, "memory_mib")),
    Target(
        "CPU of a span of OpenTelemetry's plain API until encoded: provtel / OpenTelemetry SDK",
        0.35,
        _of_spans("made_us", "encoded_us"),
    ),
    Target("CPU of a start under opentelemetry-instrument: provtel / the default distro", 1.0, _of_spans("start_ms")),
    Target("us that default telemetry adds to a call", 1.0, lambda _, rounds: _cost(rounds, JOURNAL, LEAN)),
    Target("us that full telemetry adds to a call", 7.0, lambda _, rounds: _cost(rounds, FULL, LEAN)),
    Target(
        f"what telemetry adds to a call: provtel, full / {TITLES[FLOWCEPT_MEASURED]}",
        0.05,
        lambda _, rounds: _cost_ratio(rounds),
    ),
    Target("% of a core: the sampler at 1 s, every group", 0.5, _of("sampler", "every group", "percent")),
    Target("ms of `import provtel`", 80, _of("start", JOURNAL, "import_ms")),
    Target("finished tasks lost or stored twice when processes die: provtel", 0, lambda result, _: _lost(result)),
)


def judge(result: Result, rounds: Rounds) -> list[dict[str, Any]]:
    """Return each target with what was measured and whether it is held."""
    judged = []
    for target in TARGETS:
        measured = target.measure(result, rounds)
        if measured is not None:
            judged.append(
                {"target": target.text, "measured": measured, "limit": target.limit, "held": measured <= target.limit}
            )
    return judged
