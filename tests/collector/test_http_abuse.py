"""Clients of HTTP that are slow, greedy, many or strange: each is answered or ended, and nobody else is disturbed."""

from __future__ import annotations

import gzip
import re
import resource
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import cramjam
import lz4.frame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_collector.http.serving import Limits
from provtel_collector.receivers.otlp.config import HttpConfig
from provtel_collector.receivers.otlp.receiver import OtlpReceiver
from provtel_exporters.otlp.packing import packer
from provtel_model.components import Batch
from provtel_model.otlp import wire
from provtel_model.settings import Duration

from tests.collector.otlp_receivers import held, receiving
from tests.collector.parts import Recorder, batch, traces
from tests.memory import growth

QUICK = Limits(sweep=0.05)
HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"


def post(body: bytes, *headers: bytes) -> bytes:
    """Return a request as it is on the wire."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return HEAD + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


@contextmanager
def connected(receiver: OtlpReceiver) -> Iterator[socket.socket]:
    """Connect to a receiver."""
    host, port = receiver.addresses[0].removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
        yield connection


def all_of(connection: socket.socket) -> bytes:
    """Return everything up to the end of a connection."""
    said = b""
    while part := connection.recv(65536):
        said += part
    return said


def answers(connection: socket.socket, count: int) -> list[bytes]:
    """Return the status lines of as many answers."""
    said = b""
    while len(found := re.findall(rb"HTTP/1.1 (\d+ [^\r]+)\r\n", said)) < count:
        part = connection.recv(65536)
        assert part, said
        said += part
    return found


def works(receiver: OtlpReceiver) -> bool:
    """Return whether somebody else's request is taken."""
    with connected(receiver) as connection:
        connection.sendall(post(traces()))
        return answers(connection, 1) == [b"200 OK"]


@pytest.mark.parametrize(
    "begun",
    [b"", b"POST", HEAD, post(traces())[:-3]],
    ids=["nothing", "half a line", "half the headers", "half a body"],
)
def test_slow_client_is_ended(begun: bytes) -> None:
    """A client that does not bring its request in time is told so, and its connection ends."""
    config = HttpConfig("localhost:0", read_header_timeout=Duration(0.2), read_timeout=Duration(0.2))
    with receiving(Recorder(), http=config, limits=QUICK) as receiver, connected(receiver) as connection:
        connection.sendall(begun)
        started = time.monotonic()
        said = all_of(connection)

        assert said.startswith(b"HTTP/1.1 408 Request Timeout") if begun else said == b""
        assert time.monotonic() - started < 5
        assert works(receiver)


def trickle(connection: socket.socket, part: bytes, seconds: float) -> None:
    """Send a little, again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        connection.sendall(part)
        time.sleep(0.02)


def test_trickling_client_is_ended() -> None:
    """A client that brings a byte now and then does not keep its connection by that."""
    config = HttpConfig("localhost:0", read_header_timeout=Duration(0.3))
    with receiving(Recorder(), http=config, limits=QUICK) as receiver, connected(receiver) as connection:
        connection.sendall(HEAD)
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            trickle(connection, b"X", 10)


def test_much_at_once_buys_no_patience() -> None:
    """A client that sends much at once may not take hours for the last byte."""
    with receiving(Recorder(), http=HttpConfig("localhost:0")) as receiver, connected(receiver) as connection:
        connection.sendall(HEAD + b"Content-Length: 20000000\r\n\r\n" + bytes(19_000_000))
        server = receiver._server
        assert server is not None
        deadline = time.monotonic() + 10
        while server._held < 19_000_000 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [one.deadline < time.monotonic() + 1000 for one in server._connections] == [True]


def test_idle_connection_is_ended() -> None:
    """A connection that was useful once is closed when nobody uses it any more."""
    config = HttpConfig("localhost:0", idle_timeout=Duration(0.2))
    with receiving(Recorder(), http=config, limits=QUICK) as receiver, connected(receiver) as connection:
        connection.sendall(post(traces()))
        assert all_of(connection).startswith(b"HTTP/1.1 200 OK")


def test_too_many_connections() -> None:
    """Beyond the limit a client is told to come again, or not let in; when others have gone it is."""
    limits = Limits(connections=20, sweep=0.05)
    with receiving(Recorder(), http=HttpConfig("localhost:0"), limits=limits) as receiver:
        with ExitStack() as stack:
            for _ in range(20):
                first = stack.enter_context(connected(receiver))
                first.sendall(post(traces()))
                assert answers(first, 1) == [b"200 OK"]
            said = []
            for _ in range(500):
                with connected(receiver) as one:
                    said.append(all_of(one))
            assert all(b"503 Service Unavailable" in one and b"retry-after: 1" in one for one in said)
            first.sendall(post(traces()))
            assert answers(first, 1) == [b"200 OK"]
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with connected(receiver) as one:
                one.sendall(post(traces()))
                if answers(one, 1) == [b"200 OK"]:
                    return
        pytest.fail("nobody is let in any more")


def test_thousands_who_wait_to_be_refused() -> None:
    """Clients beyond the limit that do not even listen are cut off, and those within it go on."""
    limits = Limits(connections=5, sweep=0.05)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    try:
        with (
            receiving(Recorder(), http=HttpConfig("localhost:0"), limits=limits) as receiver,
            connected(receiver) as mine,
            ExitStack() as stack,
        ):
            mine.sendall(post(traces()))
            assert answers(mine, 1) == [b"200 OK"]
            for _ in range(min(10_000, hard // 2 - 500)):
                stack.enter_context(connected(receiver))
            mine.sendall(post(traces()))
            assert answers(mine, 1) == [b"200 OK"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_far_too_much_is_refused_before_it_is_sent() -> None:
    """Who announces 100 MB is told at once that it is too much."""
    with receiving(Recorder(), http=HttpConfig("localhost:0")) as receiver, connected(receiver) as connection:
        connection.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n" + bytes(1000))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
        assert works(receiver)


@pytest.mark.parametrize("chunked", [False, True])
def test_far_too_much_is_not_kept(*, chunked: bool) -> None:
    """Who sends 100 MB anyway gets the answer, can go on, and costs no memory."""
    part = bytes(2**20)
    with (
        growth() as grown,
        receiving(Recorder(), http=HttpConfig("localhost:0")) as receiver,
        connected(receiver) as connection,
    ):
        connection.sendall(HEAD + (b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 104857600"))
        connection.sendall(b"\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"100000\r\n" + part + b"\r\n" if chunked else part)
        connection.sendall(b"0\r\n\r\n" if chunked else b"")
        connection.sendall(post(traces()))
        time.sleep(0.1)
        assert answers(connection, 2) == [b"413 Request Entity Too Large", b"200 OK"]

    assert grown.mib < 80


def test_more_than_there_is_room_for() -> None:
    """When as much is held as may be, the next ones are told to come again, and later they are taken."""
    goes_on = threading.Event()

    def wait(_batch: Batch) -> None:
        assert goes_on.wait(10)

    recorder = Recorder(wait)
    body = traces(1000)
    limits = Limits(held=3 * len(body))
    with (
        receiving(recorder, http=HttpConfig("localhost:0"), limits=limits) as receiver,
        ExitStack() as stack,
    ):
        waiting = [stack.enter_context(connected(receiver)) for _ in range(3)]
        for connection in waiting:
            connection.sendall(post(body))
        deadline = time.monotonic() + 10
        while receiver._server is None or receiver._server._held < limits.held:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with connected(receiver) as late:
            late.sendall(post(body))
            said = late.recv(10_000)
            assert said.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1\r\n" in said
            goes_on.set()
            assert [answers(connection, 1) for connection in waiting] == [[b"200 OK"]] * 3
            late.sendall(post(body))
            assert answers(late, 1) == [b"200 OK"]
        assert held(receiver, 0, 0)


def test_room_for_what_is_allowed() -> None:
    """A request that is as large as the configuration allows is taken, whatever that is."""
    recorder = Recorder()
    body = traces() + wire.sized(15, bytes(150 * 2**20))
    config = HttpConfig("localhost:0", max_request_body_size=len(body))
    with receiving(recorder, http=config) as receiver, connected(receiver) as connection:
        connection.settimeout(60)
        connection.sendall(post(body))
        assert answers(connection, 1) == [b"200 OK"]
    assert [received.payload for received in recorder.batches] == [body]


BOMBS: dict[str, Any] = {
    "gzip": lambda content: gzip.compress(content, 9),
    "zlib": lambda content: zlib.compress(content, 9),
    "deflate": lambda content: zlib.compress(content, 9),
    "zstd": packer("zstd", 19),
    "lz4": lz4.frame.compress,
    "snappy": lambda content: bytes(cramjam.snappy.compress_raw(content)),
}


@pytest.mark.parametrize("packing", BOMBS)
def test_bomb(packing: str) -> None:
    """What would unpack to ten times the limit is refused as too large, and never lies in memory."""
    content = bytes(200 * 2**20)
    bomb = BOMBS[packing](content)
    del content
    with (
        growth() as grown,
        receiving(Recorder(), http=HttpConfig("localhost:0")) as receiver,
        connected(receiver) as connection,
    ):
        for _ in range(3):
            connection.sendall(post(bomb, b"Content-Encoding: " + packing.encode()))
            assert connection.recv(10_000).startswith(b"HTTP/1.1 413 ")

    assert grown.mib < 100


def test_endless_headers() -> None:
    """Headers that never end are refused when they are too long."""
    with receiving(Recorder(), http=HttpConfig("localhost:0")) as receiver, connected(receiver) as connection:
        connection.sendall(HEAD)
        for number in range(20):
            connection.sendall(b"X-%d: " % number + b"x" * 4000 + b"\r\n")
        assert all_of(connection).startswith(b"HTTP/1.1 431 ")
        assert works(receiver)


def test_requests_one_behind_the_other() -> None:
    """Requests that are sent without waiting for answers are answered in their order, refusals among them."""
    gone = post(traces()).replace(b"/v1/traces", b"/v1/nothing")
    with receiving(Recorder(), http=HttpConfig("localhost:0")) as receiver, connected(receiver) as connection:
        connection.sendall((post(traces()) + gone) * 50)
        lines = answers(connection, 100)

    assert lines == [b"200 OK", b"404 Not Found"] * 50


def test_client_that_never_reads() -> None:
    """Who sends and never reads is not read either, after a while; it costs no more memory than that."""
    recorder = Recorder()
    with receiving(recorder, http=HttpConfig("localhost:0")) as receiver, connected(receiver) as connection:
        connection.settimeout(1)
        request = post(b"x").replace(b"/v1/traces", b"/v1/tracks")
        with pytest.raises(TimeoutError):
            connection.sendall(request * 1_000_000)
        assert works(receiver)


def test_client_that_never_reads_is_ended() -> None:
    """Who leaves its answers unread for too long is cut off."""
    config = HttpConfig("localhost:0", write_timeout=Duration(0.2))
    with receiving(Recorder(), http=config, limits=QUICK) as receiver, connected(receiver) as connection:
        request = post(b"x").replace(b"/v1/traces", b"/v1/tracks")
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            connection.sendall(request * 1_000_000)


def test_one_request_a_connection() -> None:
    """Where connections are not to be kept, each is closed after its answer."""
    config = HttpConfig("localhost:0", keep_alives_enabled=False)
    with receiving(Recorder(), http=config) as receiver, connected(receiver) as connection:
        connection.sendall(post(traces()))
        assert b"connection: close\r\n" in all_of(connection)


def test_offers_to_speak_something_else() -> None:
    """An offer to go on in HTTP/2 is not taken up, and the request is answered."""
    upgrade = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"]
    with receiving(Recorder(), http=HttpConfig("localhost:0")) as receiver, connected(receiver) as connection:
        for _ in range(2):
            connection.sendall(post(traces(), *upgrade))
            assert answers(connection, 1) == [b"200 OK"]


def test_client_that_asks_first() -> None:
    """A client that waits to be told that its body is wanted is told, or is told that it is not."""
    with receiving(Recorder(), http=HttpConfig("localhost:0")) as receiver:
        request = post(traces(), b"Expect: 100-continue")
        with connected(receiver) as connection:
            head, empty, body = request.partition(b"\r\n\r\n")
            connection.sendall(head + empty)
            assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(body)
            assert answers(connection, 1) == [b"200 OK"]
        with connected(receiver) as connection:
            connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_client_that_only_stops_sending() -> None:
    """A client that closes its side after its request gets its answer, and the connection ends."""
    goes_on = threading.Event()

    def wait(_batch: Batch) -> None:
        assert goes_on.wait(10)

    with receiving(Recorder(wait), http=HttpConfig("localhost:0")) as receiver, connected(receiver) as connection:
        connection.sendall(post(traces()))
        connection.shutdown(socket.SHUT_WR)
        threading.Timer(0.1, goes_on.set).start()
        assert all_of(connection).startswith(b"HTTP/1.1 200 OK")


def test_client_that_is_gone_before_the_answer() -> None:
    """A request whose sender hung up is taken all the same, and nothing is left of it."""
    begun, goes_on = threading.Event(), threading.Event()

    def wait(_batch: Batch) -> None:
        begun.set()
        assert goes_on.wait(10)

    recorder = Recorder(wait)
    with receiving(recorder, http=HttpConfig("localhost:0")) as receiver:
        with connected(receiver) as connection:
            connection.sendall(post(traces()))
            assert begun.wait(10)
        goes_on.set()
        assert works(receiver)
        assert held(receiver, 0, 0)

    assert recorder.batches == [batch()] * 2


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[OtlpReceiver]:
    """Run one receiver for all examples."""
    with receiving(Recorder(), http=HttpConfig("localhost:0")) as receiver:
        yield receiver


PIECES = st.sampled_from(
    [
        b"POST /v1/traces HTTP/1.1\r\n",
        b"GET / HTTP/1.0\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Content-Type: application/x-protobuf\r\n",
        b"Content-Type: application/json\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: h2c\r\n",
        b"Expect: 100-continue\r\n",
        b"\r\n",
        b"5\r\nabcde\r\n",
        b"0\r\n\r\n",
        b"{}",
        traces(),
    ]
)


@settings(max_examples=150)
@given(st.lists(PIECES | st.binary(max_size=20), max_size=12))
def test_anything_on_the_line(fuzzed: OtlpReceiver, pieces: list[bytes]) -> None:
    """Whatever is sent, no answer says that we failed, and the next client is served."""
    with connected(fuzzed) as connection:
        connection.sendall(b"".join(pieces))
        connection.shutdown(socket.SHUT_WR)
        try:
            said = all_of(connection)
        except ConnectionResetError:
            said = b""

    assert b"HTTP/1.1 500" not in said
    assert works(fuzzed)
