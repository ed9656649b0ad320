"""One measurement in a process of its own: ``python -m benchmarks.capture.child PEER CASE SIZE`` prints a JSON object.

Runs under the peer's own interpreter, so it imports nothing but the standard library, the peer and its neighbours here.
With ``many`` for a case it calls as often without keeping the arguments, and compares nothing.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.capture.peers import load
from benchmarks.capture.peers.capture import Capture, NotHereError, Recorded, differences
from benchmarks.capture.usage import Memory, Usage
from benchmarks.capture.workload import CASES, WARM_UP, Call, Case, Function, pair, two

MANY = "many"
NOT_HERE = 3
"""Exit code of a peer that cannot run in its environment."""


def measure(capture: Capture, case: Case, size: int) -> dict[str, Any]:
    """Run a case under a peer and return what it cost and whether every record is right."""
    warm, calls = case.calls(WARM_UP), case.calls(size)
    case.drive([*case.functions], warm)
    bare = _cost(case, [*case.functions], calls)
    capture.start()
    wrapped = [capture.wrap(function) for function in case.functions]
    case.drive(wrapped, warm)
    memory = Memory()
    driven = _cost(case, wrapped, calls)
    stopping = Usage.now()
    capture.stop()
    stopped = Usage.now() - stopping
    risen, size_in_all = memory.risen(), capture.size()
    asked = time.perf_counter()
    answered = capture.query()
    asked = time.perf_counter() - asked
    records = [*_expected(capture, case, WARM_UP), *_expected(capture, case, size)]
    tasks = size * len(case.functions)
    return {
        "caller_us": (driven.caller - bare.caller) / tasks * 1e6,
        "cpu_us": (driven.cpu + stopped.cpu - bare.cpu) / tasks * 1e6,
        "bytes": size_in_all / len(records),
        "memory_mib": risen,
        "query_us": (stopped.wall + asked) / tasks * 1e6 if answered else None,
        "problem": differences(records, capture.records()),
    }


def _cost(case: Case, functions: list[Function], calls: list[Call]) -> Usage:
    gc.collect()
    before = Usage.now()
    case.drive(functions, calls)
    return Usage.now() - before


def _expected(capture: Capture, case: Case, size: int) -> Iterator[Recorded]:
    for function, call in case.records(size):
        yield capture.expected(function, call)


def measure_many(capture: Capture, size: int) -> dict[str, Any]:
    """Return what very many tasks cost, which last long enough for all that goes on in the background."""
    bare = _cost_of_many(two, size)
    capture.start()
    wrapped = capture.wrap(two)
    _cost_of_many(wrapped, WARM_UP)
    memory = Memory()
    many = _cost_of_many(wrapped, size)
    stopping = Usage.now()
    capture.stop()
    stopped = Usage.now() - stopping
    return {
        "tasks": size,
        "caller_us": (many.caller - bare.caller) / size * 1e6,
        "cpu_us": (many.cpu + stopped.cpu - bare.cpu) / size * 1e6,
        "memory_mib": memory.risen(),
    }


def _cost_of_many(function: Function, size: int) -> Usage:
    gc.collect()
    before = Usage.now()
    for number in range(size):
        function(*pair(number))
    return Usage.now() - before


def main(name: str, case: str, size: int) -> dict[str, Any]:
    """Load a peer and measure it."""
    try:
        capture = load(name)
    except NotHereError as error:
        print(error, file=sys.stderr)
        sys.exit(NOT_HERE)
    return measure_many(capture, size) if case == MANY else measure(capture, CASES[case], size)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
