"""One connection of HTTP/2 to a gRPC server, for one unary call at a time.

A thread that exports waits for the answer anyway, so nothing is gained by mixing calls on a connection, and everything
is simpler: what comes in belongs to the call, or to the connection.
"""

from __future__ import annotations

import contextlib
import select
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hpack import Decoder, HPACKError
from provtel_model import http2
from provtel_model.http2 import Code, Flag, Http2Error, Kind, Setting

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

_READ: Final = 65_536
_FRAME_LIMIT: Final = 2**20
_ANSWER_LIMIT: Final = 2**20
_LAST_STREAM: Final = 2**31 - 3


class NotSentError(OSError):
    """The server said that it did not look at a call; another connection may be tried at once."""


@dataclass(slots=True)
class GrpcAnswer:
    """What a server answered.

    Args:
        headers: Headers and trailers, by names in lower case.
        data: The body.
    """

    headers: dict[str, str] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)


class GrpcConnection:
    """A connection that is open.

    Args:
        connected: The socket, by which TLS is spoken where it is to be.
        deadline: Until when to wait for the server's greeting.

    Raises:
        OSError: The server is none of HTTP/2, or says nothing.
    """

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket = connected
        self._decoder = Decoder(max_header_list_size=_READ)
        self._rest = b""
        self._last = -1
        self._window = http2.DEFAULT_WINDOW
        self._stream_window = 0
        self._their_window = http2.DEFAULT_WINDOW
        self._their_frame = http2.DEFAULT_FRAME
        self._answer: GrpcAnswer | None = None
        self._ended = False
        self._block = b""
        self._ends = False
        self.usable = True
        told = {Setting.ENABLE_PUSH: 0, Setting.MAX_FRAME_SIZE: _FRAME_LIMIT}
        self._send(http2.PREFACE + http2.settings(told), deadline)

    def call(self, head: bytes, message: bytes, deadline: float) -> GrpcAnswer:
        """Send a request, and return the answer when it is whole.

        Args:
            head: The header block of the request.
            message: Its body.
            deadline: Until when to wait, by the monotonic clock.

        Raises:
            NotSentError: The server did not look at it.
            OSError: The connection broke, or no answer came in time; the connection is of no use any more.
        """
        self._last += 2
        self._stream_window = self._their_window
        self._answer, self._ended = GrpcAnswer(), False
        try:
            self._send(http2.frame(Kind.HEADERS, Flag.END_HEADERS, self._last, head), deadline)
            self._send_body(message, deadline)
            while not self._ended:
                self._receive(deadline)
        except (Http2Error, HPACKError) as error:
            self.usable = False
            raise ConnectionError(f"the server does not speak HTTP/2 as it should: {error}") from error
        except OSError:
            self.usable = False
            raise
        self.usable = self.usable and self._last < _LAST_STREAM
        return self._answer

    def still_open(self) -> bool:
        """Return whether the server has left the connection open while nobody used it."""
        try:
            while self.usable and select.select([self._socket], [], [], 0)[0]:
                self._receive(time.monotonic() + 1)
        except (OSError, ValueError, Http2Error, HPACKError):
            self.usable = False
        return self.usable

    def close(self) -> None:
        """Close it."""
        self.usable = False
        with contextlib.suppress(OSError):
            self._socket.close()

    def _send(self, data: bytes, deadline: float) -> None:
        self._socket.settimeout(_left(deadline))
        self._socket.sendall(data)

    def _send_body(self, message: bytes, deadline: float) -> None:
        """Send as much as the server has room for, and the rest when it has."""
        sent, size = 0, len(message)
        while sent < size and not self._ended:
            room = min(self._window, self._stream_window)
            if room <= 0:
                self._receive(deadline)
                continue
            parts = []
            while sent < size and room > 0:
                part = message[sent : sent + min(room, self._their_frame)]
                sent += len(part)
                room -= len(part)
                self._window -= len(part)
                self._stream_window -= len(part)
                parts.append(http2.frame(Kind.DATA, Flag.END_STREAM if sent == size else 0, self._last, part))
            self._send(b"".join(parts), deadline)

    def _receive(self, deadline: float) -> None:
        self._socket.settimeout(_left(deadline))
        data = self._socket.recv(_READ)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        data = self._rest + data
        position = 0
        while len(data) - position >= http2.HEADER_SIZE:
            begin = position + http2.HEADER_SIZE
            length = int.from_bytes(data[position : position + 3], "big")
            if length > _FRAME_LIMIT:
                raise Http2Error(Code.FRAME_SIZE_ERROR, "a frame that is too long")
            if begin + length > len(data):
                break
            stream = int.from_bytes(data[position + 5 : begin], "big") & http2.LARGEST_WINDOW
            self._on_frame(data[position + 3], data[position + 4], stream, data[begin : begin + length], deadline)
            position = begin + length
        self._rest = data[position:]

    def _on_frame(self, kind: int, flags: int, stream: int, payload: bytes, deadline: float) -> None:
        if kind in {Kind.HEADERS, Kind.CONTINUATION}:
            self._on_headers(kind, flags, stream, payload)
        elif kind == Kind.DATA:
            self._on_data(flags, stream, payload, deadline)
        elif kind == Kind.WINDOW_UPDATE:
            if stream == 0:
                self._window += http2.word(payload)
            elif stream == self._last:
                self._stream_window += http2.word(payload)
        elif kind == Kind.SETTINGS and not flags & Flag.ACK:
            self._on_settings(payload, deadline)
        elif kind == Kind.PING and not flags & Flag.ACK:
            self._send(http2.frame(Kind.PING, Flag.ACK, 0, payload), deadline)
        elif kind == Kind.RST_STREAM and stream == self._last:
            self._on_reset(http2.word(payload))
        elif kind == Kind.GOAWAY:
            self._on_goaway(payload)

    def _on_headers(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == Kind.HEADERS:
            payload = http2.unpadded(flags, payload)
            self._ends = bool(flags & Flag.END_STREAM)
        self._block += payload
        if len(self._block) > _READ:
            raise Http2Error(Code.ENHANCE_YOUR_CALM, "headers that are too long")
        if not flags & Flag.END_HEADERS:
            return
        pairs = self._decoder.decode(self._block, raw=True)  # also those of a call that was given up
        self._block = b""
        if stream == self._last and self._answer is not None:
            for name, value in pairs:
                self._answer.headers[bytes(name).decode("latin-1")] = bytes(value).decode("latin-1")
            self._ended = self._ended or self._ends

    def _on_data(self, flags: int, stream: int, payload: bytes, deadline: float) -> None:
        if payload:
            self._send(http2.window_update(0, len(payload)), deadline)
        if stream != self._last or self._answer is None:
            return
        self._answer.data += http2.unpadded(flags & ~Flag.PRIORITY, payload)
        if len(self._answer.data) > _ANSWER_LIMIT:
            raise Http2Error(Code.ENHANCE_YOUR_CALM, "an answer that is too long")
        self._ended = self._ended or bool(flags & Flag.END_STREAM)

    def _on_settings(self, payload: bytes, deadline: float) -> None:
        for name, value in http2.read_settings(payload):
            if name == Setting.INITIAL_WINDOW_SIZE:
                self._stream_window += value - self._their_window
                self._their_window = value
            elif name == Setting.MAX_FRAME_SIZE:
                self._their_frame = min(max(value, http2.DEFAULT_FRAME), _FRAME_LIMIT)
        self._send(http2.frame(Kind.SETTINGS, Flag.ACK, 0), deadline)

    def _on_reset(self, code: int) -> None:
        if code == Code.NO_ERROR and self._answer is not None and self._answer.headers:
            self._ended = True  # it answered before it had read everything
            return
        if code == Code.REFUSED_STREAM:
            raise NotSentError("the server has too many calls on this connection")
        raise ConnectionResetError(f"the server took the call back (HTTP/2 error {code})")

    def _on_goaway(self, payload: bytes) -> None:
        self.usable = False
        last = int.from_bytes(payload[:4], "big") & http2.LARGEST_WINDOW
        if self._answer is None or self._ended:
            return
        if last < self._last:
            reason = payload[8:].decode(errors="replace")
            raise NotSentError(f"the server closes the connection{f': {reason}' if reason else ''}")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def headers_block(pairs: Mapping[str, str]) -> bytes:
    """Return the header block of a request."""
    return http2.literal_headers([(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs.items()])
