"""A collector as a process: it comes up, takes what it acknowledges to the store, and goes down in good order."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from provtel_exporters.lmdb import open_reader
from provtel_model.filters import Query

from tests.collector.parts import traces
from tests.collector.running import STOP_SECONDS, Collector, begin, provtel, running

PROTOBUF = {"Content-Type": "application/x-protobuf"}
SLOW = Path(__file__).with_name("slow_collector.py")


@contextmanager
def embedded(folder: Path) -> Iterator[Collector]:
    """Run the preset that ships, on free ports and a store in a folder."""
    environment = {
        "PROVTEL_COLLECTOR_ENDPOINT": "localhost:0",
        "PROVTEL_COLLECTOR_HEALTH_ENDPOINT": "localhost:0",
        "PROVTEL_STORE": str(folder / "store"),
    }
    with running(provtel("collector", "--config", "preset:embedded"), folder, **environment) as collector:
        yield collector


@contextmanager
def slow(folder: Path, seconds: float, stop_seconds: float = STOP_SECONDS) -> Iterator[Collector]:
    """Run a collector that takes some time for each request, and may take some to stop."""
    document = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "localhost:0"}}}},
        "exporters": {"slow": {"seconds": seconds, "file": str(folder / "kept")}},
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["slow"]}}},
    }
    (folder / "slow.yaml").write_text(json.dumps(document))
    with running([SLOW, "slow.yaml", str(stop_seconds)], folder) as collector:
        yield collector


def post(address: str, body: bytes) -> int:
    """Post a request of spans, and return the status of the answer."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=STOP_SECONDS)
    with closing(connection):
        connection.request("POST", "/v1/traces", body, PROTOBUF)
        return connection.getresponse().status


def stored(folder: Path) -> set[str]:
    """Return the span ids in a store."""
    with closing(open_reader(str(folder / "store"))) as reader:
        return {record.plain["span_id"] for record in reader.find(Query())}


def test_spans_of_the_stock_sdk_are_stored(tmp_path: Path) -> None:
    """What the stock SDK sends is in the store, SIGTERM ends the process with 0, and its counts say the same."""
    with embedded(tmp_path) as collector:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{collector.addresses['otlp']}/v1/traces")))
        tracer = provider.get_tracer("test")
        spans = [tracer.start_span(f"span {number}") for number in range(700)]
        for span in spans:
            span.end()
        provider.shutdown()
        assert collector.stop() == 0

    assert {f"{span.get_span_context().span_id:016x}" for span in spans} == stored(tmp_path)
    counts = collector.counts()
    assert counts["otelcol_receiver_accepted_spans"] == counts["otelcol_exporter_sent_spans"] == 700
    assert counts["otelcol_exporter_stored_records"] == 700


def test_health(tmp_path: Path) -> None:
    """Somebody who asks hears that the collector takes data."""
    with embedded(tmp_path) as collector:
        connection = http.client.HTTPConnection(collector.addresses["health_check"].split("/")[2], timeout=10)
        with closing(connection):
            connection.request("GET", "/")
            answer = connection.getresponse()
            assert answer.status == http.HTTPStatus.OK
            assert json.loads(answer.read())["status"] == "Server available"


def test_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Every span that was answered with 200 before a SIGKILL is in the store, and the next collector goes on."""
    acknowledged: set[int] = set()
    numbers = iter(range(1, 10**9))
    take = threading.Lock()
    enough = threading.Event()

    def send(address: str, goal: int) -> None:
        while True:
            with take:
                first = next(numbers) * 100
            try:
                status = post(address, traces(20, first))
            except (OSError, http.client.HTTPException):
                return
            if status == http.HTTPStatus.OK:
                acknowledged.update(range(first, first + 20))
            if len(acknowledged) > goal:
                enough.set()

    for goal in (3000, 6000):
        enough.clear()
        with embedded(tmp_path) as collector, ThreadPoolExecutor(8) as pool:
            for _ in range(8):
                pool.submit(send, collector.addresses["otlp"], goal)
            assert enough.wait(STOP_SECONDS)
            assert collector.stop(signal.SIGKILL) == -signal.SIGKILL
        assert {f"{number:016x}" for number in acknowledged} <= stored(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_are_finished(tmp_path: Path, number: signal.Signals) -> None:
    """At SIGTERM or Ctrl-C every request that was sent is answered and kept, and the process ends with 0."""
    with slow(tmp_path, 0.5) as collector, ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(post, collector.addresses["otlp"], traces(1, first)) for first in range(1, 9)]
        time.sleep(0.25)
        assert collector.stop(number) == 0
        assert [answer.result() for answer in answers] == [http.HTTPStatus.OK] * 8

    kept = (tmp_path / "kept").read_text().split()
    assert sorted(kept) == [f"{first:016x}" for first in range(1, 9)]
    assert f"stopping after {number.name}" in collector.log.read_text()


def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    """Who asks twice does not wait for a request that hangs."""
    with slow(tmp_path, 600) as collector, ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(post, collector.addresses["otlp"], traces())
        time.sleep(0.3)
        collector.process.terminate()
        time.sleep(0.3)
        assert collector.process.poll() is None
        assert collector.stop() == 1
        with pytest.raises((OSError, http.client.HTTPException)):
            hanging.result()


def test_stop_has_a_limit(tmp_path: Path) -> None:
    """A request that hangs does not keep the collector from stopping, which says so and ends with 1."""
    with slow(tmp_path, 600, stop_seconds=0.5) as collector, ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(post, collector.addresses["otlp"], traces())
        time.sleep(0.3)
        assert collector.stop() == 1
        with pytest.raises((OSError, http.client.HTTPException)):
            hanging.result()

    assert "did not stop within 0.5 s" in collector.log.read_text()


def test_port_in_use(tmp_path: Path) -> None:
    """A port that is taken ends the process with 1, and a line that names it and its key; nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"localhost:{taken.getsockname()[1]}"
        process = begin(
            provtel("collector", "--config", "preset:embedded"),
            tmp_path,
            PROVTEL_COLLECTOR_ENDPOINT=endpoint,
            PROVTEL_COLLECTOR_HEALTH_ENDPOINT="localhost:0",
            PROVTEL_STORE=str(tmp_path / "store"),
        )
        assert process.wait(STOP_SECONDS) == 1

    assert (tmp_path / "collector.log").read_text() == (
        f"provtel: receivers::otlp::protocols::http::endpoint: cannot listen on {endpoint}: address already in use; "
        "stop the program that listens there, or choose another port\n"
    )


def test_log_in_json(tmp_path: Path) -> None:
    """Asked for JSON, every line of the log is an object with time, level and message."""
    (tmp_path / "json.yaml").write_text("service: {telemetry: {logs: {encoding: json, level: debug}}}")
    arguments = ("collector", "--config", "preset:debug", "--config", "json.yaml")
    process = begin(provtel(*arguments), tmp_path, PROVTEL_COLLECTOR_ENDPOINT="localhost:0")
    while b"ready" not in (tmp_path / "collector.log").read_bytes():
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGTERM)

    assert process.wait(STOP_SECONDS) == 0
    entries = [json.loads(line) for line in (tmp_path / "collector.log").read_text().splitlines()]
    assert {"ts", "level", "logger", "caller", "msg", "resource"} == set(entries[-1])
    assert entries[-1]["msg"] == "stopped: nothing was received"


def test_as_many_connections_as_the_system_allows() -> None:
    """The soft limit of descriptors, which is low where nobody raised it, is raised to the hard one."""
    program = (
        "import resource; from provtel_collector.process import allow_descriptors; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 3000)); allow_descriptors(); "
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "(3000, 3000)\n"
