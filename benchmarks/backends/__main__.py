"""``python -m benchmarks.backends``: measure; the last line printed is one JSON object with every figure."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.backends import report
from benchmarks.backends.runner import PEERS, measure
from benchmarks.capture.suite import machine
from tests.services.found import Found, MissingServiceError
from tests.services.kafka import server as kafka
from tests.services.mongodb import finding
from tests.services.mongodb import server as mongodb


def main() -> int:
    """Measure what the arguments name; return 1 where a round was void or a server is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.backends", description="Measure the stores beside Flowcept's."
    )
    parser.add_argument("--peer", action="append", choices=PEERS, help="only this; may be given again")
    parser.add_argument("--rounds", type=int, default=3, help="how often each runs, in turn (default 3)")
    parser.add_argument("--records", type=int, default=20_480, help="how many tasks (default 20480)")
    parser.add_argument("--page", type=Path, help="write the tables to this file too")
    chosen = parser.parse_args()
    try:
        found, found_kafka = _find_mongodb(), kafka.find()
    except MissingServiceError as error:
        print(f"cannot be measured here: {error}", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory() as folder,
        mongodb.running(found, Path(folder) / "mongodb") as server,
        kafka.running(found_kafka, Path(folder) / "kafka") as broker,
    ):
        results = measure(server, broker, chosen.peer or list(PEERS), chosen.rounds, chosen.records)
    result = {
        "machine": machine(),
        "services": f"{found.service}, {found.how}; Kafka {found_kafka.how}",
        "rounds": chosen.rounds,
        "records": chosen.records,
        "peers": results.medians(),
        "void": results.void,
        "left_out": results.left_out,
    }
    report.show(result)
    if chosen.page:
        chosen.page.write_text(report.page(result))
    print(json.dumps(result))
    return 1 if result["void"] else 0


def _find_mongodb() -> Found:
    try:
        return finding.find_given()
    except MissingServiceError:
        return finding.find_durable()


if __name__ == "__main__":
    # Servers and folders are cleared away on the way out, so that the way out must be taken.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
