"""``python -m benchmarks``: run a suite; the last line printed is one JSON object with every figure."""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.capture import runner
from benchmarks.capture.workload import CASES


def main() -> int:
    """Run what the arguments name; return 1 where a round was void."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure provtel beside its peers.")
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this case; may be given again")
    parser.add_argument("--rounds", type=int, default=5, help="how often each peer runs, in turn (default 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of calls (default 1)")
    arguments = parser.parse_args()
    result = runner.run(arguments.case or list(CASES), arguments.rounds, arguments.scale)
    runner.show(result)
    print(json.dumps(result))
    return 1 if result["void"] else 0


if __name__ == "__main__":
    sys.exit(main())
