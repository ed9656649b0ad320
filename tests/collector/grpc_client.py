"""A client of gRPC that sends whatever it is told to, frame by frame, and a receiver for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import pytest
from hpack import Decoder
from provtel_collector.http.serving import Limits
from provtel_collector.receivers.otlp.config import (
    GrpcConfig,
)
from provtel_collector.receivers.otlp.over_grpc import PATHS
from provtel_collector.receivers.otlp.receiver import OtlpReceiver
from provtel_model.components import Signal
from provtel_model.http2 import (
    HEADER_SIZE,
    PREFACE,
    Code,
    Flag,
    Kind,
    Setting,
    frame,
    literal_headers,
)
from provtel_model.http2 import (
    settings as settings_frame,
)

from tests.collector.otlp_receivers import receiving
from tests.collector.parts import Recorder, traces

LIMIT = 4 * 2**20
HEADERS = {
    ":method": "POST",
    ":scheme": "http",
    ":path": PATHS[Signal.TRACES],
    ":authority": "localhost",
    "content-type": "application/grpc",
    "te": "trailers",
}


def block(**changed: str) -> bytes:
    """Return the header block of a call."""
    headers = {**HEADERS, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return literal_headers([(name.encode(), value.encode()) for name, value in headers.items()])


def message(content: bytes, *, packed: bool = False) -> bytes:
    """Return a message as gRPC frames it."""
    return bytes((packed,)) + len(content).to_bytes(4, "big") + content


class Raw:
    """A client that may do as it likes.

    Args:
        connection: Its connection; it has greeted the server.
        greeting: What it told of itself.
    """

    def __init__(self, connection: socket.socket, greeting: Mapping[Setting, int]) -> None:
        self.connection = connection
        self.decoder = Decoder()
        self.rest = b""
        self.last = -1
        self.send(PREFACE + settings_frame(dict(greeting)))

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.connection.sendall(data)

    def call(self, body: bytes, head: bytes | None = None) -> int:
        """Send a call, and return the number of its stream."""
        self.last += 2
        self.send(frame(Kind.HEADERS, Flag.END_HEADERS, self.last, block() if head is None else head))
        parts = [body[start : start + 16384] for start in range(0, len(body), 16384)] or [b""]
        for part in parts[:-1]:
            self.send(frame(Kind.DATA, 0, self.last, part))
        self.send(frame(Kind.DATA, Flag.END_STREAM, self.last, parts[-1]))
        return self.last

    def frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield what the server sends, up to the end of the connection."""
        while True:
            while len(self.rest) >= HEADER_SIZE:
                length = int.from_bytes(self.rest[:3], "big")
                if len(self.rest) < HEADER_SIZE + length:
                    break
                head, self.rest = self.rest[: HEADER_SIZE + length], self.rest[HEADER_SIZE + length :]
                yield head[3], head[4], int.from_bytes(head[5:9], "big"), head[HEADER_SIZE:]
            try:
                part = self.connection.recv(65536)
            except ConnectionResetError:
                return
            if not part:
                return
            self.rest += part

    def answer(self, stream: int) -> dict[str, str]:
        """Return headers and trailers of the answer on a stream."""
        told: dict[str, str] = {}
        for kind, flags, number, payload in self.frames():
            assert kind != Kind.GOAWAY, payload
            if kind == Kind.HEADERS:
                decoded = self.decoder.decode(payload)
                if number == stream:
                    told.update((str(name), str(value)) for name, value in decoded)
                    if flags & Flag.END_STREAM:
                        return told
            if kind == Kind.RST_STREAM and number == stream:
                return {"reset": Code(int.from_bytes(payload, "big")).name}
        pytest.fail("the connection ended")

    def goaway(self) -> tuple[Code, str]:
        """Return why the server ends the connection, which it does."""
        for kind, _, _, payload in self.frames():
            if kind == Kind.GOAWAY:
                found = Code(int.from_bytes(payload[4:8], "big")), payload[8:].decode()
                assert all(kind != Kind.DATA for kind, *_ in self.frames())
                return found
        pytest.fail("the connection ended without a word")


@contextmanager
def connected(receiver: OtlpReceiver, greeting: Mapping[Setting, int] | None = None) -> Iterator[Raw]:
    """Connect to a receiver."""
    host, port = receiver.addresses[0].removeprefix("grpc://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
        yield Raw(connection, greeting or {})


@contextmanager
def grpc_receiver(recorder: Recorder | None = None, **keys: Any) -> Iterator[OtlpReceiver]:
    """Run a receiver of gRPC that looks often at its connections."""
    limits = keys.pop("limits", Limits(sweep=0.05))
    with receiving(recorder or Recorder(), grpc=GrpcConfig("localhost:0", **keys), limits=limits) as receiver:
        yield receiver


def works(receiver: OtlpReceiver) -> bool:
    """Return whether somebody else's call is taken."""
    with connected(receiver) as client:
        return client.answer(client.call(message(traces())))["grpc-status"] == "0"
