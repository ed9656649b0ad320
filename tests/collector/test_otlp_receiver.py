"""The otlp receiver answers as OTLP over HTTP says, to any sender."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from provtel_collector.receivers.otlp import factory
from provtel_collector.receivers.otlp.config import HttpConfig, OtlpConfig, ProtocolsConfig
from provtel_collector.receivers.otlp.receiver import OtlpReceiver
from provtel_model.components import Batch, Context, Signal
from provtel_model.errors import ConfigError, DeliveryError, PermanentError, RetryableError
from provtel_model.otlp import to_json

from tests.collector.parts import Recorder, batch, logs, raising, traces

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
LIMIT = 10_000


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Sender:
    """Sends to a receiver.

    Args:
        address: Where the receiver listens.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)

    def send(
        self, body: Any = b"", headers: Mapping[str, str] = PROTOBUF, path: str = "/v1/traces", method: str = "POST"
    ) -> Answered:
        """Send a request over a connection that stays, and return the answer."""
        self.connection.request(method, path, body, dict(headers))
        answer = self.connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answered(answer.status, headers, answer.read())


@dataclass
class Running:
    """A receiver that runs, and what it gave on."""

    sender: Sender
    traces: Recorder
    logs: Recorder
    receiver: OtlpReceiver


@pytest.fixture
def running() -> Iterator[Running]:
    """Run a receiver for traces and logs."""
    found = Recorder(), Recorder()
    receiver = start({Signal.TRACES: found[0], Signal.LOGS: found[1]})
    sender = Sender(receiver.addresses[0])
    yield Running(sender, *found, receiver)
    sender.connection.close()
    receiver.shutdown()


def send_once(receiver: OtlpReceiver) -> Answered:
    """Send one span, alone on its connection."""
    sender = Sender(receiver.addresses[0])
    with closing(sender.connection):
        return sender.send(traces())


def start(consumers: Mapping[Signal, Recorder], endpoint: str = "localhost:0") -> OtlpReceiver:
    """Start a receiver."""
    config = OtlpConfig(ProtocolsConfig(HttpConfig(endpoint, LIMIT)))
    receiver = factory.create(config, Context("otlp", consumers, lambda *_: None))
    assert isinstance(receiver, OtlpReceiver)
    receiver.start()
    return receiver


@pytest.mark.parametrize(
    "headers",
    [PROTOBUF, {"Content-Type": "Application/X-Protobuf; charset=utf-8"}, {**PROTOBUF, "Content-Encoding": "identity"}],
)
def test_request_is_given_on_as_it_is(running: Running, headers: dict[str, str]) -> None:
    """The bytes of a request reach the consumer unchanged, with their count, and the answer is an empty response."""
    answer = running.sender.send(traces(3), headers)

    assert (answer.status, answer.body) == (HTTPStatus.OK, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert running.traces.batches == [batch(3)]


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress)]
)
def test_packed_request(running: Running, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    """A packed request arrives unpacked."""
    answer = running.sender.send(pack(traces(3)), {**PROTOBUF, "Content-Encoding": encoding})

    assert answer.status == HTTPStatus.OK
    assert running.traces.batches == [batch(3)]


def test_request_in_json(running: Running) -> None:
    """A request in JSON arrives as protobuf, and is answered in JSON."""
    answer = running.sender.send(gzip.compress(to_json(Signal.TRACES, traces(3))), {**JSON, "Content-Encoding": "gzip"})

    assert (answer.status, answer.body) == (HTTPStatus.OK, b"{}")
    assert answer.headers["content-type"] == "application/json"
    assert running.traces.batches == [batch(3)]


def test_each_signal_has_its_path(running: Running) -> None:
    """Logs posted to their path arrive as logs; a query in the address does no harm."""
    assert running.sender.send(logs(2), path="/v1/logs?a=b").status == HTTPStatus.OK
    assert running.logs.batches == [batch(2, Signal.LOGS)]


def test_empty_request_is_taken(running: Running) -> None:
    """A request with nothing in it succeeds, and nobody is asked to store it."""
    assert running.sender.send(b"").status == HTTPStatus.OK
    assert running.traces.batches == []


def status_body(code: int, message: str) -> bytes:
    """Return a google.rpc.Status with a short message."""
    return bytes([0x08, code, 0x12, len(message)]) + message.encode()


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        ({"path": "/"}, 404, b"404 page not found\n"),
        ({"path": "/v1/traces/"}, 404, b"404 page not found\n"),
        ({"path": "/v1/metrics"}, 404, b"404 page not found\n"),
        ({"method": "GET"}, 405, b"405 method not allowed, supported: [POST]"),
        ({"method": "HEAD"}, 405, b""),
        ({"headers": {}}, 415, b"415 unsupported media type, supported: [application/json, application/x-protobuf]"),
        ({"body": b"{", "headers": JSON}, 400, None),
        (
            {"body": b'{"resourceSpans": 1}', "headers": JSON},
            400,
            b'{"code": 3, "message": "resourceSpans: expected an array"}',
        ),
        ({"body": b"abc"}, 400, status_body(3, "these 3 bytes are no ExportTraceServiceRequest")),
        (
            {"body": b"", "headers": {**PROTOBUF, "Content-Encoding": "gzip"}},
            400,
            status_body(3, "the gzip stream of the body is cut off"),
        ),
        (
            {"body": b"x", "headers": {**PROTOBUF, "Content-Encoding": "br"}},
            400,
            status_body(3, "unsupported Content-Encoding: br; supported: gzip, zstd, zlib, snappy, deflate, lz4"),
        ),
        (
            {"body": bytes(LIMIT + 1)},
            413,
            status_body(
                8,
                "the request has more than 10000 bytes, the max_request_body_size of this receiver; send smaller ones",
            ),
        ),
        ({"body": gzip.compress(bytes(LIMIT + 1)), "headers": {**PROTOBUF, "Content-Encoding": "gzip"}}, 413, None),
    ],
)
def test_refused_request(running: Running, request_: dict[str, Any], status: int, body: bytes | None) -> None:
    """What cannot be taken is answered with the right status and reason, and the next request is taken."""
    answer = running.sender.send(**request_)

    assert answer.status == status
    assert body in {None, answer.body}
    assert running.traces.batches == []
    assert running.sender.send(traces()).status == HTTPStatus.OK


def test_large_upload_is_answered(running: Running) -> None:
    """A sender of far too much, whose length nobody knows beforehand, gets its answer and can go on."""
    answer = running.sender.send(iter([bytes(100_000)] * 100))

    assert answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert running.sender.send(traces()).status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("error", "status", "body", "wait"),
    [
        (RetryableError("full"), 503, status_body(14, "full"), "1"),
        (
            RetryableError("full", 2.1),
            503,
            status_body(14, "full")
            + b"\x1a5\n(type.googleapis.com/google.rpc.RetryInfo\x12\t\n\x07\x08\x02\x10\x80\xc2\xd7/",
            "3",
        ),
        (PermanentError("wrong"), 500, status_body(13, "wrong"), None),
    ],
)
def test_refusal_of_the_consumer(error: DeliveryError, status: int, body: bytes, wait: str | None) -> None:
    """Whether to send again is told by status, and when by Retry-After."""
    receiver = start({Signal.TRACES: Recorder(raising(error))})

    answer = send_once(receiver)
    receiver.shutdown()

    assert (answer.status, answer.body, answer.headers.get("retry-after")) == (status, body, wait)


def test_long_message_is_cut() -> None:
    """A reason of any length and any text is told within bounds."""
    receiver = start({Signal.TRACES: Recorder(raising(PermanentError("ä\ud800" * 10_000)))})

    answer = send_once(receiver)
    receiver.shutdown()

    assert len(answer.body) < 5000
    assert answer.body[5:].decode()


@settings(max_examples=300)
@given(
    body=st.binary(max_size=300) | st.binary(max_size=30).map(lambda noise: traces(2)[:-5] + noise),
    packed=st.booleans(),
)
def test_any_body_is_answered(fuzzed: Running, body: bytes, packed: bool) -> None:
    """Whatever is posted is taken or is malformed; nothing is a failure of ours."""
    headers = {**PROTOBUF, "Content-Encoding": "gzip"} if packed else PROTOBUF
    answer = fuzzed.sender.send(gzip.compress(body) if packed and len(body) % 2 else body, headers)

    assert answer.status in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Running]:
    """Run one receiver for all bodies."""
    recorder = Recorder()
    receiver = start({Signal.TRACES: recorder})
    sender = Sender(receiver.addresses[0])
    yield Running(sender, recorder, Recorder(), receiver)
    sender.connection.close()
    receiver.shutdown()


@pytest.mark.parametrize(
    "noise", [b"\x00" * 100, b"GET\r\n\r\n", b"POST /v1/traces HTTP/1.1\r\nContent-Length: x\r\n\r\n"]
)
def test_noise_on_the_line(running: Running, noise: bytes) -> None:
    """What is no HTTP closes its own connection and no other."""
    host, port = running.sender.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(noise)
        answer = connection.makefile("rb").readline()

    assert answer.startswith(b"HTTP/1.1 400")
    assert running.sender.send(traces()).status == HTTPStatus.OK


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def test_stock_sdk(running: Running, compression: Compression) -> None:
    """A span of the stock SDK and its own exporter arrives, whichever way it packs."""
    exporter = OTLPSpanExporter(f"{running.sender.address}/v1/traces", compression=compression)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    with provider.get_tracer("test").start_as_current_span("train"):
        pass
    provider.shutdown()

    (arrived,) = running.traces.batches
    assert arrived.items == 1
    assert b"train" in arrived.payload


@pytest.mark.skipif(
    tuple(map(int, version("opentelemetry-sdk").split(".")[:2])) < (1, 45),
    reason="before 1.45 the SDK's exporter asks again when it likes to, and whatever it was told",
)
def test_stock_sdk_heeds_refusals(caplog: pytest.LogCaptureFixture) -> None:
    """The stock SDK's exporter waits where it is told to, and gives up where it should."""
    calls: list[float] = []
    errors: list[DeliveryError] = []

    def take(_batch: Batch) -> None:
        calls.append(time.monotonic())
        if errors:
            raise errors.pop()

    recorder = Recorder(take)
    receiver = start({Signal.TRACES: recorder})
    exporter = OTLPSpanExporter(f"{receiver.addresses[0]}/v1/traces")
    with TracerProvider(shutdown_on_exit=False).get_tracer("test").start_as_current_span("train") as span:
        pass
    assert isinstance(span, ReadableSpan)

    errors[:] = [RetryableError("full", 1)]
    assert exporter.export([span]) is SpanExportResult.SUCCESS
    assert calls[1] - calls[0] >= 0.9
    errors[:] = [PermanentError("never")]
    assert exporter.export([span]) is SpanExportResult.FAILURE
    assert len(calls) == 3
    exporter.shutdown()  # type: ignore[no-untyped-call]  # the SDK's
    receiver.shutdown()

    assert [received.items for received in recorder.batches] == [1]
    assert "Failed to export spans batch code: 500" in caplog.text


def test_requests_are_taken_side_by_side() -> None:
    """A consumer that waits keeps nobody else waiting."""
    barrier = threading.Barrier(8, timeout=10)

    def wait(_batch: Batch) -> None:
        barrier.wait()

    receiver = start({Signal.TRACES: Recorder(wait)})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send_once(receiver).status, range(8)))
    receiver.shutdown()

    assert answers == [HTTPStatus.OK] * 8


def test_shutdown_answers_what_was_asked() -> None:
    """A request that is being taken when the receiver stops is answered; a later one finds nobody."""
    begun, goes_on = threading.Event(), threading.Event()

    def wait(_batch: Batch) -> None:
        begun.set()
        assert goes_on.wait(10)

    recorder = Recorder(wait)
    receiver = start({Signal.TRACES: recorder})
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(send_once, receiver)
        assert begun.wait(10)
        stopped = pool.submit(receiver.shutdown)
        goes_on.set()
        assert answer.result(10).status == HTTPStatus.OK
        stopped.result(10)

    assert len(recorder.batches) == 1
    with pytest.raises(ConnectionRefusedError):
        send_once(receiver)


def test_life_cycle_is_forgiving() -> None:
    """A receiver that never started can be stopped, and one that has stopped can be stopped again."""
    config = OtlpConfig(ProtocolsConfig(HttpConfig("localhost:0")))
    factory.create(config, Context("otlp", {}, lambda *_: None)).shutdown()
    receiver = start({})
    receiver.shutdown()
    receiver.shutdown()


def test_port_in_use(running: Running) -> None:
    """A port that somebody listens on is an error with the endpoint and the key that names it."""
    endpoint = running.sender.address.removeprefix("http://")

    with pytest.raises(ConfigError) as raised:
        start({}, endpoint)

    assert str(raised.value) == (
        f"receivers::otlp::protocols::http::endpoint: cannot listen on {endpoint}: address already in use; "
        "stop the program that listens there, or choose another port"
    )


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("localhost", 'endpoint "localhost": missing port in address; write host:port, such as localhost:4318'),
        ("[::1]", 'endpoint "[::1]": missing port in address; write host:port, such as localhost:4318'),
        ("::1:4318", 'endpoint "::1:4318": too many colons in address; write an IPv6 host as [::1]:4318'),
        ("localhost:http", 'endpoint "localhost:http": "http" is no port'),
        ("localhost:65536", 'endpoint "localhost:65536": "65536" is no port'),
    ],
)
def test_endpoint_that_is_none(endpoint: str, message: str) -> None:
    """An endpoint that nothing can listen on is refused in words."""
    with pytest.raises(ValueError, match="endpoint") as raised:
        HttpConfig(endpoint)

    assert str(raised.value) == message


@pytest.mark.parametrize("endpoint", [":0", "0.0.0.0:0", "[::]:0"])
def test_open_endpoint_is_warned_of(endpoint: str, caplog: pytest.LogCaptureFixture) -> None:
    """An endpoint that everybody can reach works, and is warned of."""
    try:
        receiver = start({}, endpoint)
    except ConfigError:
        pytest.skip("this machine has no IPv6")
    receiver.shutdown()

    assert f"{endpoint} is open to every host that can reach this one" in caplog.text


def test_settings_that_cannot_be() -> None:
    """A negative size and one path for two signals are refused; no size, and a path without its slash, are not."""
    with pytest.raises(ValueError, match="max_request_body_size must not be negative"):
        HttpConfig(max_request_body_size=-1)
    with pytest.raises(ValueError, match="two signals cannot be posted to one path"):
        HttpConfig(traces_url_path="all", logs_url_path="/all")

    assert HttpConfig(max_request_body_size=0).size_limit == 20 * 2**20
    assert HttpConfig(traces_url_path="mine").paths[Signal.TRACES] == "/mine"
