"""One measurement in a process of its own: ``python -m benchmarks.capture.child PEER CASE SIZE`` prints a JSON object.

Runs under the peer's own interpreter, so it imports nothing but the standard library, the peer and its neighbours here.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from typing import Any

from benchmarks.capture.workload import CASES, expected


def main(peer_name: str, case_name: str, size: int) -> dict[str, Any]:
    """Run a case under a peer and return what it cost and whether every record is right."""
    case = CASES[case_name]
    peer = importlib.import_module(f"benchmarks.capture.peers.{peer_name}")
    warm, calls = case.calls(200), case.calls(size)
    bare = _drive_time(case, list(case.functions), calls)
    peer.start()
    wrapped = [peer.wrap(function) for function in case.functions]
    case.drive(wrapped, warm)
    memory = _peak_memory()
    cpu = _cpu()
    caller = _drive_time(case, wrapped, calls)
    peer.stop()
    cpu = _cpu() - cpu
    memory = _peak_memory() - memory
    started = time.perf_counter()
    records = [*expected(case, 200), *expected(case, size)]
    problem = peer.differences(records)
    tasks = size * case.tasks
    return {
        "caller_us": (caller - bare) / tasks * 1e6,
        "cpu_us": (cpu - bare) / tasks * 1e6,
        "bytes": peer.size() / len(records),
        "memory_mib": memory / 1024,
        "query_s": time.perf_counter() - started,
        "problem": problem,
    }


def _drive_time(case: Any, functions: list[Any], calls: list[Any]) -> float:
    started = time.perf_counter()
    case.drive(functions, calls)
    return time.perf_counter() - started


def _cpu() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
