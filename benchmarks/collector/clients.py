"""The least that a client of OTLP can be: bytes made beforehand, one request at a time on each connection."""

from __future__ import annotations

import socket
import struct
from typing import Any, Final, Protocol

import hpack

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_TAKEN: Final = b"HTTP/1.1 200"
_FRAME_LIMIT: Final = 16384
_HEAD: Final = 9
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY, _MORE = 0, 1, 3, 4, 6, 7, 8
_INITIAL_WINDOW: Final = 4
_WINDOW: Final = 65535
_OUR_WINDOW: Final = 2**24


class RefusedError(Exception):
    """A request was not taken."""


class Client(Protocol):
    """One connection."""

    socket: socket.socket

    def begin(self) -> None:
        """Have the next request to send."""

    def outgoing(self) -> memoryview:
        """Return what may be sent now; nothing where all is sent, or where the server must speak first."""

    def sent(self, count: int) -> None:
        """Know how much of it was."""

    def incoming(self, data: bytes) -> bool:
        """Take what came; say whether the answer is complete.

        Raises:
            RefusedError: The request was not taken.
        """


class HttpClient:
    """OTLP over HTTP/1.1.

    Args:
        port: Of this machine.
        payload: What each request holds.
    """

    def __init__(self, port: int, payload: bytes) -> None:
        self.socket = _connected(port)
        head = (
            f"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-protobuf\r\n"
            f"Content-Length: {len(payload)}\r\n\r\n"
        )
        self._request = memoryview(head.encode() + payload)
        self._rest = self._request[:0]
        self._received = b""

    def begin(self) -> None:
        """Have the next request to send."""
        self._rest = self._request

    def outgoing(self) -> memoryview:
        """Return what is not yet sent."""
        return self._rest

    def sent(self, count: int) -> None:
        """Know how much of it was."""
        self._rest = self._rest[count:]

    def incoming(self, data: bytes) -> bool:
        """Take what came; say whether the answer is complete."""
        self._received += data
        head, end, body = self._received.partition(_END)
        if not end:
            return False
        if not head.startswith(_TAKEN):
            raise RefusedError(head.decode(errors="replace"))
        length = next(
            (int(line[len(_LENGTH) :]) for line in head.lower().split(b"\r\n") if line.startswith(_LENGTH)), 0
        )
        if len(body) < length:
            return False
        self._received = body[length:]
        return True


class GrpcClient:
    """OTLP over gRPC: one call at a time.

    Args:
        port: Of this machine.
        payload: What each request holds.
    """

    def __init__(self, port: int, payload: bytes) -> None:
        self.socket = _connected(port)
        self._message = memoryview(struct.pack(">BI", 0, len(payload)) + payload)
        self._decoder = hpack.Decoder()
        self._head = _headers(port)
        self._stream = -1
        self._unsent = self._message[:0]
        self._initial_window = _WINDOW
        self._window = _WINDOW
        self._stream_window = 0
        self._received = b""
        settings = struct.pack(">HI", _INITIAL_WINDOW, _OUR_WINDOW)
        self._ready = memoryview(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, settings))

    def begin(self) -> None:
        """Have the next call to send."""
        self._stream += 2
        self._unsent = self._message
        self._stream_window = self._initial_window
        self._add(_frame(_HEADERS, 4, self._stream, self._head))

    def outgoing(self) -> memoryview:
        """Return what may be sent now, as far as the server's windows go."""
        if not self._ready and self._unsent:
            size = min(len(self._unsent), self._window, self._stream_window, _FRAME_LIMIT)
            if size > 0:
                part, self._unsent = self._unsent[:size], self._unsent[size:]
                self._window -= size
                self._stream_window -= size
                self._add(_frame(_DATA, 0 if self._unsent else 1, self._stream, bytes(part)))
        return self._ready

    def sent(self, count: int) -> None:
        """Know how much of it was."""
        self._ready = self._ready[count:]

    def incoming(self, data: bytes) -> bool:
        """Take what came; say whether the call has ended."""
        self._received += data
        ended = False
        while len(self._received) >= _HEAD:
            length = int.from_bytes(self._received[:3], "big")
            if len(self._received) < _HEAD + length:
                break
            kind, flags = self._received[3], self._received[4]
            stream = int.from_bytes(self._received[5:_HEAD], "big")
            body = self._received[_HEAD : _HEAD + length]
            self._received = self._received[_HEAD + length :]
            ended |= self._take(kind, flags, stream, body)
        return ended

    def _take(self, kind: int, flags: int, stream: int, body: bytes) -> bool:
        if kind == _HEADERS:
            fields: dict[Any, Any] = dict(self._decoder.decode(body))
            if fields.get("grpc-status", "0") != "0" or fields.get(":status", "200") != "200":
                raise RefusedError(str(fields))
            return bool(flags & 1)
        if kind == _SETTINGS and not flags & 1:
            self._take_settings(body)
        elif kind == _PING and not flags & 1:
            self._add(_frame(_PING, 1, 0, body))
        elif kind == _MORE:
            more = int.from_bytes(body, "big")
            if stream:
                self._stream_window += more if stream == self._stream else 0
            else:
                self._window += more
        elif kind in {_RESET, _GO_AWAY}:
            raise RefusedError(f"frame {kind}: {body!r}")
        return False

    def _take_settings(self, body: bytes) -> None:
        for key, value in struct.iter_unpack(">HI", body):
            if key == _INITIAL_WINDOW:
                self._stream_window += value - self._initial_window
                self._initial_window = value
        self._add(_frame(_SETTINGS, 1, 0, b""))

    def _add(self, data: bytes) -> None:
        self._ready = memoryview(bytes(self._ready) + data)


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setblocking(False)  # noqa: FBT003  # the name says it
    return connection


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body


def _headers(port: int) -> bytes:
    """Return the headers of a call, none of which enters the table, so that each call has the same bytes."""

    def text(value: bytes) -> bytes:
        return bytes((len(value),)) + value

    path = b"/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    fields = (
        b"\x83\x86",  # :method POST, :scheme http
        b"\x04" + text(path),
        b"\x01" + text(f"127.0.0.1:{port}".encode()),
        b"\x0f\x10" + text(b"application/grpc"),
        b"\x00" + text(b"te") + text(b"trailers"),
    )
    return b"".join(fields)
