"""What the OpenTelemetry Collector's processors make of requests: the judge of ours."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.services.otelcol.server import START_SECONDS, STOP_SECONDS, _healthy, _wait, free_ports

Processor = tuple[str, Mapping[str, Any]]
"""The type of a processor, and what a user writes for it."""


def process(
    binary: Path, folder: Path, cases: Mapping[str, tuple[str, Processor]], requests: Mapping[str, Sequence[bytes]]
) -> dict[str, list[bytes]]:
    """Return the requests, in OTLP/JSON, that each case makes of the requests of its signal.

    Args:
        binary: The collector.
        folder: Where it may write.
        cases: By name, a signal and a processor; each is a pipeline of its own.
        requests: What all pipelines of a signal are given, in protobuf.
    """
    folder.mkdir(parents=True, exist_ok=True)
    otlp, health = free_ports(2)
    config = folder / "otelcol.yaml"
    config.write_text(json.dumps(_document(folder, cases, otlp, health)))  # JSON is YAML
    with (folder / "otelcol.log").open("wb") as log:
        process = subprocess.Popen([binary, "--config", config], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            _wait(lambda: _healthy(process, health, folder), START_SECONDS, "a healthy otelcol")
            for signal, payloads in requests.items():
                for payload in payloads:
                    post(otlp, signal, payload)
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)
    return {name: (folder / f"{name}.jsonl").read_bytes().splitlines() for name in cases}


def _document(folder: Path, cases: Mapping[str, tuple[str, Processor]], otlp: int, health: int) -> dict[str, Any]:
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "processors": {f"{type_}/{name}": config for name, (_, (type_, config)) in cases.items()},
        "exporters": {f"file/{name}": {"path": str(folder / f"{name}.jsonl")} for name in cases},
        "extensions": {"health_check": {"endpoint": f"127.0.0.1:{health}"}},
        "service": {
            "extensions": ["health_check"],
            "pipelines": {
                f"{signal}/{name}": {
                    "receivers": ["otlp"],
                    "processors": [f"{type_}/{name}"],
                    "exporters": [f"file/{name}"],
                }
                for name, (signal, (type_, _)) in cases.items()
            },
            "telemetry": {"metrics": {"level": "none"}},
        },
    }


def post(port: int, signal: str, payload: bytes) -> None:
    """Send one request to a collector on this host."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    connection.request("POST", f"/v1/{signal}", payload, {"content-type": "application/x-protobuf"})
    assert connection.getresponse().status == http.HTTPStatus.OK
    connection.close()
