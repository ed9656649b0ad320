"""Our way into a store: ``python -m benchmarks.backends.ours LOCATION RECORDS``; takes OTLP, prints one JSON object."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Final

from provtel_model.components import Batch, Signal
from provtel_model.filters import Query
from provtel_model.otlp import decode
from provtel_query.stores import open_reader, open_writer

from benchmarks.backends.tasks import BATCH, record, requests

_PAGE: Final = Query({"used.epochs": 7}, limit=100)


def main(location: str, count: int) -> None:
    """Write every batch, ask two questions, and print what it took."""
    batches = [Batch(Signal.TRACES, payload, BATCH) for payload in requests(count)]
    writer = open_writer(location)
    writer.write([])
    begun, before = time.perf_counter(), time.process_time()
    for batch in batches:
        writer.write(decode(batch))
    wall, cpu = time.perf_counter() - begun, time.process_time() - before
    reader = open_reader(location)
    last = record(count - 1)
    identity = f"{last['trace_id']}-{last['span_id']}"
    found = reader.get(identity)
    assert found is not None
    assert found.plain["used"] == last["used"]
    point = _seconds(lambda: reader.get(identity))
    filtered = _seconds(lambda: reader.find(_PAGE))
    taken = sum(path.stat().st_blocks * 512 for path in Path().glob(f"{location}/**/data.mdb"))
    figures = {"cpu": cpu, "wall": wall, "records": reader.count(Query()), "bytes": taken}
    print(json.dumps(figures | {"point": point, "filtered": filtered}))
    reader.close()
    writer.close()


def _seconds(ask: object) -> float:
    assert callable(ask)
    begun = time.perf_counter()
    ask()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
