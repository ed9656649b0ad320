"""``python -m benchmarks.query``: measure; the last line printed is one JSON object with every figure."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.capture.suite import machine
from benchmarks.query import report
from benchmarks.query.runner import GROWTH, QUESTIONS, measure, peak_of_document


def main() -> int:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.query", description="Measure what answers cost.")
    parser.add_argument("--question", action="append", choices=QUESTIONS, help="only this; may be given again")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is asked (default 7)")
    parser.add_argument("--tasks", type=int, default=100_000, help="how many the store has (default 100000)")
    parser.add_argument("--larger", type=int, default=1_000_000, help="how many the larger has, 0 for none")
    parser.add_argument("--page", type=Path, help="write the table to this file too")
    chosen = parser.parse_args()
    names = chosen.question or [*QUESTIONS]
    with tempfile.TemporaryDirectory() as folder:
        counts = [chosen.tasks, chosen.larger] if chosen.larger else [chosen.tasks]
        small, *rest = measure(Path(folder), counts, chosen.rounds, names)
        large = rest[0] if rest else None
        peak = peak_of_document(Path(folder) / str(chosen.tasks)) if "document" in names else 0
    result: dict[str, Any] = {
        "machine": machine(),
        "rounds": chosen.rounds,
        "small": small.tasks,
        "large": large.tasks if large else 0,
        "growth": GROWTH,
        "peak": peak / 1_000_000,
        "questions": {
            name: {
                "title": QUESTIONS[name].title,
                "size": small.sizes[name],
                "seconds": small.seconds[name],
                "limit": QUESTIONS[name].seconds,
                "larger": large.seconds[name] if large else 0,
            }
            for name in names
        },
    }
    report.show(result)
    if chosen.page:
        chosen.page.write_text(report.page(result))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    # The stores are cleared away on the way out, so that the way out must be taken.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
