"""The OpenTelemetry Collector itself, found or built, and started for a test."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services import go_program
from tests.services.found import Found, MissingServiceError

RECIPE = Path(__file__).parent
START_SECONDS = 30
STOP_SECONDS = 15


def find() -> Found:
    """Return the collector that PROVTEL_TEST_OTELCOL names, else one on PATH, else one built here.

    Raises:
        MissingServiceError: There is none, and nothing to build one with.
    """
    if named := os.environ.get("PROVTEL_TEST_OTELCOL"):
        if not shutil.which(named):
            message = f"PROVTEL_TEST_OTELCOL={named} is no program that can be started"
            raise MissingServiceError(message)
        return Found("otelcol", Path(named), "named by PROVTEL_TEST_OTELCOL")
    if on_path := shutil.which("otelcol") or shutil.which("otelcol-contrib"):
        return Found("otelcol", Path(on_path), "on PATH")
    return go_program.built("otelcol", RECIPE)


@dataclass(frozen=True)
class Otelcol:
    """A collector that runs and writes what it receives to files.

    Attributes:
        endpoint: The base address for OTLP by HTTP; `/v1/traces` and `/v1/logs` are below it.
        folder: Where it writes `traces.jsonl`, `logs.jsonl`, and its own log.
    """

    endpoint: str
    folder: Path

    def requests(self, signal: str) -> list[dict[str, Any]]:
        """Return every OTLP request of a signal, `traces` or `logs`, written so far, in JSON's form."""
        file = self.folder / f"{signal}.jsonl"
        whole = file.read_text().split("\n")[:-1] if file.exists() else []
        return [json.loads(line) for line in whole]

    def spans(self) -> list[dict[str, Any]]:
        """Return every span written so far, in JSON's form."""
        resources = [item for request in self.requests("traces") for item in request["resourceSpans"]]
        return [span for item in resources for scope in item["scopeSpans"] for span in scope["spans"]]

    def wait_for_spans(self, count: int, seconds: float = 10) -> list[dict[str, Any]]:
        """Return the spans as soon as there are `count` of them.

        Raises:
            TimeoutError: They did not arrive in time.
        """
        _wait(lambda: len(self.spans()) >= count, seconds, f"{count} spans in {self.folder}")
        return self.spans()


@contextmanager
def running(found: Found, folder: Path) -> Iterator[Otelcol]:
    """Run a collector on free loopback ports for as long as the block lasts."""
    (otlp,) = free_ports(1)
    with running_as(found, folder, _document(folder, otlp)):
        yield Otelcol(f"http://127.0.0.1:{otlp}", folder)


@contextmanager
def running_as(found: Found, folder: Path, document: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a collector by a configuration of the test's own, from when it is healthy to the end of the block.

    Args:
        found: The program.
        folder: Where its configuration and its log are.
        document: The configuration; it is given a health check.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (health,) = free_ports(1)
    service = {"telemetry": {"metrics": {"level": "none"}}} | document["service"]
    service["extensions"] = [*service.get("extensions", []), "health_check"]
    extensions = {**document.get("extensions", {}), "health_check": {"endpoint": f"127.0.0.1:{health}"}}
    config = folder / "otelcol.yaml"
    config.write_text(json.dumps({**document, "extensions": extensions, "service": service}, indent=2))  # JSON is YAML
    with (folder / "otelcol.log").open("wb") as log:
        process = subprocess.Popen([found.binary, "--config", config], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            _wait(lambda: _healthy(process, health, folder), START_SECONDS, "a healthy otelcol")
            yield process
        finally:
            _stop(process)


def _document(folder: Path, otlp: int) -> dict[str, Any]:
    def file(signal: str) -> dict[str, Any]:
        return {"path": str(folder / f"{signal}.jsonl"), "flush_interval": "50ms"}

    signals = ("traces", "logs")
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "exporters": {f"file/{signal}": file(signal) for signal in signals},
        "service": {
            "pipelines": {signal: {"receivers": ["otlp"], "exporters": [f"file/{signal}"]} for signal in signals},
        },
    }


def _healthy(process: subprocess.Popen[bytes], port: int, folder: Path) -> bool:
    if process.poll() is not None:
        message = f"otelcol ended with {process.returncode}:\n{(folder / 'otelcol.log').read_text()[-2000:]}"
        raise RuntimeError(message)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(sock.getsockname()[1]) for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def _wait(ready: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            message = f"waited {seconds} s in vain for {what}"
            raise TimeoutError(message)
        time.sleep(0.05)
