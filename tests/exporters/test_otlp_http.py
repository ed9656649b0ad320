"""The otlp_http exporter believes what servers answer, whatever that is."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from email.utils import formatdate
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from provtel_exporters.otlp import otlp_http, otlphttp
from provtel_exporters.otlp.config import AuthConfig, CompressionParams, OtlpHttpConfig
from provtel_exporters.otlp.http_exporter import OtlpHttpExporter
from provtel_exporters.otlp.packing import packer
from provtel_model.components import Context, Signal
from provtel_model.errors import DeliveryError, PermanentError, RetryableError
from provtel_model.otlp import from_json
from provtel_model.rpc_status import RpcStatus
from provtel_model.settings import Duration, Secret
from provtel_model.unpacking import unpack

from tests.collector.parts import batch
from tests.exporters.scripted import scripted

PROTO = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
OK = (200, PROTO, b"")


@contextmanager
def exporter(endpoint: str = "", reports: list[Any] | None = None, **keys: Any) -> Iterator[OtlpHttpExporter]:
    """Run an exporter."""
    context = Context("otlp_http", {}, lambda *report: None if reports is None else reports.append(report))
    made = otlp_http.create(OtlpHttpConfig(endpoint, **keys), context)
    made.start()
    try:
        yield made
    finally:
        made.shutdown()


def partial(rejected: int, message: str) -> bytes:
    """Return an answer that says what was rejected."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    return response.SerializeToString()


def test_request() -> None:
    """A request goes to the path of its signal, packed, with the headers of the configuration, on one connection."""
    sent = batch(3)
    with (
        scripted(OK) as server,
        exporter(f"{server.address}/base/", headers={"X-Tenant": Secret("a")}) as exporting,
    ):
        exporting.consume(sent)
        exporting.consume(batch(2, Signal.LOGS))

    first, second = server.asked
    assert (first.target, second.target) == ("/base/v1/traces", "/base/v1/logs")
    assert gzip.decompress(first.body) == sent.payload
    assert first.headers["content-encoding"] == "gzip"
    assert (first.headers["content-type"], first.headers["x-tenant"]) == ("application/x-protobuf", "a")
    assert server.connections == 2  # one for each signal


class Unreadable:
    """Credentials in a file that is away."""

    def start(self) -> None:
        """Need nothing."""

    def shutdown(self) -> None:
        """Release nothing."""

    def headers(self) -> Mapping[str, str]:
        """Fail."""
        raise FileNotFoundError("password")


def test_credentials_that_are_away_may_come_back() -> None:
    """A request without its credentials is not sent, and is tried again."""
    context = Context("otlp_http", {}, lambda *_: None, extensions={"a": Unreadable()})
    with scripted(OK) as server:
        made = otlp_http.create(OtlpHttpConfig(server.address, auth=AuthConfig("a")), context)
        made.start()
        with pytest.raises(RetryableError, match="cannot be read: password"):
            made.consume(batch(1))
        made.shutdown()
        assert not server.asked


@pytest.mark.parametrize(
    ("compression", "level"), [("gzip", -2), ("gzip", -1), ("zlib", -2), ("zstd", 42), ("zstd", -3)]
)
def test_levels_that_go_has_are_packed(compression: str, level: int) -> None:
    """Every level that is taken packs, those at its ends too."""
    pack = packer(compression, level)

    assert pack is not None
    assert unpack(pack(b"a" * 1000), compression, 1000) == b"a" * 1000


def test_request_in_json() -> None:
    """A request in JSON is one, and another level of packing is one too."""
    sent = batch(3)
    with (
        scripted((200, JSON, b'{"partialSuccess":{}}')) as server,
        exporter(server.address, encoding="json", compression_params=CompressionParams(9)) as exporting,
    ):
        exporting.consume(sent)

    assert from_json(Signal.TRACES, gzip.decompress(server.asked[0].body)) == sent.payload
    assert server.asked[0].headers["content-type"] == "application/json"


def test_addresses_of_signals() -> None:
    """An address of one signal is used as it is, and a signal without one is refused for good."""
    with scripted(OK) as server, exporter(traces_endpoint=f"{server.address}/mine?a=b") as exporting:
        exporting.consume(batch())
        with pytest.raises(PermanentError, match="no endpoint is configured for logs"):
            exporting.consume(batch(1, Signal.LOGS))

    assert server.asked[0].target == "/mine?a=b"


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "message", "wait"),
    [
        (429, {}, b"slow down", RetryableError, "answered 429: slow down", None),
        (429, {"Retry-After": "7"}, b"", RetryableError, "answered 429", 7.0),
        (502, {}, b"", RetryableError, "answered 502", None),
        (503, {**PROTO, "Retry-After": "3"}, RpcStatus(14, "full").serialised(), RetryableError, "503: full", 3.0),
        (503, {"Retry-After": "nonsense"}, b"", RetryableError, "answered 503", None),
        (504, {}, b"", RetryableError, "answered 504", None),
        (400, PROTO, RpcStatus(3, "malformed").serialised(), PermanentError, "answered 400: malformed", None),
        (400, JSON, b'{"code":3,"message":"malformed"}', PermanentError, "answered 400: malformed", None),
        (400, PROTO, b"\xff\xff", PermanentError, "answered 400", None),
        (400, JSON, b"[]", PermanentError, "answered 400", None),
        (401, {}, b"", PermanentError, "answered 401", None),
        (404, {"Content-Type": "text/html"}, b"<p>" * 1000, PermanentError, "answered 404: <p>", None),
        (301, {"Location": "/elsewhere"}, b"", PermanentError, "answered 301", None),
        (500, {}, b"", PermanentError, "answered 500", None),
        (200, PROTO, b"\xff\xff\xff", PermanentError, "answered 3 bytes that are no answer of OTLP", None),
        (200, JSON, b"welcome", PermanentError, "answered JSON that is no answer of OTLP", None),
    ],
)
def test_refusals(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    kind: type[DeliveryError],
    message: str,
    wait: float | None,
) -> None:
    """Each answer is for now or for good as the protocol says, with its reason and its wait."""
    with (
        scripted((status, headers, body)) as server,
        exporter(server.address) as exporting,
        pytest.raises(kind) as raised,
    ):
        exporting.consume(batch())

    assert message in str(raised.value)
    assert server.address in str(raised.value)
    assert len(str(raised.value)) < 700
    assert getattr(raised.value, "retry_after", None) == wait


def test_wait_until_a_date() -> None:
    """A date in Retry-After is a wait until then."""
    with (
        scripted((503, {"Retry-After": formatdate(time.time() + 60, usegmt=True)}, b"")) as server,
        exporter(server.address) as exporting,
        pytest.raises(RetryableError) as raised,
    ):
        exporting.consume(batch())

    assert raised.value.retry_after is not None
    assert 50 < raised.value.retry_after < 61


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        (PROTO, partial(2, "too old"), "rejected 2 of 3 spans: too old"),
        (JSON, b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}', "rejected 2 of 3 spans: too old"),
        (PROTO, partial(0, "careful"), "took everything, and warns: careful"),
    ],
)
def test_partial_success(headers: Mapping[str, str], body: bytes, told: str, caplog: pytest.LogCaptureFixture) -> None:
    """What was rejected is counted and told, and the batch counts as taken."""
    reports: list[Any] = []
    with scripted((200, headers, body)) as server, exporter(server.address, reports) as exporting:
        exporting.consume(batch(3))

    assert told in caplog.text
    assert reports == ([("exporter_rejected_spans", 2, {})] if "rejected" in told else [])
    assert len(server.asked) == 1


@pytest.mark.parametrize("answer", [(200, {}, b""), (200, {"Content-Type": "text/plain"}, b"fine"), (202, JSON, b"")])
def test_other_words_for_yes(answer: tuple[int, Mapping[str, str], bytes]) -> None:
    """A success in a form that says nothing of parts is a success."""
    with scripted(answer) as server, exporter(server.address) as exporting:
        exporting.consume(batch())


def test_server_that_hangs_up() -> None:
    """A connection that the server closed in the meantime is replaced, and one that it closes every time is told."""
    with scripted(OK, None, OK, None) as server, exporter(server.address) as exporting:
        exporting.consume(batch())
        exporting.consume(batch())
        assert (len(server.asked), server.connections) == (3, 2)
        with pytest.raises(RetryableError, match="does not answer"):
            exporting.consume(batch())


@pytest.mark.parametrize(
    ("keys", "connections"),
    [
        ({}, 1),
        ({"disable_keep_alives": True}, 3),
        ({"idle_conn_timeout": Duration(0.001)}, 3),
        ({"max_idle_conns": 1}, 1),
    ],
)
def test_connections_that_are_kept(keys: dict[str, Any], connections: int) -> None:
    """Connections are used again, unless the configuration says otherwise."""
    with scripted(OK) as server, exporter(server.address, **keys) as exporting:
        for _ in range(3):
            exporting.consume(batch())
            time.sleep(0.01)

    assert server.connections == connections


def test_server_that_is_not_there() -> None:
    """A server that nobody reaches, and one that says nothing, are tried again later."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with exporter(f"http://127.0.0.1:{port}", timeout=Duration(0.1)) as exporting:
            started = time.monotonic()
            with pytest.raises(RetryableError, match="does not answer: timed out"):
                exporting.consume(batch())
            assert time.monotonic() - started < 5
    with exporter(f"http://127.0.0.1:{port}") as exporting, pytest.raises(RetryableError, match="refused"):
        exporting.consume(batch())


def test_server_that_speaks_something_else() -> None:
    """An answer that is no HTTP is one to be tried again."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        exporter(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=Duration(5)) as exporting,
    ):

        def answer() -> None:
            connection, _ = listener.accept()
            with closing(connection):
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-nonsense\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(RetryableError, match="does not answer"):
            exporting.consume(batch())
        thread.join()


@pytest.mark.parametrize("by_setting", [True, False])
def test_proxy(monkeypatch: pytest.MonkeyPatch, *, by_setting: bool) -> None:
    """A proxy that the configuration or the environment names is asked instead, unless the host is excepted."""
    monkeypatch.setenv("no_proxy", "excepted.test")
    with scripted(OK) as proxy:
        keys: dict[str, Any] = {"proxy_url": proxy.address.replace("//", "//me:secret@")} if by_setting else {}
        if not by_setting:
            monkeypatch.setenv("http_proxy", proxy.address.replace("//", "//me:secret@"))
        with exporter("http://collector.test:4318", **keys) as exporting:
            exporting.consume(batch())
        with exporter("http://excepted.test:1") as exporting, pytest.raises(RetryableError):
            exporting.consume(batch())

    assert proxy.asked[0].target == "http://collector.test:4318/v1/traces"
    assert proxy.asked[0].headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "at least one endpoint must be specified"),
        ({"endpoint": "localhost:4318"}, 'endpoint: "localhost:4318" is no address'),
        ({"logs_endpoint": "ftp://x"}, 'logs_endpoint: "ftp://x" is no address'),
        ({"endpoint": "http://x:port"}, "is no address"),
    ],
)
def test_settings_that_cannot_be(keys: dict[str, Any], message: str) -> None:
    """Addresses that nothing could be posted to are refused."""
    with pytest.raises(ValueError, match=message):
        OtlpHttpConfig(**keys)


def test_its_older_name() -> None:
    """The name of before makes the same exporter."""
    assert (otlphttp.type, otlphttp.config, otlphttp.create) == ("otlphttp", otlp_http.config, otlp_http.create)
