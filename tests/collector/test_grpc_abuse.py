"""Clients of gRPC that are slow, greedy, many or strange: each is answered or ended, and nobody else is disturbed."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_collector.http.serving import Limits
from provtel_collector.receivers.otlp.config import (
    GrpcConfig,
    KeepaliveConfig,
    KeepalivePolicyConfig,
    KeepaliveServerConfig,
)
from provtel_collector.receivers.otlp.over_grpc import PATHS
from provtel_collector.receivers.otlp.receiver import OtlpReceiver
from provtel_exporters.otlp.packing import packer
from provtel_model.components import Batch, Signal
from provtel_model.http2 import (
    DEFAULT_WINDOW,
    HEADER_SIZE,
    PREFACE,
    Code,
    Flag,
    Kind,
    Setting,
    frame,
    literal_headers,
    reset,
    window_update,
)
from provtel_model.http2 import (
    settings as settings_frame,
)
from provtel_model.settings import Duration

from tests.collector.grpc_client import LIMIT, block, connected, grpc_receiver, message, works
from tests.collector.otlp_receivers import held
from tests.collector.parts import Recorder, batch, traces
from tests.memory import growth


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    """Run one receiver for many clients."""
    with grpc_receiver() as receiver:
        yield receiver


@pytest.mark.parametrize(
    ("body", "head", "status", "text"),
    [
        (message(traces()), {}, "0", None),
        (message(b""), {}, "0", None),
        (message(gzip.compress(traces(), mtime=0), packed=True), {"grpc_encoding": "gzip"}, "0", None),
        (message(traces()), {"grpc_encoding": "gzip"}, "0", None),
        (b"", {}, "3", "a unary call has one message, of the length that it says"),
        (b"\0\0\0\0\5abc", {}, "3", "a unary call has one message, of the length that it says"),
        (message(traces()) * 2, {}, "3", "a unary call has one message, of the length that it says"),
        (message(b"abc"), {}, "3", "these 3 bytes are no ExportTraceServiceRequest"),
        (message(b"abc", packed=True), {"grpc_encoding": "gzip"}, "3", None),
        (message(gzip.compress(traces(), mtime=0)[:-1], packed=True), {"grpc_encoding": "gzip"}, "3", None),
        (message(traces(), packed=True), {}, "13", "a packed message without grpc-encoding"),
        (message(traces()), {"grpc_encoding": "br"}, "12", None),
        (message(traces()), {":path": "/a.B/C"}, "12", "unknown service a.B or method C"),
    ],
)
def test_calls(receiver: OtlpReceiver, body: bytes, head: dict[str, str], status: str, text: str | None) -> None:
    """Each call has the status that it deserves, and the connection goes on."""
    with connected(receiver) as client:
        told = client.answer(client.call(body, block(**head)))
        assert told[":status"] == "200"
        assert told["grpc-status"] == status
        assert text in {None, told.get("grpc-message")}
        assert client.answer(client.call(message(traces())))["grpc-status"] == "0"


@pytest.mark.parametrize("head", [{"content_type": "application/json"}, {":method": "GET"}])
def test_requests_that_are_no_calls(receiver: OtlpReceiver, head: dict[str, str]) -> None:
    """What is HTTP/2 but not gRPC is told so in HTTP's words."""
    with connected(receiver) as client:
        assert client.answer(client.call(b"", block(**head)))[":status"] == "415"
        assert client.answer(client.call(message(traces())))["grpc-status"] == "0"


@pytest.mark.parametrize("packing", ["none", "gzip", "zstd", "snappy"])
def test_too_much(packing: str) -> None:
    """A message that is, or unpacks to, more than allowed is refused, and never lies in memory."""
    pack = packer(packing, 9, framed=True)
    content = bytes(LIMIT + 1 if pack is None else 200 * 2**20)
    body = message(content) if pack is None else message(pack(content), packed=True)
    del content
    with growth() as grown, grpc_receiver() as receiver, connected(receiver) as client:
        told = client.answer(client.call(body, block(grpc_encoding="identity" if pack is None else packing)))
        assert (told["grpc-status"], "max_recv_msg_size_mib" in told["grpc-message"]) == ("8", True)
        assert client.answer(client.call(message(traces())))["grpc-status"] == "0"

    assert grown.mib < 100


def test_fields_of_the_table(receiver: OtlpReceiver) -> None:
    """Headers that refer to what was sent before mean that, and no longer when the table has changed."""
    with connected(receiver) as client:
        first = block() + b"\x40\x01a\x01b"
        assert client.answer(client.call(message(traces()), first))["grpc-status"] == "0"
        method, scheme = b"\x83", b"\x86"
        rest = literal_headers([(b":path", PATHS[Signal.TRACES].encode()), (b"content-type", b"application/grpc")])
        for _ in range(2):
            assert client.answer(client.call(message(traces()), method + scheme + rest + b"\xbe"))["grpc-status"] == "0"
        for _ in range(2):
            assert client.answer(client.call(message(traces()), method + scheme + b"\x84"))[":status"] == "415"


CLOSED: list[tuple[str, bytes, Code]] = [
    ("no greeting", b"", Code.PROTOCOL_ERROR),
    ("a frame that is too long", (2**24 - 1).to_bytes(3, "big") + bytes(6), Code.FRAME_SIZE_ERROR),
    ("a long body frame", (2**16 + 1).to_bytes(3, "big") + bytes((0, 0, 0, 0, 0, 1)), Code.FRAME_SIZE_ERROR),
    ("a long frame of no request", (2**14 + 1).to_bytes(3, "big") + bytes((99, 0)) + bytes(4), Code.FRAME_SIZE_ERROR),
    ("an even stream", frame(Kind.HEADERS, Flag.END_HEADERS, 2, block()), Code.PROTOCOL_ERROR),
    ("stream 0", frame(Kind.HEADERS, Flag.END_HEADERS, 0, block()), Code.PROTOCOL_ERROR),
    ("data of no call", frame(Kind.DATA, 0, 1, b"x"), Code.PROTOCOL_ERROR),
    ("a continuation of nothing", frame(Kind.CONTINUATION, 4, 1, b"x"), Code.PROTOCOL_ERROR),
    ("a block that is interrupted", frame(Kind.HEADERS, 0, 1, block()) + frame(Kind.PING, 0, 0, bytes(8)), Code(1)),
    ("headers that are none", frame(Kind.HEADERS, Flag.END_HEADERS, 1, b"\xff" * 20), Code.COMPRESSION_ERROR),
    ("index 0", frame(Kind.HEADERS, Flag.END_HEADERS, 1, b"\x80"), Code.COMPRESSION_ERROR),
    ("padding only", frame(Kind.HEADERS, Flag.END_HEADERS | Flag.PADDED, 1, b"\xff"), Code.PROTOCOL_ERROR),
    ("a short ping", frame(Kind.PING, 0, 0, b"x"), Code.FRAME_SIZE_ERROR),
    ("short settings", frame(Kind.SETTINGS, 0, 0, b"x"), Code.FRAME_SIZE_ERROR),
    ("a short window", frame(Kind.WINDOW_UPDATE, 0, 0, b"x"), Code.FRAME_SIZE_ERROR),
    ("a promise", frame(Kind.PUSH_PROMISE, 0, 1, b"x"), Code.PROTOCOL_ERROR),
    ("too large a window", window_update(0, 2**31 - 1) * 2, Code.FLOW_CONTROL_ERROR),
    ("too large an initial window", settings_frame({Setting.INITIAL_WINDOW_SIZE: 2**32 - 1}), Code.FLOW_CONTROL_ERROR),
    ("pings without end", frame(Kind.PING, 0, 0, bytes(8)) * 2000, Code.ENHANCE_YOUR_CALM),
    ("settings without end", settings_frame({}) * 2000, Code.ENHANCE_YOUR_CALM),
    ("many settings in one frame", frame(Kind.SETTINGS, 0, 0, bytes(6) * 101), Code.ENHANCE_YOUR_CALM),
    ("unknown frames without end", frame(99, 0, 0, b"") * 2000, Code.ENHANCE_YOUR_CALM),
    (
        "continuations without end",
        frame(Kind.HEADERS, 0, 1, b"") + frame(Kind.CONTINUATION, 0, 1, b"") * 2000,
        Code.ENHANCE_YOUR_CALM,
    ),
    (
        "headers without end",
        frame(Kind.HEADERS, 0, 1, b"") + frame(Kind.CONTINUATION, 0, 1, bytes(16384)) * 10,
        Code.ENHANCE_YOUR_CALM,
    ),
    (
        "empty data without end",
        frame(Kind.HEADERS, Flag.END_HEADERS, 1, block()) + frame(Kind.DATA, 0, 1) * 3000 + frame(99, 0, 0),
        Code.ENHANCE_YOUR_CALM,
    ),
    (
        "a call that goes on after its end",
        frame(Kind.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 1, block()) + frame(Kind.DATA, 0, 1, b"x"),
        Code.STREAM_CLOSED,
    ),
    (
        "a bomb of headers",
        frame(
            Kind.HEADERS,
            Flag.END_HEADERS,
            1,
            b"\x40\x01a" + b"\x7f\xf1\x1e" + b"x" * 4080 + b"\xbe" * 8000,
        ),
        Code.COMPRESSION_ERROR,
    ),
]


@pytest.mark.parametrize(("data", "code"), [case[1:] for case in CLOSED], ids=[case[0] for case in CLOSED])
def test_connection_that_is_ended(receiver: OtlpReceiver, data: bytes, code: Code) -> None:
    """A client that breaks the rules, or costs more than it sends, is told why and let go, and no other with it."""
    with connected(receiver) as client:
        if not data:
            client.connection.close()
            host, port = receiver.addresses[0].removeprefix("grpc://").split(":")
            client.connection = socket.create_connection((host, int(port)), timeout=10)
            data = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        client.send(data)
        assert client.goaway()[0] is code
        client.connection.close()
    assert works(receiver)


def test_calls_that_are_taken_back(receiver: OtlpReceiver) -> None:
    """A client that takes back call after call is let go."""
    with connected(receiver) as client:
        calls = [
            frame(Kind.HEADERS, Flag.END_HEADERS, number, block()) + reset(number, Code.CANCEL)
            for number in range(1, 1001, 2)
        ]
        client.send(b"".join(calls))
        assert client.goaway() == (Code.ENHANCE_YOUR_CALM, "too many requests that were taken back")
    assert works(receiver)


def test_too_many_calls_at_once() -> None:
    """Calls beyond the limit of a connection are refused so that they may be sent again; the others are answered."""
    goes_on = threading.Event()

    def wait(_batch: Batch) -> None:
        assert goes_on.wait(10)

    with grpc_receiver(Recorder(wait), max_concurrent_streams=3) as receiver, connected(receiver) as client:
        first = [client.call(message(traces())) for _ in range(3)]
        assert client.answer(client.call(message(traces()))) == {"reset": "REFUSED_STREAM"}
        goes_on.set()
        statuses = sorted(client.answer(number)["grpc-status"] for number in first[-1:])
        assert statuses == ["0"]
        assert client.answer(client.call(message(traces())))["grpc-status"] == "0"


def test_call_that_is_taken_back_while_it_is_taken() -> None:
    """A call that is taken back while a worker has it is taken all the same, and the connection goes on."""
    begun, goes_on = threading.Event(), threading.Event()

    def wait(_batch: Batch) -> None:
        begun.set()
        assert goes_on.wait(10)

    recorder = Recorder(wait)
    with grpc_receiver(recorder) as receiver, connected(receiver) as client:
        client.send(reset(client.call(message(traces())), Code.CANCEL))
        assert begun.wait(10)
        time.sleep(0.05)
        goes_on.set()
        assert client.answer(client.call(message(traces())))["grpc-status"] == "0"
    assert recorder.batches == [batch()] * 2


def test_client_without_room_for_the_answer() -> None:
    """An answer waits until its client has room for it."""
    with grpc_receiver() as receiver, connected(receiver, {Setting.INITIAL_WINDOW_SIZE: 0}) as client:
        number = client.call(message(traces()))
        time.sleep(0.1)
        client.send(frame(Kind.PING, 0, 0, b"is there") + window_update(number, 5))
        seen = []
        for kind, flags, stream, _ in client.frames():
            seen.append((kind, stream))
            if kind == Kind.HEADERS and stream == number and flags & Flag.END_STREAM:
                break
        assert seen.index((Kind.PING, 0)) < seen.index((Kind.DATA, number))


def test_window_of_the_connection_runs_out() -> None:
    """After as many answers as the connection has room for, the next one waits for room."""
    count = DEFAULT_WINDOW // 5 + 10
    with grpc_receiver(max_concurrent_streams=1_000_000) as receiver, connected(receiver) as client:

        def read() -> int:
            ended = 0
            for kind, flags, _, _ in client.frames():
                ended += kind == Kind.HEADERS and bool(flags & Flag.END_STREAM)
                if ended == DEFAULT_WINDOW // 5:
                    client.send(window_update(0, 10_000))
                if ended == count:
                    break
            return ended

        found: list[int] = []
        reader = threading.Thread(target=lambda: found.append(read()))
        reader.start()
        body = message(b"")
        for start in range(0, count, 100):
            numbers = range(start, min(start + 100, count))
            client.send(
                b"".join(
                    frame(Kind.HEADERS, Flag.END_HEADERS, 2 * number + 1, block())
                    + frame(Kind.DATA, Flag.END_STREAM, 2 * number + 1, body)
                    for number in numbers
                )
            )
            time.sleep(0.005)
        reader.join(20)
        assert found == [count]


STALLED = {
    "connection": b"",
    "half a greeting": PREFACE[:10],
    "headers": PREFACE + settings_frame({}) + frame(Kind.HEADERS, Flag.END_HEADERS, 1, block()),
    "body": PREFACE
    + settings_frame({})
    + frame(Kind.HEADERS, Flag.END_HEADERS, 1, block())
    + frame(Kind.DATA, 0, 1, b"\0\0"),
    "half a frame": PREFACE + settings_frame({}) + frame(99, 0, 0, bytes(1000))[:-1],
    "half a header block": PREFACE + settings_frame({}) + frame(Kind.HEADERS, 0, 1, block()),
}


@pytest.mark.parametrize("begun", STALLED.values(), ids=STALLED)
def test_slow_client_is_ended(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not greet, or does not bring its call in time, is let go."""
    monkeypatch.setattr("provtel_collector.http.http2._START_SECONDS", 0.2)
    keeping = replace(GrpcConfig().keeping, body=0.2)
    monkeypatch.setattr(GrpcConfig, "keeping", keeping)
    with grpc_receiver() as receiver:
        host, port = receiver.addresses[0].removeprefix("grpc://").split(":")
        with closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
            connection.sendall(begun)
            started = time.monotonic()
            try:
                while connection.recv(65536):
                    pass
            except ConnectionResetError:
                pass
            assert time.monotonic() - started < 5
        assert works(receiver)


@pytest.mark.parametrize(
    "parts",
    [[frame(Kind.DATA, 0, 1, bytes(16_384))[:-1]], [frame(Kind.HEADERS, 0, 1, bytes(10_000))]],
    ids=["a frame", "a header block"],
)
def test_what_is_not_whole_is_counted(parts: list[bytes]) -> None:
    """The beginning of a frame or of a header block counts as held, and no longer when its client has gone."""
    with grpc_receiver() as receiver:
        with connected(receiver) as client:
            client.send(b"".join(parts))
            assert held(receiver, 10_000, 20_000)
        assert held(receiver, 0, 0)


def test_no_room_for_what_is_not_whole() -> None:
    """A client whose frames do not become whole is let go when there is no room for them."""
    with grpc_receiver(limits=Limits(held=10_000, sweep=0.05)) as receiver:
        with connected(receiver) as client:
            client.send(frame(Kind.DATA, 0, 1, bytes(16_384))[:-1])
            assert client.goaway() == (Code.ENHANCE_YOUR_CALM, "no room for what is not whole, try again")
        assert works(receiver)


def test_call_that_comes_byte_by_byte(receiver: OtlpReceiver) -> None:
    """A call is taken in whichever pieces it comes."""
    body = message(traces())
    data = frame(Kind.HEADERS, 0, 1, block()[:20]) + frame(Kind.CONTINUATION, Flag.END_HEADERS, 1, block()[20:])
    with connected(receiver) as client:
        client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data + frame(Kind.DATA, Flag.END_STREAM, 1, body):
            client.send(bytes((byte,)))
        assert client.answer(1)["grpc-status"] == "0"
    assert held(receiver, 0, 0)


def test_keepalive() -> None:
    """A silent client is asked whether it is there, and is let go when it does not answer."""
    kept = KeepaliveConfig(KeepaliveServerConfig(time=Duration(0.1), timeout=Duration(0.3)))
    with grpc_receiver(keepalive=kept) as receiver:
        with connected(receiver) as client:
            pings = [payload for kind, _, _, payload in client.frames() if kind == Kind.PING]
            assert len(pings) == 1
        with connected(receiver) as client:
            seen = 0
            for kind, _, _, payload in client.frames():
                if kind == Kind.PING:
                    seen += 1
                    client.send(frame(Kind.PING, Flag.ACK, 0, payload))
                if seen == 3:
                    break
            assert client.answer(client.call(message(traces())))["grpc-status"] == "0"


def test_client_that_asks_too_often() -> None:
    """A client that asks more often than the policy allows is sent away; without a policy it may."""
    policy = KeepaliveConfig(enforcement_policy=KeepalivePolicyConfig(Duration(60), permit_without_stream=True))
    ping = frame(Kind.PING, 0, 0, bytes(8))
    with grpc_receiver(keepalive=policy) as receiver, connected(receiver) as client:
        client.send(ping * 2)
        assert client.answer(client.call(message(traces())))["grpc-status"] == "0"
        client.send(ping * 4)
        assert client.goaway() == (Code.ENHANCE_YOUR_CALM, "too_many_pings")
    with grpc_receiver() as receiver, connected(receiver) as client:
        client.send(ping * 20)
        assert client.answer(client.call(message(traces())))["grpc-status"] == "0"


@pytest.mark.parametrize("keys", [{"max_connection_idle": Duration(0.2)}, {"max_connection_age": Duration(0.2)}])
def test_connections_come_to_an_end(keys: dict[str, Duration]) -> None:
    """A connection that nobody uses, or that is old, is ended in good order."""
    with (
        grpc_receiver(keepalive=KeepaliveConfig(KeepaliveServerConfig(**keys))) as receiver,
        connected(receiver) as client,
    ):
        assert client.answer(client.call(message(traces())))["grpc-status"] == "0"
        assert client.goaway() == (Code.NO_ERROR, "")


def test_too_many_connections() -> None:
    """Beyond the limit a client is told that there are too many."""
    with (
        grpc_receiver(limits=Limits(connections=2)) as receiver,
        connected(receiver) as one,
        connected(receiver) as two,
    ):
        for client in (one, two):
            assert client.answer(client.call(message(traces())))["grpc-status"] == "0"
        with connected(receiver) as three:
            assert three.goaway()[0] is Code.ENHANCE_YOUR_CALM


def test_shutdown_answers_what_was_asked() -> None:
    """A call that is being taken when the receiver stops is answered, and the client is told to go."""
    begun, goes_on = threading.Event(), threading.Event()

    def wait(_batch: Batch) -> None:
        begun.set()
        assert goes_on.wait(10)

    with grpc_receiver(Recorder(wait)) as receiver, connected(receiver) as client:
        number = client.call(message(traces()))
        assert begun.wait(10)
        stopping = threading.Thread(target=receiver.shutdown)
        stopping.start()
        kinds = []
        for kind, flags, stream, _ in client.frames():
            kinds.append(kind)
            if kind == Kind.GOAWAY:
                goes_on.set()
            if stream == number and flags & Flag.END_STREAM:
                break
        stopping.join(10)
        assert Kind.GOAWAY in kinds
        assert not stopping.is_alive()


def test_calls_that_cross_our_goodbye() -> None:
    """What was on its way when the receiver stopped is passed over, and the answers to what was taken still come."""
    begun, goes_on = threading.Event(), threading.Event()

    def wait(_batch: Batch) -> None:
        begun.set()
        assert goes_on.wait(10)

    recorder = Recorder(wait)
    with grpc_receiver(recorder) as receiver, connected(receiver) as client:
        number = client.call(message(traces()))
        assert begun.wait(10)
        stopping = threading.Thread(target=receiver.shutdown)
        stopping.start()
        assert next(code for kind, _, _, code in client.frames() if kind == Kind.GOAWAY)[:4] == number.to_bytes(
            4, "big"
        )
        crossing = client.call(message(traces()))
        client.send(window_update(crossing, 1) + reset(crossing, Code.CANCEL))
        client.send(frame(Kind.HEADERS, Flag.END_HEADERS, crossing + 2, block()))
        trailers = literal_headers([(b"a", b"b")])
        client.send(frame(Kind.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, crossing + 2, trailers))
        client.send(frame(Kind.PING, 0, 0, b"all read"))
        assert next(payload for kind, _, _, payload in client.frames() if kind == Kind.PING) == b"all read"
        goes_on.set()
        assert client.answer(number)["grpc-status"] == "0"
        stopping.join(10)
        assert not stopping.is_alive()
    assert recorder.batches == [batch()]


def test_last_of_equal_settings_counts() -> None:
    """A setting that is told several times in a frame is as it was told last."""
    with grpc_receiver() as receiver, connected(receiver, {Setting.INITIAL_WINDOW_SIZE: 0}) as client:
        number = client.call(message(traces()))
        told = [settings_frame({Setting.INITIAL_WINDOW_SIZE: size})[HEADER_SIZE:] for size in (70_000, 0, 5)]
        client.send(frame(Kind.SETTINGS, 0, 0, b"".join(told)))
        assert client.answer(number)["grpc-status"] == "0"


FRAMES = st.builds(
    frame,
    st.integers(0, 11),
    st.integers(0, 255),
    st.integers(0, 9),
    st.binary(max_size=40)
    | st.builds(bytes.__mul__, st.binary(min_size=1, max_size=12), st.integers(1000, 6000))
    | st.just(block())
    | st.just(message(traces()))
    | st.just(bytes(4))
    | st.just(bytes(8)),
)


@settings(max_examples=200)
@given(st.lists(FRAMES | st.binary(max_size=30), max_size=12))
def test_anything_on_the_line(receiver: OtlpReceiver, pieces: list[bytes]) -> None:
    """Whatever is sent, no call ends with a failure of ours, and the next client is served."""
    with connected(receiver) as client:
        client.send(b"".join(pieces))
        client.connection.shutdown(socket.SHUT_WR)
        for kind, _, _, payload in client.frames():
            if kind == Kind.HEADERS:
                told = {str(name): str(value) for name, value in client.decoder.decode(payload)}
                assert told.get("grpc-status") not in {"2", "13"} or "packed" in told["grpc-message"]
    assert works(receiver)
    assert held(receiver, 0, 0)


@settings(max_examples=200)
@given(
    body=st.binary(max_size=300) | st.binary(max_size=30).map(lambda noise: traces(2)[:-5] + noise),
    packing=st.sampled_from(["", "gzip", "zstd", "snappy", "deflate"]),
    whole=st.booleans(),
)
def test_any_message(receiver: OtlpReceiver, body: bytes, packing: str, *, whole: bool) -> None:
    """Whatever a call carries, it is taken or malformed; noise may also claim to unpack to too much."""
    pack = packer(packing, framed=True)
    content = pack(body) if pack is not None and whole else body
    with connected(receiver) as client:
        head = block(grpc_encoding=packing or "identity")
        told = client.answer(client.call(message(content, packed=bool(packing)), head))

    assert told["grpc-status"] in ({"0", "3"} if whole else {"0", "3", "8"})
