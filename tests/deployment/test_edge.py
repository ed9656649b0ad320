"""An edge stays small: what it keeps while nobody takes it, it keeps on the disk."""

from __future__ import annotations

import http.client
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from provtel_exporters.lmdb import open_reader
from provtel_model.filters import Query

from tests.collector.parts import traces
from tests.collector.running import STOP_SECONDS, Collector, provtel, running

MOST_BYTES = 60 * 10**6
QUIET = ("--set", "service.telemetry.metrics.level=none")
SENDERS = 8
REQUESTS = 60
SPANS = 200


def resident(process: Collector) -> int:
    """Return the most memory that a process ever had."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def send_many(address: str, sender: int) -> None:
    """Send many requests on one connection."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=STOP_SECONDS)
    with closing(connection):
        for number in range(REQUESTS):
            first = (sender * REQUESTS + number) * SPANS + 1
            connection.request("POST", "/v1/traces", traces(SPANS, first), {"Content-Type": "application/x-protobuf"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == http.HTTPStatus.OK


def count(store: Path) -> int:
    """Return how many records a store has."""
    if not (store / "lmdb").exists():
        return 0
    with closing(open_reader(str(store))) as reader:
        return reader.count(Query())


@pytest.mark.skipif(sys.platform != "linux", reason="how large a process is is read from /proc")
def test_edge_stays_small_while_the_upstream_is_away(tmp_path: Path) -> None:
    """96,000 spans that wait cost no more than 60 MB, and arrive when somebody takes them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        upstream = f"127.0.0.1:{free.getsockname()[1]}"
    for name in ("edge", "upstream"):
        (tmp_path / name).mkdir()
    edge = {
        "PROVTEL_COLLECTOR_UPSTREAM": f"http://{upstream}",
        "PROVTEL_COLLECTOR_ENDPOINT": "127.0.0.1:0",
        "PROVTEL_COLLECTOR_GRPC_ENDPOINT": "127.0.0.1:0",
        "PROVTEL_COLLECTOR_HEALTH_ENDPOINT": "127.0.0.1:0",
        "XDG_STATE_HOME": str(tmp_path / "user"),
    }
    above = {
        "PROVTEL_COLLECTOR_ENDPOINT": upstream,
        "PROVTEL_COLLECTOR_GRPC_ENDPOINT": "127.0.0.1:0",
        "PROVTEL_COLLECTOR_HEALTH_ENDPOINT": "127.0.0.1:0",
        "PROVTEL_STORE": str(tmp_path / "store"),
    }
    soon = ("--set", "exporters.otlp_http.retry_on_failure.max_interval=500ms")
    sooner = ("--set", "exporters.otlp_http.retry_on_failure.initial_interval=200ms")
    command = provtel("collector", "--config", "preset:edge", *QUIET, *soon, *sooner)
    with running(command, tmp_path / "edge", **edge) as process:
        with ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(lambda sender: send_many(process.addresses["otlp"], sender), range(SENDERS)))
        assert resident(process) <= MOST_BYTES

        upper = provtel("collector", "--config", "preset:embedded", *QUIET)
        with running(upper, tmp_path / "upstream", **above):
            deadline = time.monotonic() + STOP_SECONDS
            while count(tmp_path / "store") < SENDERS * REQUESTS * SPANS:
                assert time.monotonic() < deadline, count(tmp_path / "store")
                time.sleep(0.2)
        assert process.stop() == 0
