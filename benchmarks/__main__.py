"""``python -m benchmarks``: measure; the last line printed is one JSON object with every figure."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from benchmarks.capture import report, suite
from benchmarks.capture.peers import TITLES
from benchmarks.capture.workload import CASES


def main() -> int:
    """Measure what the arguments name; return 1 where a round was void."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure provtel beside its peers.")
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this case; may be given again")
    parser.add_argument("--peer", action="append", choices=list(TITLES), help="only this peer; may be given again")
    parser.add_argument("--rounds", type=int, default=5, help="how often each peer runs, in turn (default 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of calls (default 1)")
    parser.add_argument("--victims", type=int, default=3, help="processes of a peer that die in each way (default 3)")
    parser.add_argument("--page", type=Path, help="write the tables to this file too")
    chosen = parser.parse_args()
    result = suite.run(
        suite.Plan(chosen.case or [*CASES], chosen.peer or [*TITLES], chosen.rounds, chosen.scale, chosen.victims)
    )
    report.show(result)
    if chosen.page:
        chosen.page.write_text(report.page(result))
    print(json.dumps(result))
    return 1 if result["void"] else 0


if __name__ == "__main__":
    # Servers and folders are cleared away on the way out, so that the way out must be taken.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
