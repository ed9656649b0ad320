"""SIGHUP: another configuration takes over, what was acknowledged is kept, and a bad one changes nothing."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from provtel_exporters.lmdb import open_reader
from provtel_model.filters import Query

from tests.collector.delivering import wait_for
from tests.collector.parts import traces
from tests.collector.running import STOP_SECONDS, Collector, provtel, running

PROTOBUF = {"Content-Type": "application/x-protobuf"}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def document(folder: Path, port: int, **changes: Any) -> dict[str, Any]:
    """Return a configuration that keeps spans in a store."""
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"lmdb": {"store": str(folder / "store")}, "debug": {}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}, "logs": {"sampling": {"enabled": False}}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["lmdb"]}},
        },
        **changes,
    }


def write(folder: Path, content: dict[str, Any] | str) -> None:
    """Write the collector's file."""
    (folder / "collector.yaml").write_text(content if isinstance(content, str) else json.dumps(content))


@contextmanager
def collector(folder: Path, content: dict[str, Any]) -> Iterator[Collector]:
    """Run a collector with a file that can be changed."""
    write(folder, content)
    with running(provtel("collector", "--config", "collector.yaml"), folder) as process:
        yield process


def reload(process: Collector, said: str) -> None:
    """Send SIGHUP, and wait until the log says so once more."""
    before = process.log.read_text().count(said)
    process.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + STOP_SECONDS
    while process.log.read_text().count(said) == before:
        assert process.process.poll() is None, process.log.read_text()
        assert time.monotonic() < deadline, process.log.read_text()
        time.sleep(0.02)


def post(port: int, body: bytes) -> int:
    """Post a request of spans, and return the status of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=STOP_SECONDS)
    with closing(connection):
        connection.request("POST", "/v1/traces", body, PROTOBUF)
        return connection.getresponse().status


def stored(folder: Path) -> list[str]:
    """Return the span ids in a store."""
    if not (folder / "store" / "lmdb").exists():
        return []
    with closing(open_reader(str(folder / "store"))) as reader:
        return [record.plain["span_id"] for record in reader.find(Query())]


def test_reload_under_load_loses_nothing(tmp_path: Path) -> None:
    """Through many changes of the configuration, every acknowledged span is stored, once."""
    port = free_port()
    acknowledged: set[int] = set()
    numbers, take, done = iter(range(1, 10**9)), threading.Lock(), threading.Event()

    def send() -> None:
        while not done.is_set():
            with take:
                first = next(numbers) * 100
            while not done.is_set():
                try:
                    if post(port, traces(20, first)) == http.HTTPStatus.OK:
                        acknowledged.update(range(first, first + 20))
                        break
                except (OSError, http.client.HTTPException):
                    time.sleep(0.01)  # nobody listens for a moment

    plain = document(tmp_path, port)
    louder = json.loads(json.dumps(plain))
    louder["service"]["pipelines"]["traces"]["exporters"] = ["lmdb", "debug"]
    with collector(tmp_path, plain) as process, ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(send)
        for number in range(6):
            time.sleep(0.2)
            write(tmp_path, plain if number % 2 else louder)
            reload(process, "running with the configuration as it is now")
        before = len(acknowledged)
        wait_for(lambda: len(acknowledged) > before)
        done.set()
        pool.shutdown()
        assert process.stop() == 0

    found = stored(tmp_path)
    assert len(found) == len(set(found))
    assert {f"{number:016x}" for number in acknowledged} <= set(found)
    assert process.counts()["otelcol_receiver_accepted_spans"] == len(acknowledged)


@pytest.mark.parametrize("broken", ["receivers: [", "exporters: {lmbd: }"], ids=["no YAML", "unknown type"])
def test_bad_configuration_changes_nothing(broken: str, tmp_path: Path) -> None:
    """What cannot be used is told with its place, and the collector goes on as it was."""
    port = free_port()
    with collector(tmp_path, document(tmp_path, port)) as process:
        write(tmp_path, broken)
        reload(process, "the configuration stays as it is")

        assert "collector.yaml:1" in process.log.read_text()
        assert post(port, traces()) == http.HTTPStatus.OK
        assert process.stop() == 0


def test_configuration_that_cannot_start_is_taken_back(tmp_path: Path) -> None:
    """Where the other configuration wants a port that is taken, the one before goes on."""
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken, collector(tmp_path, document(tmp_path, port)) as process:
        write(tmp_path, document(tmp_path, int(taken.getsockname()[1])))
        reload(process, "going back to the configuration before")
        reload(process, "going back to the configuration before")

        assert "address already in use" in process.log.read_text()
        wait_until_open(port)
        assert post(port, traces()) == http.HTTPStatus.OK
        assert process.stop() == 0


def test_queue_on_disk_survives_reloads(tmp_path: Path) -> None:
    """What waits on the disk for a destination that is away is still there after each reload, and arrives at last."""
    port, upstream = free_port(), free_port()
    content = document(tmp_path, port)
    waiting: dict[str, Any] = {"storage": "file_storage"}
    content["exporters"] = {
        "otlp_http": {
            "endpoint": f"http://127.0.0.1:{upstream}",
            "sending_queue": waiting,
            "retry_on_failure": {"initial_interval": "100ms", "max_interval": "200ms"},
        }
    }
    content["extensions"] = {"file_storage": {"directory": str(tmp_path / "queue"), "create_directory": True}}
    content["service"]["extensions"] = ["file_storage"]
    content["service"]["pipelines"]["traces"]["exporters"] = ["otlp_http"]
    (tmp_path / "upper").mkdir()
    sent = 0

    with collector(tmp_path, content) as process:
        for number in range(4):
            for _ in range(10):
                assert post(port, traces(5, sent + 1)) == http.HTTPStatus.OK
                sent += 5
            waiting["num_consumers"] = 2 + number
            write(tmp_path, content)
            reload(process, "running with the configuration as it is now")
        with collector(tmp_path / "upper", document(tmp_path, upstream)):
            deadline = time.monotonic() + STOP_SECONDS
            while len(found := stored(tmp_path)) < sent:
                assert time.monotonic() < deadline, f"{len(found)} of {sent}"
                time.sleep(0.1)
        assert process.stop() == 0

    assert {f"{number:016x}" for number in range(1, sent + 1)} == set(found)


def test_many_signals_at_once(tmp_path: Path) -> None:
    """A storm of signals to reload, with one to stop in its midst, ends the collector in good order."""
    port = free_port()
    with collector(tmp_path, document(tmp_path, port)) as process:
        for number in range(30):
            process.process.send_signal(signal.SIGTERM if number == 20 else signal.SIGHUP)
            time.sleep(0.002)
        assert process.process.wait(STOP_SECONDS) == 0

    assert "stopped:" in process.log.read_text()
    assert "Traceback" not in process.log.read_text()


def test_metrics_count_on(tmp_path: Path) -> None:
    """The collector's own metrics can be read after a reload as before, and go on from where they were."""
    port, metrics = free_port(), free_port()
    content = document(tmp_path, port)
    prometheus: dict[str, Any] = {"host": "127.0.0.1", "port": metrics}
    content["service"]["telemetry"]["metrics"] = {
        "level": "normal",
        "readers": [{"pull": {"exporter": {"prometheus": prometheus}}}],
    }
    with collector(tmp_path, content) as process:
        for expected in (3, 6, 9):
            assert post(port, traces(3, expected)) == http.HTTPStatus.OK
            assert accepted(metrics) == expected
            reload(process, "running with the configuration as it is now")
        prometheus["port"] = free_port()
        write(tmp_path, content)
        reload(process, "running with the configuration as it is now")
        assert accepted(prometheus["port"]) == 9
        assert process.stop() == 0


def accepted(port: int) -> float:
    """Return how many spans the receiver has accepted, as Prometheus reads it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=STOP_SECONDS)
    with closing(connection):
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
    (count,) = re.findall(r"^otelcol_receiver_accepted_spans(?:_total)?\{[^}]*\} (\S+)", page, re.MULTILINE)
    return float(count)


def wait_until_open(port: int) -> None:
    """Return when somebody listens."""
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError


def test_service_manager_is_told(tmp_path: Path) -> None:
    """Whoever started the collector hears when it takes data, reads its configuration again, and stops."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.settimeout(STOP_SECONDS)
        write(tmp_path, document(tmp_path, free_port()))
        command = provtel("collector", "--config", "collector.yaml")
        with running(command, tmp_path, NOTIFY_SOCKET=address) as process:
            assert channel.recv(100) == b"READY=1"
            os.kill(process.process.pid, signal.SIGHUP)
            assert channel.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert channel.recv(100) == b"READY=1"
            assert process.stop() == 0
            assert channel.recv(100) == b"STOPPING=1"
