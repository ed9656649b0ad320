"""From us to the OpenTelemetry Collector and back, by every protocol, form and packing: it arrives as it was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from provtel_exporters.otlp import otlp_grpc, otlp_http
from provtel_exporters.otlp.config import OtlpGrpcConfig, OtlpHttpConfig
from provtel_model.components import Batch, Context, Signal
from provtel_model.delivery import RetryOnFailure
from provtel_model.errors import DeliveryError, PermanentError, RetryableError

from tests.collector.otlp_receivers import everything, parsed, receiving
from tests.collector.parts import Recorder
from tests.services.found import Found
from tests.services.otelcol.server import free_ports, running_as

ROUTES = [
    *[("grpc", "proto", packing) for packing in ("none", "gzip", "zstd", "snappy")],
    *[("http", "proto", packing) for packing in ("none", "gzip", "zstd", "zlib", "deflate", "snappy", "lz4")],
    *[("http", "json", packing) for packing in ("none", "zstd")],
]
NAMES = ["-".join(route) for route in ROUTES]
AT_ONCE = {"sending_queue": {"enabled": False}, "retry_on_failure": {"enabled": False}}


@dataclass
class Ring:
    """The other collector: what it takes on a port it gives, by the same route, to a receiver of ours.

    Args:
        ports: Where it takes what, by the name of the route.
        arrived: What came back.
    """

    ports: dict[str, int]
    arrived: Recorder


@pytest.fixture(scope="module")
def _rings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Found], Ring]]:
    """Start the ring for the first test that asks, and keep it for the others."""
    with ExitStack() as stack:

        @cache
        def start(found: Found) -> Ring:
            recorder = Recorder()
            ports = dict(zip(NAMES, free_ports(len(NAMES)), strict=True))
            http, grpc = stack.enter_context(receiving(recorder)).addresses
            document = routed(ports, http, grpc.removeprefix("grpc://"))
            stack.enter_context(running_as(found, tmp_path_factory.mktemp("otelcol"), document))
            return Ring(ports, recorder)

        yield start


@pytest.fixture
def ring(found_otelcol: Found, _rings: Callable[[Found], Ring]) -> Ring:
    """Run a receiver of ours, and the other collector with a route of each kind to it."""
    ring = _rings(found_otelcol)
    ring.arrived.batches.clear()
    return ring


def routed(ports: dict[str, int], http: str, grpc: str) -> dict[str, Any]:
    """Return the other collector's configuration."""
    receivers, exporters, pipelines = {}, {}, {}
    for name, (protocol, encoding, packing) in zip(NAMES, ROUTES, strict=True):
        receivers[f"otlp/{name}"] = {"protocols": {protocol: {"endpoint": f"127.0.0.1:{ports[name]}"}}}
        if protocol == "grpc":
            exporter = {"endpoint": grpc, "tls": {"insecure": True}}
        else:
            exporter = {"endpoint": http, "encoding": encoding}
        exporters[f"otlp_{protocol}/{name}"] = {**exporter, **AT_ONCE, "compression": packing}
        for signal in Signal:
            ends = {"receivers": [f"otlp/{name}"], "exporters": [f"otlp_{protocol}/{name}"]}
            pipelines[f"{signal}/{name}"] = ends
    return {"receivers": receivers, "exporters": exporters, "service": {"pipelines": pipelines}}


def send(port: int, route: tuple[str, str, str], *batches: Batch) -> None:
    """Send batches by one of our exporters."""
    protocol, encoding, packing = route
    context = Context(f"otlp_{protocol}", {}, lambda *_: None)
    address: dict[str, Any] = {"endpoint": f"http://127.0.0.1:{port}", "compression": packing}
    if protocol == "grpc":
        exporter = otlp_grpc.create(OtlpGrpcConfig(**address), context)
    else:
        config = OtlpHttpConfig(**address, encoding=encoding, retry_on_failure=RetryOnFailure(enabled=False))  # type: ignore[arg-type]  # one of two
        exporter = otlp_http.create(config, context)
    exporter.start()
    try:
        for batch in batches:
            exporter.consume(batch)
    finally:
        exporter.shutdown()


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_every_signal_comes_back(ring: Ring, route: tuple[str, str, str]) -> None:
    """Traces, metrics and logs with every field come back equal."""
    sent = [everything(signal) for signal in Signal]

    send(ring.ports["-".join(route)], route, *sent)

    assert [parsed(batch) for batch in ring.arrived.batches] == [parsed(batch) for batch in sent]
    assert [batch.items for batch in ring.arrived.batches] == [batch.items for batch in sent]


@pytest.mark.parametrize("route", [ROUTES[1], ROUTES[5], ROUTES[-1]], ids=["grpc", "http", "json"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [(RetryableError("full", 2.0), RetryableError), (PermanentError("never"), PermanentError)],
    ids=["retryable", "permanent"],
)
def test_refusals_pass_through(
    ring: Ring, route: tuple[str, str, str], error: DeliveryError, kind: type[DeliveryError]
) -> None:
    """What our receiver refuses, for now or for good, our exporter on the other side is told as that."""

    def refuse(_batch: Batch) -> None:
        raise error

    ring.arrived.doing = refuse
    try:
        # Of a refusal in JSON the other collector passes on the status, and not the message.
        with pytest.raises(kind, match="answered" if "json" in route else str(error)):
            send(ring.ports["-".join(route)], route, everything(Signal.TRACES))
    finally:
        ring.arrived.doing = lambda _: None


def test_large_batch(ring: Ring) -> None:
    """A batch of many times what a window of HTTP/2 holds comes back."""
    one = everything(Signal.TRACES)
    many = Batch(one.signal, one.payload * 3000, one.items * 3000)

    send(ring.ports[NAMES[0]], ROUTES[0], many)

    (arrived,) = ring.arrived.batches
    assert arrived.items == many.items
    assert parsed(arrived) == parsed(many)
