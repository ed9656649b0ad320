"""``provtel collector replay``: what was put aside is sent again when the reason is gone."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from provtel_cli.main import main
from provtel_collector.registry import find_factories
from provtel_collector.service import Service
from provtel_collector_config.loading import load
from provtel_collector_config.sources import Sources
from provtel_model.components import Batch, Consumer, Signal
from provtel_model.otlp import decode

from tests.collector.delivering import wait_for
from tests.collector.parts import traces


class Destination(ThreadingHTTPServer):
    """A server of OTLP that refuses spans by their ids, or everything for a while."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), Answer)
        self.bad: set[str] = set()
        self.away = False
        self.taken: list[str] = []

    def answer(self, payload: bytes) -> HTTPStatus:
        """Take a request or refuse it."""
        ids = [record["span_id"] for record in decode(Batch(Signal.TRACES, payload, 1))]
        if self.away:
            return HTTPStatus.SERVICE_UNAVAILABLE
        if self.bad & set(ids):
            return HTTPStatus.BAD_REQUEST
        self.taken += ids
        return HTTPStatus.OK


class Answer(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    server: Destination

    def do_POST(self) -> None:
        """Answer as the destination says."""
        payload = zlib.decompress(self.rfile.read(int(self.headers["content-length"])), 31)
        self.send_response(self.server.answer(payload))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def destination() -> Iterator[Destination]:
    """Run a destination."""
    server = Destination()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=[None, "file_storage"])
def config(request: pytest.FixtureRequest, destination: Destination, tmp_path: Path) -> Path:
    """Return a configuration that leads to the destination, with and without a queue on the disk."""
    extensions = {"file_storage": {"directory": str(tmp_path / "queue"), "create_directory": True}}
    exporter = {
        "endpoint": f"http://127.0.0.1:{destination.server_port}",
        "sending_queue": {"storage": request.param} if request.param else {},
    }
    document = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:0"}}}},
        "exporters": {"otlp_http": exporter},
        "extensions": extensions,
        "service": {
            "extensions": ["file_storage"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]}},
        },
    }
    file = tmp_path / "collector.yaml"
    file.write_text(json.dumps(document))
    return file


def put_aside(config: Path, destination: Destination, *bad: int) -> list[str]:
    """Send ten spans some of which are refused for good, and return the ids of those."""
    destination.bad = {f"{number:016x}" for number in bad}
    with Service(load(Sources((str(config),)), find_factories())) as service:
        exporter = next(node.component for node in service._nodes if str(node.id) == "otlp_http")
        assert isinstance(exporter, Consumer)
        exporter.consume(Batch(Signal.TRACES, traces(10), 10))
        wait_for(lambda: len(destination.taken) == 10 - len(bad))
        wait_for(lambda: service.counters.total("otelcol_exporter_dead_lettered_spans") == len(bad))
    return sorted(destination.bad)


def replay(config: Path, *arguments: str) -> int:
    """Run the command, and return its exit code."""
    return main(["collector", "replay", "--config", str(config), *arguments])


def test_what_was_refused_is_sent_again(
    config: Path, destination: Destination, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the destination takes what it refused, the letters go and the file is empty."""
    bad = put_aside(config, destination, 3, 7)
    destination.bad = set()

    assert replay(config) == 0
    assert destination.taken[-2:] == bad
    assert "otlp_http: 2 items were sent" in capsys.readouterr().err
    assert replay(config, "otlp_http") == 0
    assert "there are no dead letters" in capsys.readouterr().err
    assert len(destination.taken) == 10


def test_what_is_refused_again_stays(
    config: Path, destination: Destination, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is still refused stays, is told, and can be sent by the next replay."""
    bad = put_aside(config, destination, 3, 7)
    destination.bad = {bad[1]}

    assert replay(config) == 1
    assert "otlp_http: 1 items were refused for good again, in /" in capsys.readouterr().err
    destination.bad = set()
    assert replay(config) == 0
    assert destination.taken[-2:] == bad


def test_destination_that_is_away(config: Path, destination: Destination, capsys: pytest.CaptureFixture[str]) -> None:
    """While the destination is away all letters stay."""
    put_aside(config, destination, 3, 7)
    destination.away = True

    assert replay(config, "--json") == 1
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert {key: told[key] for key in ("exporter", "sent", "refused", "left")} == {
        "exporter": "otlp_http",
        "sent": 0,
        "refused": 0,
        "left": 2,
    }
    assert "2 letters stay (" in said.err
    destination.away, destination.bad = False, set()
    assert replay(config) == 0
    assert len(destination.taken) == 10


def test_exporter_that_there_is_not(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An id that no pipeline has is told, with those that there are."""
    assert replay(config, "otlp_htp") == 1
    assert 'no pipeline has an exporter "otlp_htp"; there are otlp_http' in capsys.readouterr().err
