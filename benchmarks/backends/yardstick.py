"""What a span costs our collector on its way to the disk, beside the OpenTelemetry Collector that keeps none."""

from __future__ import annotations

import http.client
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provtel_model.filters import Query
from provtel_query.stores import open_reader

from benchmarks.backends.tasks import BATCH, requests
from benchmarks.collector.cases import Document
from benchmarks.collector.measured import OURS, THEIRS, Measured, running
from tests.services.otelcol.server import free_ports

_WARM_UP: Final = 4
_IN_TURN: Final = 10
_MOST: Final = 200 * BATCH
_SECONDS: Final = 60
_STORE: Final = "store"


@dataclass(frozen=True)
class _Peer:
    """A collector that runs, and a connection to it."""

    collector: Measured
    connection: http.client.HTTPConnection
    folder: Path


def measure(count: int) -> dict[str, float]:
    """Return the CPU of a span in both, in microseconds, by their names; each takes the same requests by OTLP/HTTP.

    Both run from the beginning to the end and take their requests in turn, some at a time: a machine that is faster at
    one time than at another is so for both.

    Args:
        count: How many spans there are to take; no more than 102,400 are.

    Raises:
        MissingServiceError: There is no OpenTelemetry Collector.
        ValueError: Our store does not hold what was sent.
    """
    payloads = list(requests(_WARM_UP * BATCH + min(count, _MOST)))
    with ExitStack() as stack:
        peers = {name: stack.enter_context(_started(name)) for name in (OURS, THEIRS)}
        for peer in peers.values():
            _send(peer.connection, payloads[:_WARM_UP])
        before = {name: peer.collector.idle_cpu() for name, peer in peers.items()}
        for begin in range(_WARM_UP, len(payloads), _IN_TURN):
            for peer in peers.values():
                _send(peer.connection, payloads[begin : begin + _IN_TURN])
        taken = {name: peer.collector.idle_cpu() - before[name] for name, peer in peers.items()}
        _check(peers[OURS].folder, min(count, _MOST) + _WARM_UP * BATCH)
    return {name: seconds / min(count, _MOST) * 1e6 for name, seconds in taken.items()}


@contextmanager
def _started(name: str) -> Iterator[_Peer]:
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        (port,) = free_ports(1)
        with (
            running(name, _document(name, port, folder), folder) as collector,
            closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)) as connection,
        ):
            yield _Peer(collector, connection, folder)


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
