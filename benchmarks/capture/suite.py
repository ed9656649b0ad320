"""The whole comparison: costs, losses, and what capture weighs beside the calls."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provtel_model import compiled

from benchmarks.capture import footprint, losses, runner, sampling, targets, tracing
from benchmarks.capture.peers import JOURNAL, PEERS
from benchmarks.capture.surroundings import ROOT, prepare


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Args:
        cases: Names of cases.
        peers: Names of peers.
        rounds: How often each peer runs, in turn.
        scale: Multiplies the number of calls.
        victims: Processes of each peer that die in each way.
    """

    cases: list[str]
    peers: list[str]
    rounds: int
    scale: float
    victims: int


def run(plan: Plan) -> dict[str, Any]:
    """Return every figure, what is to be reached, what was void, and what was left out."""
    wanted = tuple(peer for peer in PEERS if peer.name in plan.peers)
    field = prepare(wanted)
    peers = [peer for peer in wanted if field.has(peer)]
    rounds = runner.measure(field, peers, plan.cases, plan.rounds, plan.scale)
    tolls, victims_void = losses.measure(field, peers, plan.victims)
    many, many_void = footprint.measure_many(field, peers, plan.scale)
    spans, spans_left_out = tracing.measure(plan.rounds, plan.scale)
    result: dict[str, Any] = {
        "machine": machine(),
        "compiled": [name for name in _with_twins() if compiled.load(name)],
        "rounds": plan.rounds,
        "cases": rounds.medians(),
        "losses": tolls,
        "many": many,
        "start": footprint.measure_start(field, peers, plan.rounds),
        "spans": spans,
        "sampler": sampling.measure(plan.rounds) if JOURNAL in plan.peers else {},
        "void": rounds.void + victims_void + many_void,
        "left_out": field.left_out + rounds.left_out + spans_left_out,
    }
    return result | {"targets": targets.judge(result, rounds)}


def machine() -> str:
    """Return what figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    model = next(names, platform.machine())
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def _with_twins() -> list[str]:
    sources = (source.relative_to(ROOT).with_suffix("") for source in sorted(ROOT.glob("*/provtel*/**/*.c")))
    return [".".join(source.parts[1:]) for source in sources]
