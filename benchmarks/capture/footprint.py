"""What capture weighs beside the calls: the import, the first task, and memory for very many tasks."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from benchmarks.capture.child import MANY
from benchmarks.capture.peers import FLOWCEPT, JOURNAL, SHIPPED, Peer
from benchmarks.capture.runner import run_child
from benchmarks.capture.surroundings import Field, surroundings

_CLOCK = """
import time
def now():
    with open("/proc/thread-self/schedstat") as file:
        return time.perf_counter() - int(file.read().split()[1]) / 1e9
begun = now()
{imported}
loaded = now()
{first}
print((loaded - begun) * 1e3, (now() - begun) * 1e3)
"""
_PROGRAMS = {
    JOURNAL: (
        "import provtel",
        """
@provtel.task(outputs="o")
def two(a, b):
    return a + b
two(1, 2.0)
""",
    ),
    FLOWCEPT: (
        "from flowcept import Flowcept, flowcept_task",
        """
run = Flowcept(workflow_name="benchmark")
run.start()
@flowcept_task(output_names="o")
def two(a, b):
    return a + b
two(1, 2.0)
""",
    ),
}
MILLION = 1_000_000
_TASKS = {JOURNAL: MILLION, SHIPPED: MILLION, FLOWCEPT: MILLION // 10}


def measure_start(field: Field, peers: list[Peer], rounds: int) -> dict[str, dict[str, float]]:
    """Return milliseconds of the import, and until the first task is recorded, in fresh interpreters, alternating."""
    taken: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds + 1):
        for peer in [peer for peer in peers if peer.name in _PROGRAMS]:
            taken.setdefault(peer.name, []).append(_start(field, peer))
    # The first of each filled the caches of byte code and files.
    return {
        name: {"import_ms": _median(many, 0), "first_task_ms": _median(many, 1)}
        for name, many in ((name, many[1:]) for name, many in taken.items())
    }


def _median(pairs: list[tuple[float, float]], which: int) -> float:
    return statistics.median(pair[which] for pair in pairs)


def _start(field: Field, peer: Peer) -> tuple[float, float]:
    imported, first = _PROGRAMS[peer.name]
    with surroundings(field, peer) as place:
        program = place.folder / "program.py"
        program.write_text(_CLOCK.format(imported=imported, first=first))
        environment = place.environment | {"PROVTEL_STORE": str(place.folder / "store"), "FLOWCEPT_USE_DEFAULT": "true"}
        done = subprocess.run(
            [place.python, program], cwd=place.folder, env=environment, capture_output=True, text=True, check=True
        )
    loaded, recorded = done.stdout.split()
    return float(loaded), float(recorded)


def measure_many(field: Field, peers: list[Peer], scale: float) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return what a million tasks cost, a tenth of them for Flowcept, and what went wrong."""
    result, void = {}, []
    for peer in [peer for peer in peers if peer.name in _TASKS]:
        print(f"very many tasks: {peer.title}", file=sys.stderr)
        outcome = run_child(field, peer, MANY, int(_TASKS[peer.name] * scale))
        if isinstance(outcome, dict) and "problem" not in outcome:
            result[peer.name] = outcome
        else:
            void.append(f"very many tasks: {peer.title}: {outcome}")
    return result, void
