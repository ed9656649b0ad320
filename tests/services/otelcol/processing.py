"""What the OpenTelemetry Collector's processors make of requests: the judge of ours."""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.services.found import Found
from tests.services.otelcol.server import START_SECONDS, free_ports, running_as

Processor = tuple[str, Mapping[str, Any]]
"""The type of a processor, and what a user writes for it."""


def process(
    found: Found, folder: Path, cases: Mapping[str, tuple[str, Processor]], requests: Mapping[str, Sequence[bytes]]
) -> dict[str, list[bytes]]:
    """Return the requests, in OTLP/JSON, that each case makes of the requests of its signal.

    Args:
        found: The collector.
        folder: Where it may write.
        cases: By name, a signal and a processor; each is a pipeline of its own.
        requests: What all pipelines of a signal are given, in protobuf.
    """
    (otlp,) = free_ports(1)
    with running_as(found, folder, _document(folder, cases, otlp)):
        for signal, payloads in requests.items():
            for payload in payloads:
                post(otlp, signal, payload)
    return {name: (folder / f"{name}.jsonl").read_bytes().splitlines() for name in cases}


def _document(folder: Path, cases: Mapping[str, tuple[str, Processor]], otlp: int) -> dict[str, Any]:
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "processors": {f"{type_}/{name}": config for name, (_, (type_, config)) in cases.items()},
        "exporters": {f"file/{name}": {"path": str(folder / f"{name}.jsonl")} for name in cases},
        "service": {
            "pipelines": {
                f"{signal}/{name}": {
                    "receivers": ["otlp"],
                    "processors": [f"{type_}/{name}"],
                    "exporters": [f"file/{name}"],
                }
                for name, (signal, (type_, _)) in cases.items()
            },
        },
    }


def post(port: int, signal: str, payload: bytes) -> None:
    """Send one request to a collector on this host."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    connection.request("POST", f"/v1/{signal}", payload, {"content-type": "application/x-protobuf"})
    assert connection.getresponse().status == http.HTTPStatus.OK
    connection.close()
