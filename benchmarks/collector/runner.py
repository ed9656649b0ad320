"""Runs both collectors through every case, one after the other, several rounds, and sets the medians side by side."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.collector import payloads
from benchmarks.collector.cases import CASES, TARGETS, Case, document
from benchmarks.collector.clients import HttpClient
from benchmarks.collector.goals import Goal, kafka_goal, sink_goal
from benchmarks.collector.measured import OURS, THEIRS, TITLES, Measured, running
from tests.services.kafka.server import Kafka
from tests.services.otelcol.server import free_ports

Figures = dict[str, float]
_FIGURES: Final = ("cpu_us", "wall_us", "per_second", "memory_mb", "median_ms", "slowest_ms")
_LOAD_SECONDS: Final = 180
_DRAIN_SECONDS: Final = 60
_WARM_UP: Final = 20
"""One request in so many is sent before it counts."""
_IDLE_CLIENTS: Final = 200
_IDLE_SECONDS: Final = 5.0


class VoidError(Exception):
    """A round does not count: not every request arrived once."""


_FAILURES: Final = (VoidError, TimeoutError, RuntimeError, OSError, subprocess.TimeoutExpired)


@dataclass
class Results:
    """All that was measured.

    Attributes:
        rounds: The figures of each case and collector, in order; ``None`` where a round was void.
        idle: CPU in percent of a core, without and with idle clients, in order.
        void: What was wrong.
    """

    rounds: dict[str, dict[str, list[Figures | None]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    idle: list[tuple[float, float]] = field(default_factory=list)
    void: list[str] = field(default_factory=list)

    def medians(self) -> dict[str, dict[str, Figures]]:
        """Return case -> collector -> figure, with ours as a ratio to theirs, round by round."""
        result: dict[str, dict[str, Figures]] = {}
        for case, peers in self.rounds.items():
            for peer, rounds in peers.items():
                if good := [one for one in rounds if one]:
                    row = {figure: statistics.median(one[figure] for one in good) for figure in _FIGURES}
                    result.setdefault(case, {})[peer] = row
            if OURS in result.get(case, {}):
                result[case][OURS] |= self._ratios(case)
        return result

    def _ratios(self, case: str) -> Figures:
        peers = self.rounds[case]
        pairs = [(ours, theirs) for ours, theirs in zip(peers[OURS], peers[THEIRS], strict=False) if ours and theirs]
        if not pairs:
            return {}
        return {
            f"{figure}_ratio": statistics.median(ours[figure] / theirs[figure] for ours, theirs in pairs)
            for figure in ("cpu_us", "wall_us", "memory_mb")
        }

    def idle_percent(self) -> float | None:
        """Return how much more of a core idle clients cost than none."""
        return statistics.median(busy - alone for alone, busy in self.idle) if self.idle else None


def measure(kafka: Kafka, cases: list[str], rounds: int, scale: float) -> Results:
    """Measure both collectors in turn."""
    results = Results()
    with tempfile.TemporaryDirectory() as files:
        for number in range(rounds):
            for name in cases:
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
                if name == "idle":
                    _measure_idle(results, Path(files))
                else:
                    _measure_case(results, kafka, name, Path(files), scale)
    return results


def _measure_idle(results: Results, files: Path) -> None:
    try:
        results.idle.append(_idle(files))
    except _FAILURES as error:
        results.void.append(f"idle clients: {error}")


def _measure_case(results: Results, kafka: Kafka, name: str, files: Path, scale: float) -> None:
    case = CASES[name]
    file = payloads.write(files, case.spans)
    for peer in (OURS, THEIRS):
        try:
            figures: Figures | None = _round(kafka, case, peer, file, max(40, int(case.requests * scale)))
        except _FAILURES as error:
            figures = None
            results.void.append(f"{case.title}: {TITLES[peer]}: {error}")
        results.rounds[name][peer].append(figures)


def _round(kafka: Kafka, case: Case, peer: str, file: Path, requests: int) -> Figures:
    (port,) = free_ports(1)
    warm_up = max(case.connections, requests // _WARM_UP)
    with _goal(case, kafka) as goal, tempfile.TemporaryDirectory() as folder:
        described = document(case, port, goal.address, goal.topic, folder)
        with running(peer, described, Path(folder)) as collector:
            _load(case, port, file, warm_up)
            _wait_for(goal, warm_up)
            before = collector.cpu()
            begun = time.monotonic()
            answered = _load(case, port, file, requests)
            _wait_for(goal, warm_up + requests)
            wall = time.monotonic() - begun
            return _figures(case, requests, collector, before, wall, answered)


def _figures(
    case: Case, requests: int, collector: Measured, before: float, wall: float, answered: dict[str, float]
) -> Figures:
    spans = requests * case.spans
    return {
        "cpu_us": (collector.cpu() - before) / spans * 1e6,
        "wall_us": wall / spans * 1e6,
        "per_second": requests / answered["wall"],
        "memory_mb": collector.peak_mb(),
        "median_ms": answered["median"] * 1e3,
        "slowest_ms": answered["slowest"] * 1e3,
    }


def _goal(case: Case, kafka: Kafka) -> AbstractContextManager[Goal]:
    return kafka_goal(kafka) if case.route == "kafka" else sink_goal()


def _load(case: Case, port: int, file: Path, requests: int) -> dict[str, float]:
    arguments = [case.protocol, str(port), str(file), str(case.connections), str(requests)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.collector.load", *arguments],
        capture_output=True,
        text=True,
        timeout=_LOAD_SECONDS,
        check=False,
    )
    if done.returncode:
        raise VoidError((done.stderr.strip().splitlines() or ["the load ended"])[-1])
    answered: dict[str, float] = json.loads(done.stdout)
    return answered


def _wait_for(goal: Goal, count: int) -> None:
    """Return when all requests have arrived; each must have once."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    while (taken := goal.taken()) < count:
        if time.monotonic() > deadline:
            raise VoidError(f"{taken} of {count} requests arrived")
        time.sleep(0.05)
    if taken > count:
        raise VoidError(f"{taken} requests arrived of {count} that were sent")


def _idle(files: Path) -> tuple[float, float]:
    """Return what our collector uses when nothing happens: without clients, and with many that keep a connection."""
    (port,) = free_ports(1)
    case = CASES["http-kafka"]
    described = document(case, port, "", "", str(files))
    described["exporters"] = {"debug": None}
    described["service"]["pipelines"]["traces"]["exporters"] = ["debug"]
    payload = payloads.request(1).SerializeToString()
    with tempfile.TemporaryDirectory() as folder, running(OURS, described, Path(folder)) as collector:
        alone = _percent(collector)
        clients = [HttpClient(port, payload) for _ in range(_IDLE_CLIENTS)]
        for client in clients:
            client.socket.setblocking(True)  # noqa: FBT003  # the name says it
            client.begin()
            client.socket.sendall(client.outgoing())
            while not client.incoming(client.socket.recv(4096)):
                pass
        busy = _percent(collector)
        for client in clients:
            client.socket.close()
    return alone, busy


def _percent(collector: Measured) -> float:
    before = collector.idle_cpu()
    time.sleep(_IDLE_SECONDS)
    return (collector.idle_cpu() - before) / _IDLE_SECONDS * 100


def judge(medians: dict[str, dict[str, Figures]], idle: float | None) -> list[dict[str, Any]]:
    """Return each target of what was measured, and whether it is held."""
    judged = []
    for target in TARGETS:
        figures = medians.get(target.case, {}).get(OURS, {})
        measured = idle if target.case == "idle" else figures.get(target.figure)
        if measured is not None:
            held = measured >= target.limit if target.at_least else measured <= target.limit
            judged.append(
                {"target": target.title, "measured": measured, "limit": target.limit, "at_least": target.at_least}
                | {"held": held}
            )
    return judged
