"""A destination that does badly is a matter of its own exporter, and of no other."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from provtel_exporters.lmdb import open_reader
from provtel_model.filters import Query

from tests.collector.delivering import wait_for
from tests.collector.load import HEADERS
from tests.collector.parts import traces
from tests.collector.running import Collector, provtel, running

SENDERS = 40


@pytest.fixture
def silent() -> Iterator[str]:
    """Have a server that takes connections, and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=100)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def collecting(folder: Path, document: dict[str, Any]) -> Iterator[Collector]:
    """Run a collector of a document, with a receiver of OTLP."""
    receivers = {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:0"}}}}
    (folder / "collector.yaml").write_text(json.dumps({"receivers": receivers, **document}))
    with running(provtel("collector", "--config", "collector.yaml"), folder) as collector:
        yield collector


def two_ways(silent: str, store: Path, *, same_pipeline: bool) -> dict[str, Any]:
    """Return a configuration with a way to a destination that never answers, and one to a store."""
    names = ["otlp_http", "lmdb"]
    ways = [names] if same_pipeline else [[name] for name in names]
    return {
        "exporters": {"otlp_http": {"endpoint": silent}, "lmdb": {"store": str(store)}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                f"traces/{number}": {"receivers": ["otlp"], "exporters": way} for number, way in enumerate(ways)
            },
        },
    }


def post(address: str, number: int) -> None:
    """Post a span, and wait for no answer that does not come."""
    with (
        contextlib.suppress(OSError, http.client.HTTPException),
        closing(http.client.HTTPConnection(address.removeprefix("http://"), timeout=3)) as connection,
    ):
        connection.request("POST", "/v1/traces", traces(1, number), HEADERS)
        connection.getresponse()


def stored(store: Path) -> int:
    """Return how many spans are in a store."""
    with closing(open_reader(str(store))) as reader:
        return reader.count(Query())


@pytest.mark.parametrize("same_pipeline", [False, True])
def test_destination_that_never_answers(tmp_path: Path, silent: str, same_pipeline: bool) -> None:
    """Beside a destination that never answers everything reaches the other one, soon, also what comes later."""
    store = tmp_path / "store"
    with collecting(tmp_path, two_ways(silent, store, same_pipeline=same_pipeline)) as collector:
        address = collector.addresses["otlp"]
        begun = time.monotonic()

        def send(sender: int) -> None:
            for number in range(5):
                post(address, sender * 5 + number + 1)

        threads = [threading.Thread(target=send, args=[sender]) for sender in range(SENDERS)]
        for thread in threads:
            thread.start()
        wait_for(lambda: store.exists() and stored(store) == SENDERS * 5)
        assert time.monotonic() - begun < 20
        for thread in threads:
            thread.join()


def test_reload_keeps_what_is_queued(tmp_path: Path, silent: str) -> None:
    """What waits on the disk when the configuration is read again goes where the new one says."""
    store = tmp_path / "store"
    document = {
        "exporters": {
            "otlp_http": {
                "endpoint": silent,
                "timeout": "500ms",
                "retry_on_failure": {"initial_interval": "50ms", "max_interval": "50ms"},
                "sending_queue": {"storage": "file_storage"},
            }
        },
        "extensions": {"file_storage": {"directory": str(tmp_path / "queue"), "create_directory": True}},
        "service": {
            "extensions": ["file_storage"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]}},
        },
    }
    (tmp_path / "far").mkdir()
    far = {
        "exporters": {"lmdb": {"store": str(store)}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["lmdb"]}},
        },
    }
    with collecting(tmp_path / "far", far) as goal, collecting(tmp_path, document) as collector:
        for number in range(1, 21):
            post(collector.addresses["otlp"], number)
        file = tmp_path / "collector.yaml"
        file.write_text(file.read_text().replace(silent, goal.addresses["otlp"]))
        os.kill(collector.process.pid, signal.SIGHUP)
        wait_for(lambda: stored(store) == 20)
        assert collector.stop() == 0
