"""Runs every peer in turn, several rounds, and sets the medians side by side."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks.capture.environments import OURS, python_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
REFERENCE = "flowcept_task"


@dataclass(frozen=True)
class Peer:
    """One column of the comparison."""

    module: str
    title: str
    environment: str
    cases: frozenset[str] | None = None
    """Cases that it takes part in; all where none are named."""


PEERS = (
    Peer("provtel_journal", "provtel, journal", OURS),
    Peer("provtel_shipped", "provtel, shipped", OURS),
    Peer("flowcept_task", "Flowcept @flowcept_task", "flowcept"),
    Peer("otel_sdk", "OTel SDK, OTLP/HTTP", "otel"),
)
SIZES = {"2 arguments": 20_000, "10 arguments": 10_000, "100 arguments": 2_000, "1 MB array": 200, "nested": 10_000}
FIGURES = ("caller_us", "cpu_us", "bytes", "memory_mib", "query_s")


def run(cases: list[str], rounds: int, scale: float) -> dict[str, Any]:
    """Measure every peer on every case, alternating; return medians, ratios and what went wrong."""
    pythons = {peer.module: python_of(peer.environment) for peer in PEERS}
    result: dict[str, Any] = {"machine": _machine(), "rounds": rounds, "cases": {}, "void": []}
    for case in cases:
        size = max(8, int(SIZES.get(case, 10_000) * scale))
        measured: dict[str, list[dict[str, Any]]] = {peer.module: [] for peer in PEERS}
        for number in range(rounds):
            for peer in PEERS:
                print(f"{case}: round {number + 1} of {rounds}: {peer.title}", file=sys.stderr)
                measured[peer.module].append(_measure(pythons[peer.module], peer, case, size))
        result["cases"][case] = _medians(measured)
        result["void"] += [
            f"{case}: {name}: {one['problem']}" for name, many in measured.items() for one in many if one["problem"]
        ]
    return result


def _measure(python: str, peer: Peer, case: str, size: int) -> dict[str, Any]:
    with _sink() as address:
        environment = {**os.environ, "BENCHMARK_SINK": address, "PYTHONPATH": str(ROOT), "OTEL_SERVICE_NAME": "bench"}
        command = [python, "-m", "benchmarks.capture.child", peer.module, case, str(size)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        msg = f"{peer.title} failed on {case}:\n{done.stderr[-2000:]}"
        raise SystemExit(msg)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


@contextlib.contextmanager
def _sink() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.capture.sink"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _medians(measured: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    medians = {
        name: {figure: statistics.median(one[figure] for one in many) for figure in FIGURES}
        for name, many in measured.items()
    }
    for name, many in measured.items():
        for figure in ("caller_us", "cpu_us"):
            pairs = zip(many, measured[REFERENCE], strict=True)
            ratios = [ours[figure] / theirs[figure] for ours, theirs in pairs]
            medians[name][f"{figure}_ratio"] = statistics.median(ratios)
    return medians


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def show(result: dict[str, Any]) -> None:
    """Print a table a case, and what was void."""
    console = Console()
    console.print(f"{result['machine']}; medians of {result['rounds']} rounds; ratios to Flowcept's @flowcept_task")
    titles = {peer.module: peer.title for peer in PEERS}
    for case, peers in result["cases"].items():
        table = Table(title=case, title_justify="left")
        table.add_column("")
        for column in ("caller us", "ratio", "CPU us", "ratio", "bytes", "memory MiB", "until queried s"):
            table.add_column(column, justify="right")
        for name, row in peers.items():
            table.add_row(
                titles[name],
                f"{row['caller_us']:.2f}",
                f"{row['caller_us_ratio']:.2f}",
                f"{row['cpu_us']:.2f}",
                f"{row['cpu_us_ratio']:.2f}",
                f"{row['bytes']:.0f}",
                f"{row['memory_mib']:.1f}",
                f"{row['query_s']:.2f}",
            )
        console.print(table)
    for line in result["void"]:
        console.print(f"VOID {line}", style="red")
