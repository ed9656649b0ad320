"""``python -m benchmarks.collector``: measure; the last line printed is one JSON object with every figure."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.capture.suite import machine
from benchmarks.collector import report
from benchmarks.collector.cases import CASES
from benchmarks.collector.measured import OURS, THEIRS, command
from benchmarks.collector.runner import judge, measure
from tests.services.found import MissingServiceError
from tests.services.kafka import server as kafka
from tests.services.otelcol import server as otelcol


def main() -> int:
    """Measure what the arguments name; return 1 where a round was void or a server is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.collector", description="Measure the collector beside the OpenTelemetry Collector."
    )
    parser.add_argument("--case", action="append", choices=[*CASES, "idle"], help="only this; may be given again")
    parser.add_argument("--rounds", type=int, default=5, help="how often each collector runs, in turn (default 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of requests (default 1)")
    parser.add_argument("--page", type=Path, help="write the tables to this file too")
    chosen = parser.parse_args()
    try:
        found = kafka.find()
        services = f"Kafka {found.how}; OpenTelemetry Collector {otelcol.find().how}"
        for peer in (OURS, THEIRS):
            command(peer)
    except MissingServiceError as error:
        print(f"cannot be measured here: {error}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, kafka.running(found, Path(folder)) as server:
        results = measure(server, chosen.case or [*CASES, "idle"], chosen.rounds, chosen.scale)
    medians, idle = results.medians(), results.idle_percent()
    result = {
        "machine": machine(),
        "services": services,
        "rounds": chosen.rounds,
        "cases": medians,
        "idle_percent": idle,
        "void": results.void,
        "targets": judge(medians, idle),
    }
    report.show(result)
    if chosen.page:
        chosen.page.write_text(report.page(result))
    print(json.dumps(result))
    return 1 if result["void"] else 0


if __name__ == "__main__":
    # Servers and folders are cleared away on the way out, so that the way out must be taken.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
