"""Runs every peer in turn, several rounds, and sets the medians side by side."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.capture.child import NOT_HERE
from benchmarks.capture.peers import REFERENCE, Peer
from benchmarks.capture.surroundings import Field, surroundings
from benchmarks.capture.workload import CASES

FIGURES = ("caller_us", "cpu_us", "bytes", "memory_mib", "query_us")
RATIOS = ("caller_us", "cpu_us")

Round = dict[str, Any] | None
"""What one measurement gave; ``None`` where it was void."""


@dataclass
class Rounds:
    """All that was measured.

    Attributes:
        measured: Every round of each case and peer, in order.
        void: What was wrong with rounds that do not count.
        left_out: Peers that turned out not to run here, and why.
    """

    measured: dict[tuple[str, str], list[Round]] = field(default_factory=dict)
    void: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def ratio(self, figure: str, ours: tuple[str, str], theirs: tuple[str, str]) -> float | None:
        """Return the median of the quotients of a figure, round by round; ``None`` where there are none."""
        pairs = zip(self.measured.get(ours, []), self.measured.get(theirs, []), strict=False)
        quotients = [a[figure] / b[figure] for a, b in pairs if a and b and b[figure] > 0]
        return statistics.median(quotients) if quotients else None

    def medians(self) -> dict[str, dict[str, dict[str, float | None]]]:
        """Return case -> peer -> figure, with the ratios to the reference."""
        result: dict[str, dict[str, dict[str, float | None]]] = {}
        for (case, name), rounds in self.measured.items():
            if good := [one for one in rounds if one]:
                row = {figure: _median(one[figure] for one in good) for figure in FIGURES}
                for figure in RATIOS:
                    row[f"{figure}_ratio"] = self.ratio(figure, (case, name), (case, REFERENCE))
                    row |= {f"{figure}_{end.__name__}": end(one[figure] for one in good) for end in (min, max)}
                result.setdefault(case, {})[name] = row
        return result


def _median(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def measure(field: Field, peers: list[Peer], cases: list[str], rounds: int, scale: float) -> Rounds:
    """Measure every peer on every case that it takes part in, alternating."""
    result = Rounds()
    for number in range(rounds):
        for case in cases:
            for peer in [peer for peer in peers if peer.takes_part(case)]:
                print(f"round {number + 1} of {rounds}: {case}: {peer.title}", file=sys.stderr)
                size = max(8, int(CASES[case].size * peer.share * scale))
                outcome = run_child(field, peer, case, size)
                if isinstance(outcome, _NotHere):
                    peers.remove(peer)
                    result.left_out.append(f"{peer.title}: {outcome.reason}")
                    continue
                problem = outcome.pop("problem")
                if problem:
                    result.void.append(f"{case}: {peer.title}: {problem}")
                result.measured.setdefault((case, peer.name), []).append(None if problem else outcome)
    return result


@dataclass(frozen=True)
class _NotHere:
    reason: str


def run_child(field: Field, peer: Peer, case: str, size: int) -> dict[str, Any] | _NotHere:
    """Return what one measurement gave, with its problem, if any, or why the peer cannot run."""
    with surroundings(field, peer) as place:
        try:
            done = place.run("child", peer.name, case, str(size))
        except subprocess.TimeoutExpired as error:
            return {"problem": f"did not end within {error.timeout} s"}
    last_words = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode == NOT_HERE:
        return _NotHere(last_words)
    if done.returncode:
        return {"problem": f"ended with {done.returncode}: {last_words}"}
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
