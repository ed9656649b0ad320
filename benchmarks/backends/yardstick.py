"""What a span costs our collector on its way to the disk, beside the OpenTelemetry Collector that keeps none."""

from __future__ import annotations

import http.client
import tempfile
from pathlib import Path
from typing import Final

from provtel_model.filters import Query
from provtel_query.stores import open_reader

from benchmarks.backends.tasks import BATCH, requests
from benchmarks.collector.cases import Document
from benchmarks.collector.measured import OURS, THEIRS, running
from tests.services.otelcol.server import free_ports

_WARM_UP: Final = 4
_MOST: Final = 200 * BATCH
_SECONDS: Final = 60
_STORE: Final = "store"


def measure(count: int) -> dict[str, float]:
    """Return the CPU of a span in both, in microseconds, by their names; each takes the same requests by OTLP/HTTP.

    Args:
        count: How many spans there are to take; no more than 102,400 are.

    Raises:
        MissingServiceError: There is no OpenTelemetry Collector.
        ValueError: Our store does not hold what was sent.
    """
    payloads = list(requests(_WARM_UP * BATCH + min(count, _MOST)))
    return {peer: _cpu_us(peer, payloads, min(count, _MOST)) for peer in (OURS, THEIRS)}


def _cpu_us(peer: str, payloads: list[bytes], count: int) -> float:
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        (port,) = free_ports(1)
        with running(peer, _document(peer, port, folder), folder) as collector:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
            _send(connection, payloads[:_WARM_UP])
            before = collector.idle_cpu()
            _send(connection, payloads[_WARM_UP:])
            taken = collector.idle_cpu() - before
            connection.close()
        if peer == OURS:
            _check(folder, count + _WARM_UP * BATCH)
    return taken / count * 1e6


def _check(folder: Path, count: int) -> None:
    reader = open_reader(str(folder / _STORE))
    try:
        if (there := reader.count(Query())) != count:
            raise ValueError(f"the collector's store has {there} of {count} tasks")
    finally:
        reader.close()


def _send(connection: http.client.HTTPConnection, payloads: list[bytes]) -> None:
    """Send requests, each when the one before was acknowledged."""
    for payload in payloads:
        connection.request("POST", "/v1/traces", payload, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"a request was answered with {answer.status}")


def _document(peer: str, port: int, folder: Path) -> Document:
    exporters = {"lmdb": {"store": str(folder / _STORE)}} if peer == OURS else {"debug": {}}
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": exporters,
        "service": {
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": list(exporters)}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
