"""The otlp_grpc exporter and the stock SDK's, against gRPC's own library and our receiver."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from provtel_exporters.otlp import otlp, otlp_grpc
from provtel_exporters.otlp.config import OtlpGrpcConfig
from provtel_exporters.otlp.grpc_exporter import OtlpGrpcExporter
from provtel_model import http2
from provtel_model.components import Batch, Context
from provtel_model.errors import DeliveryError, PermanentError, RetryableError
from provtel_model.rpc_status import RpcStatus
from provtel_model.settings import Duration, Secret
from provtel_model.tls import ClientTls

from tests.collector.otlp_receivers import receiving
from tests.collector.parts import Recorder, batch

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
CLEAR = ClientTls(insecure=True)


@dataclass
class Peer:
    """A server by gRPC's own library.

    Args:
        doing: What it does with a call, before it answers.
    """

    doing: Callable[[bytes, Any], bytes] = lambda _request, _context: b""
    asked: list[tuple[bytes, dict[str, Any]]] = field(default_factory=list)
    port: int = 0

    def take(self, request: bytes, context: Any) -> bytes:
        """Note a call and answer it."""
        self.asked.append((request, dict(context.invocation_metadata())))
        return self.doing(request, context)


@contextmanager
def serving(peer: Peer, port: int = 0) -> Iterator[Peer]:
    """Run a server for as long as the block lasts."""
    server = grpc.server(ThreadPoolExecutor(4))
    handler = grpc.unary_unary_rpc_method_handler(peer.take)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Export": handler}),))
    peer.port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield peer
    finally:
        server.stop(None).wait()


@contextmanager
def exporter(endpoint: str, reports: list[Any] | None = None, **keys: Any) -> Iterator[OtlpGrpcExporter]:
    """Run an exporter."""
    context = Context("otlp_grpc", {}, lambda *report: None if reports is None else reports.append(report))
    made = otlp_grpc.create(OtlpGrpcConfig(endpoint, **{"tls": CLEAR, **keys}), context)
    made.start()
    try:
        yield made
    finally:
        made.shutdown()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_call(compression: str) -> None:
    """A call arrives at gRPC's own server as it was, with its metadata and its deadline, however large it is."""
    with (
        serving(Peer()) as peer,
        exporter(f"127.0.0.1:{peer.port}", compression=compression, headers={"X-Tenant": Secret("a")}) as exporting,
    ):
        for count in (1, 3, 20_000, 1):
            exporting.consume(batch(count))

    assert [request for request, _ in peer.asked] == [batch(count).payload for count in (1, 3, 20_000, 1)]
    assert peer.asked[0][1]["x-tenant"] == "a"


def refusing(code: grpc.StatusCode, message: str, wait: float | None = None) -> Callable[[bytes, Any], bytes]:
    """Return what a server does that refuses."""

    def refuse(_request: bytes, context: Any) -> bytes:
        if wait is not None:
            details = RpcStatus(code.value[0], message, wait).serialised()
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(code, message)
        return b""

    return refuse


@pytest.mark.parametrize(
    ("code", "wait", "kind"),
    [
        (grpc.StatusCode.CANCELLED, None, RetryableError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, None, RetryableError),
        (grpc.StatusCode.ABORTED, None, RetryableError),
        (grpc.StatusCode.OUT_OF_RANGE, None, RetryableError),
        (grpc.StatusCode.UNAVAILABLE, None, RetryableError),
        (grpc.StatusCode.UNAVAILABLE, 1.5, RetryableError),
        (grpc.StatusCode.DATA_LOSS, None, RetryableError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, None, PermanentError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 2.0, RetryableError),
        (grpc.StatusCode.INVALID_ARGUMENT, None, PermanentError),
        (grpc.StatusCode.UNAUTHENTICATED, None, PermanentError),
        (grpc.StatusCode.PERMISSION_DENIED, None, PermanentError),
        (grpc.StatusCode.UNIMPLEMENTED, None, PermanentError),
        (grpc.StatusCode.INTERNAL, None, PermanentError),
        (grpc.StatusCode.UNKNOWN, None, PermanentError),
    ],
)
def test_refusals(code: grpc.StatusCode, wait: float | None, kind: type[DeliveryError]) -> None:
    """Each code is for now or for good as the protocol says, with its reason and its wait."""
    with (
        serving(Peer(refusing(code, "the reason: 100 % ä", wait))) as peer,
        exporter(f"127.0.0.1:{peer.port}") as exporting,
    ):
        for _ in range(2):
            with pytest.raises(kind) as raised:
                exporting.consume(batch())
            assert f"{code.name}: the reason: 100 % ä" in str(raised.value)
            assert getattr(raised.value, "retry_after", None) == wait


def test_partial_success(caplog: pytest.LogCaptureFixture) -> None:
    """What was rejected is counted and told, and the batch counts as taken."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 2
    response.partial_success.error_message = "too old"
    reports: list[Any] = []
    peer = Peer(lambda _request, _context: response.SerializeToString())
    with serving(peer), exporter(f"127.0.0.1:{peer.port}", reports) as exporting:
        exporting.consume(batch(3))

    assert "otlp_grpc: the server rejected 2 of 3 spans: too old" in caplog.text
    assert reports == [("exporter_rejected_spans", 2, {})]


def test_answer_that_is_none() -> None:
    """An answer that OTLP does not know is refused for good."""
    peer = Peer(lambda _request, _context: b"\xff\xff")
    with (
        serving(peer),
        exporter(f"127.0.0.1:{peer.port}") as exporting,
        pytest.raises(PermanentError, match="answered 2 bytes that are no answer of OTLP"),
    ):
        exporting.consume(batch())


def test_server_that_restarts() -> None:
    """A connection that the server closed when it stopped is replaced when it is back; before that nobody answers."""
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as running:
        first = running.enter_context(serving(Peer()))
        exporting = stack.enter_context(exporter(f"127.0.0.1:{first.port}"))
        exporting.consume(batch())
        running.close()
        with pytest.raises(RetryableError, match=r"does not answer: .*refused"):
            exporting.consume(batch())
        second = stack.enter_context(serving(Peer(), first.port))
        exporting.consume(batch())
        assert len(second.asked) == 1


def test_server_that_says_nothing() -> None:
    """A server that takes the connection and says nothing is given up in time."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        exporter(f"127.0.0.1:{silent.getsockname()[1]}", timeout=Duration(0.2)) as exporting,
    ):
        started = time.monotonic()
        with pytest.raises(RetryableError, match=r"does not answer: (timed out|no answer in time)"):
            exporting.consume(batch(10_000))
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        bytes(9) * 10,
        http2.settings({}) + http2.frame(http2.Kind.HEADERS, 4, 1, b"\xff\xff"),
        http2.settings({}) + http2.reset(1, http2.Code.INTERNAL_ERROR),
        http2.settings({}) + http2.goaway(0, http2.Code.ENHANCE_YOUR_CALM, "go"),
        (2**24 - 1).to_bytes(3, "big") + bytes(6),
        http2.settings({})
        + http2.frame(http2.Kind.HEADERS, 4, 1, b"\x88")
        + http2.frame(http2.Kind.DATA, 0, 1, bytes(9)),
        b"",
    ],
)
def test_server_that_is_none(said: bytes) -> None:
    """Whatever a server says that is no answer, the batch may be sent again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(said)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with (
            exporter(f"127.0.0.1:{listener.getsockname()[1]}", timeout=Duration(2)) as exporting,
            pytest.raises(RetryableError, match="does not answer"),
        ):
            exporting.consume(batch())
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment is asked for a way, and says no or opens one."""
    asked: list[bytes] = []
    with serving(Peer()) as peer, socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("grpc_proxy", f"http://me:secret@127.0.0.1:{listener.getsockname()[1]}")

        def proxy() -> None:
            for reply in (b"HTTP/1.1 407 Who are you\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"):
                connection, _ = listener.accept()
                with connection:
                    asked.append(connection.recv(65536))
                    connection.sendall(reply)
                    if b"200" in reply:
                        with socket.create_connection(("127.0.0.1", peer.port)) as onward:
                            copying = threading.Thread(target=_copy, args=(onward, connection), daemon=True)
                            copying.start()
                            _copy(connection, onward)

        thread = threading.Thread(target=proxy, daemon=True)
        thread.start()
        with exporter("collector.test:4317") as exporting:
            with pytest.raises(RetryableError, match=r"the proxy 127\.0\.0\.1 refuses: HTTP/1\.1 407 Who are you"):
                exporting.consume(batch())
            exporting.consume(batch())
        thread.join(10)

    assert asked[0].startswith(b"CONNECT collector.test:4317 HTTP/1.1\r\nHost: collector.test:4317\r\n")
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in asked[1]
    assert len(peer.asked) == 1


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)


def test_many_threads() -> None:
    """Threads send at the same time, each on a connection of its own, and every batch arrives."""
    recorder = Recorder()
    with (
        receiving(recorder) as receiver,
        exporter(receiver.addresses[1].replace("grpc", "http")) as exporting,
        ThreadPoolExecutor(8) as pool,
    ):
        list(pool.map(lambda count: exporting.consume(batch(count)), range(1, 200)))

    assert sorted(received.items for received in recorder.batches) == list(range(1, 200))


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("", 'requires a non-empty "endpoint"'),
        ("localhost", 'invalid port in "localhost"'),
        ("localhost:grpc", "invalid port"),
        (":4317", "invalid port"),
        ("localhost:65536", "invalid port"),
    ],
)
def test_endpoint_that_is_none(endpoint: str, message: str) -> None:
    """An endpoint that nothing could be sent to is refused."""
    with pytest.raises(ValueError, match=message):
        OtlpGrpcConfig(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "insecure", "expected"),
    [
        ("http://[::1]:4317", False, (("::1", 4317), True)),
        ("https://a:4317/", True, (("a", 4317), False)),
        ("a:4317", False, (("a", 4317), False)),
        ("dns:///a:4317", True, (("a", 4317), True)),
    ],
)
def test_spellings_of_endpoints(endpoint: str, *, insecure: bool, expected: tuple[tuple[str, int], bool]) -> None:
    """A scheme says whether TLS is spoken; without one the setting does."""
    config = OtlpGrpcConfig(endpoint, tls=ClientTls(insecure=insecure))

    assert (config.host_and_port, config.insecure) == expected


def test_its_older_name() -> None:
    """The name of before makes the same exporter."""
    assert (otlp.type, otlp.config, otlp.create) == ("otlp", otlp_grpc.config, otlp_grpc.create)


def a_span() -> ReadableSpan:
    """Return a span that has ended."""
    with TracerProvider(shutdown_on_exit=False).get_tracer("test").start_as_current_span("train") as span:
        pass
    assert isinstance(span, ReadableSpan)
    return span


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_stock_sdk(compression: grpc.Compression) -> None:
    """The stock SDK's exporter sends to our receiver, waits where it is told to, and gives up where it should."""
    calls: list[float] = []
    errors: list[DeliveryError | None] = []

    def take(_batch: Batch) -> None:
        calls.append(time.monotonic())
        error = errors.pop(0) if errors else None
        if error is not None:
            raise error

    recorder = Recorder(take)
    with receiving(recorder) as receiver:
        endpoint = receiver.addresses[1].removeprefix("grpc://")
        exporting = OTLPSpanExporter(endpoint, insecure=True, timeout=10, compression=compression)
        assert exporting.export([a_span()]) is SpanExportResult.SUCCESS

        errors[:] = [RetryableError("full", 0.5)]
        assert exporting.export([a_span()]) is SpanExportResult.SUCCESS
        assert calls[2] - calls[1] >= 0.45

        errors[:] = [PermanentError("never")]
        assert exporting.export([a_span()]) is SpanExportResult.FAILURE
        assert len(calls) == 4
        exporting.shutdown()

    assert [received.items for received in recorder.batches] == [1, 1]
    assert b"train" in recorder.batches[0].payload
