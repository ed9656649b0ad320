"""HTTP/2 as far as a server of unary gRPC needs it: a request has one body, its answer one message, nothing is pushed.

The parts of RFC 9113 by which a client could cost more than it sends are bounded: streams, resets, pings and settings,
header blocks, bodies, and time.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from hpack import Decoder, HPACKError
from provtel_model import http2 as frames
from provtel_model.http2 import Code, Flag, Http2Error, Kind, Setting

from provtel_collector.http.rules import check_frame, check_length, check_setting, checked_headers
from provtel_collector.http.streams import Response, Stream

if TYPE_CHECKING:
    from provtel_collector.http.serving import Server
    from provtel_collector.http.streams import Headers, Keeping, StreamHandler

_log = logging.getLogger(__name__)

_STREAM_WINDOW: Final = 2**20
_WINDOW: Final = 2**23
_FRAME_LIMIT: Final = 64 * 1024
# Frames that may be longer than every peer's may; what all others say is short.
_LONG: Final = frozenset({Kind.DATA, Kind.HEADERS, Kind.CONTINUATION})
_HEAD_LIMIT: Final = 64 * 1024
_CACHED_HEADS: Final = 64
_NOISE_LIMIT: Final = 1000
_RESET_LIMIT: Final = 200
_SETTINGS_LIMIT: Final = 100
_FORGIVEN: Final = 2
_FORGIVEN_STREAMS: Final = 1000
_START_SECONDS: Final = 10.0
_UNREAD_SECONDS: Final = 30.0
_LINGER_SECONDS: Final = 2.0
_BYTES_A_SECOND: Final = 1024
# What neither changes the table of headers nor goes on in the next byte: a field that the table has.
_INDEXED: Final = bytes(range(0x81, 0xFF))


class Http2Connection(asyncio.Protocol):
    """One connection with many requests at once.

    Args:
        server: Where it belongs.
        handler: What answers.
        keeping: How long the client is waited for.
    """

    def __init__(self, server: Server, handler: StreamHandler, keeping: Keeping) -> None:
        self._server = server
        self._handler = handler
        self._keeping = keeping
        self._transport: asyncio.Transport | None = None
        self._decoder = Decoder(max_header_list_size=_HEAD_LIMIT)
        self._heads: dict[bytes, Headers] = {}
        self._rest = bytearray()
        self._whole = 0
        self._kept = 0
        self._begun = False
        self._open: dict[int, Stream] = {}
        self._reset: set[int] = set()
        self._forgiven: dict[int, None] = {}
        self._last = 0
        self._block: tuple[int, int, list[bytes]] | None = None
        self._incomplete = 0
        self._unacknowledged = 0
        self._window = frames.DEFAULT_WINDOW
        self._their_window = frames.DEFAULT_WINDOW
        self._unsent: list[tuple[int, Response]] = []
        self._noise = 0
        self._resets = 0
        self._pinged = False
        self._strikes = 0
        self._asked = -math.inf
        self._closing = False
        self._unread = False
        self._said = False
        self._old = math.inf
        self._end = math.inf
        self.deadline = math.inf

    # The event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._write(_greeting(self._keeping.streams))
        if not self._server.opened(self):
            self._goaway(Code.ENHANCE_YOUR_CALM, "too many connections, try again")
            return
        now = time.monotonic()
        self._old = now + self._keeping.age if self._keeping.age else math.inf
        self.deadline = now + _START_SECONDS

    def connection_lost(self, _error: Exception | None) -> None:
        """End; what is being taken is taken, and nobody is told."""
        self._transport = None
        self._server.closed(self)
        self._server.release(self._kept)
        self._kept = 0
        for number, stream in self._open.items():
            if not stream.taken and number not in self._reset:
                self._server.release(stream.size)
        self._open.clear()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._said or (self._closing and not self._open):
            return
        try:
            if self._rest:
                data = self._completed(data)
            rest = self._read(data) if data else b""
            if rest:
                self._keep_rest(rest)
        except Http2Error as error:
            self._goaway(error.code, str(error))

    def pause_writing(self) -> None:
        """Read nothing more from a client that does not read its answers, and wait for it only for a while."""
        self._unread = True
        self.deadline = time.monotonic() + _UNREAD_SECONDS
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self._unread = False
        self._rested()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def expire(self) -> None:
        """Close, ask, or wait on, as it stands."""
        now = time.monotonic()
        if not self._begun or self._pinged or self._closing or self._unread:
            self.abort()
        elif self._incomplete:
            self._goaway(Code.ENHANCE_YOUR_CALM, "a request did not come in time")
        elif now >= self._old or (self._keeping.idle and not self._open):
            self.finish()
            self._end = self.deadline = now + (self._keeping.grace or math.inf)
        else:
            self._pinged = True
            self._write(frames.frame(Kind.PING, 0, 0, bytes(8)))
            self.deadline = now + self._keeping.ping_timeout

    def finish(self) -> None:
        """Take no more requests, answer those that are there, and close."""
        if not self._closing:
            self._goaway(Code.NO_ERROR, "", wait=True)

    def abort(self) -> None:
        """Close now."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    # Frames

    def _completed(self, data: bytes) -> bytes:
        """Return what came with the beginning of its frame, or nothing while that is not whole."""
        size = len(self._rest)
        if size + len(data) < self._whole:
            self._keep(len(data))
            self._rest += data
            return b""
        data = bytes(self._rest) + data
        self._rest.clear()
        self._let_go(size)
        return data

    def _keep_rest(self, rest: bytes) -> None:
        self._keep(len(rest), first=True)
        self._rest += rest

    def _keep(self, size: int, *, first: bool = False) -> None:
        """Count a part of what is not whole yet, for which the client has as much time as for a body."""
        if not self._server.hold_part(size):
            raise Http2Error(Code.ENHANCE_YOUR_CALM, "no room for what is not whole, try again")
        self._kept += size
        if first:
            self._begin_body()
        self._prolong(size)

    def _let_go(self, size: int) -> None:
        """Count no longer what is whole now."""
        self._server.release(size)
        self._kept -= size
        self._end_body()

    def _read(self, data: bytes) -> bytes:
        """Do what the whole frames say, and return what is left."""
        position, size = 0, len(data)
        self._whole = frames.HEADER_SIZE
        if not self._begun:
            if not frames.PREFACE.startswith(data[: len(frames.PREFACE)]):
                raise Http2Error(Code.PROTOCOL_ERROR, "this is no HTTP/2")
            if size < len(frames.PREFACE):
                self._whole = len(frames.PREFACE)
                return data
            self._begun = True
            position = len(frames.PREFACE)
            self._rested()
        while size - position >= frames.HEADER_SIZE and self._transport is not None:
            length = int.from_bytes(data[position : position + 3], "big")
            if length > frames.DEFAULT_FRAME and (length > _FRAME_LIMIT or data[position + 3] not in _LONG):
                raise Http2Error(Code.FRAME_SIZE_ERROR, "a frame that is too long")
            begin = position + frames.HEADER_SIZE
            if begin + length > size:
                self._whole = frames.HEADER_SIZE + length
                break
            stream = int.from_bytes(data[position + 5 : begin], "big") & frames.LARGEST_WINDOW
            self._on_frame(data[position + 3], data[position + 4], stream, data[begin : begin + length])
            position = begin + length
        return data[position:] if position else data

    def _on_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block is not None and (kind != Kind.CONTINUATION or number != self._block[0]):
            raise Http2Error(Code.PROTOCOL_ERROR, "a header block without its end")
        check_frame(kind, flags, number, payload)
        if kind == Kind.DATA:
            self._on_data(flags, number, payload)
        elif kind == Kind.HEADERS:
            self._on_headers(flags, number, frames.unpadded(flags, payload))
        elif kind == Kind.CONTINUATION:
            self._on_continuation(flags, payload)
        else:
            self._on_control(kind, flags, number, payload)

    def _on_control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        self._note_noise()
        if kind == Kind.WINDOW_UPDATE:
            self._on_window_update(number, frames.word(payload))
        elif kind == Kind.SETTINGS and not flags & Flag.ACK:
            self._on_settings(payload)
        elif kind == Kind.PING:
            self._on_ping(flags, payload)
        elif kind == Kind.RST_STREAM:
            self._on_reset(number)
        elif kind == Kind.PUSH_PROMISE:
            raise Http2Error(Code.PROTOCOL_ERROR, "a client pushes nothing")

    def _note_noise(self) -> None:
        self._noise += 1
        if self._noise > _NOISE_LIMIT:
            raise Http2Error(Code.ENHANCE_YOUR_CALM, "too many frames that bring nothing")

    def _on_settings(self, payload: bytes) -> None:
        told = frames.read_settings(payload)
        if len(told) > _SETTINGS_LIMIT:
            raise Http2Error(Code.ENHANCE_YOUR_CALM, "too many settings")
        for name, value in told:
            check_setting(name, value)
        window = dict(told).get(Setting.INITIAL_WINDOW_SIZE, self._their_window)
        for stream in self._open.values():
            stream.window += window - self._their_window
        self._their_window = window
        self._write(frames.frame(Kind.SETTINGS, Flag.ACK, 0))
        self._send_unsent()

    def _on_ping(self, flags: int, payload: bytes) -> None:
        if flags & Flag.ACK:
            self._pinged = False
            self._rested()
        else:
            self._note_question()
            self._write(frames.frame(Kind.PING, Flag.ACK, 0, payload))

    def _note_question(self) -> None:
        """Send a client away that asks too often whether we are there; twice is forgiven, as gRPC's own servers do."""
        now = time.monotonic()
        too_soon = now - self._asked < self._keeping.their_ping
        self._asked = now
        if too_soon or not (self._keeping.their_ping_when_idle or self._open):
            self._strikes += 1
        if self._strikes > _FORGIVEN:
            raise Http2Error(Code.ENHANCE_YOUR_CALM, "too_many_pings")

    def _on_window_update(self, number: int, increment: int) -> None:
        if increment == 0 or (number > self._last and not self._closing):
            raise Http2Error(Code.PROTOCOL_ERROR, "room for nothing")
        stream = self._open.get(number)
        if number == 0:
            self._window += increment
        elif stream is not None:
            stream.window += increment
        if self._window > frames.LARGEST_WINDOW:
            raise Http2Error(Code.FLOW_CONTROL_ERROR, "a window that is too large")
        if stream is not None and stream.window > frames.LARGEST_WINDOW:
            self._write(frames.reset(number, Code.FLOW_CONTROL_ERROR))
            self._take_back(number, stream)
        self._send_unsent()

    def _on_reset(self, number: int) -> None:
        stream = self._open.get(number)
        if number > self._last and not self._closing:
            raise Http2Error(Code.PROTOCOL_ERROR, "the end of what has not begun")
        if stream is None:
            return
        self._resets += 1
        if self._resets > _RESET_LIMIT:
            raise Http2Error(Code.ENHANCE_YOUR_CALM, "too many requests that were taken back")
        self._take_back(number, stream)

    def _take_back(self, number: int, stream: Stream) -> None:
        """Forget a request that ends before its answer."""
        if stream.taken and not any(number == unsent for unsent, _ in self._unsent):
            self._reset.add(number)  # its work goes on, and it counts until that is done
        else:
            self._drop(number)

    # Requests

    def _on_headers(self, flags: int, number: int, block: bytes) -> None:
        if flags & Flag.END_HEADERS:
            self._on_head(flags, number, block)
        else:
            self._keep(len(block), first=True)
            self._block = (number, flags, [block])

    def _on_continuation(self, flags: int, part: bytes) -> None:
        if self._block is None:
            raise Http2Error(Code.PROTOCOL_ERROR, "a continuation of nothing")
        number, first, parts = self._block
        parts.append(part)
        size = sum(map(len, parts))
        if size > _HEAD_LIMIT or len(parts) > _HEAD_LIMIT // 1024:
            raise Http2Error(Code.ENHANCE_YOUR_CALM, "headers that are too long")
        self._keep(len(part))
        if flags & Flag.END_HEADERS:
            self._block = None
            self._let_go(size)
            self._on_head(first, number, b"".join(parts))

    def _on_head(self, flags: int, number: int, block: bytes) -> None:
        if self._closing and number > self._last:
            self._pass_over(block)
            return
        known = self._open.get(number)
        headers = self._headers(block, trailers=known is not None)
        if known is not None:
            if not flags & Flag.END_STREAM:
                raise Http2Error(Code.PROTOCOL_ERROR, "trailers that are not the end")
            self._on_end(number, known)
            return
        if number <= self._last or number % 2 == 0:
            raise Http2Error(Code.PROTOCOL_ERROR, "the number of a stream goes up and is odd")
        self._last = number
        if len(self._open) >= self._keeping.streams:
            self._write(frames.reset(number, Code.REFUSED_STREAM))
            self._forgive(number)
            return
        stream = self._open[number] = Stream(headers, self._their_window)
        self._begin_body()
        refusal = self._handler.admit(headers)
        if refusal is not None:
            self._refuse(number, refusal, ended=bool(flags & Flag.END_STREAM))
        elif flags & Flag.END_STREAM:
            self._on_end(number, stream)

    def _pass_over(self, block: bytes) -> None:
        """Look at no request that crossed our goodbye: its sender knows from that to send it elsewhere."""
        self._note_noise()
        self._decoded(block)
        self._heads.clear()

    def _headers(self, block: bytes, *, trailers: bool) -> Headers:
        known = self._heads.get(block)
        if known is not None and not trailers:
            return known
        headers = checked_headers(self._decoded(block), trailers=trailers)
        if block.translate(None, _INDEXED):
            self._heads.clear()  # the table may have changed, and with it what a block means
        elif len(self._heads) < _CACHED_HEADS and not trailers:
            self._heads[block] = headers
        return headers

    def _decoded(self, block: bytes) -> list[tuple[bytes, bytes]]:
        try:
            pairs = self._decoder.decode(block, raw=True)
        except HPACKError as error:
            raise Http2Error(Code.COMPRESSION_ERROR, f"headers that cannot be read: {error}") from None
        return [(bytes(name), bytes(value)) for name, value in pairs]

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        self._unacknowledged += size
        if self._unacknowledged > _WINDOW // 2:
            self._write(frames.window_update(0, self._unacknowledged))
            self._unacknowledged = 0
        stream = self._open.get(number)
        if stream is None or stream.received:
            if number > self._last and not self._closing:
                raise Http2Error(Code.PROTOCOL_ERROR, "data of no request")
            if number not in self._forgiven and not self._closing:
                raise Http2Error(Code.STREAM_CLOSED, "data after the end of a request")
            return
        content = frames.unpadded(flags & ~Flag.PRIORITY, payload)
        if not content:
            self._noise += 1
        self._take_in(number, stream, content, size)
        if flags & Flag.END_STREAM and number in self._open:
            self._on_end(number, stream)

    def _take_in(self, number: int, stream: Stream, content: bytes, size: int) -> None:
        """Keep a part of a body, and give leave to send as much again."""
        if stream.size + len(content) > self._handler.limit:
            self._refuse(number, self._handler.too_large(stream.headers))
            return
        if not self._server.hold(len(content)):
            self._refuse(number, self._handler.overloaded(stream.headers))
            return
        self._prolong(len(content))
        stream.size += len(content)
        stream.parts.append(content)
        stream.unacknowledged += size
        if stream.unacknowledged > _STREAM_WINDOW // 2:
            self._write(frames.window_update(number, stream.unacknowledged))
            stream.unacknowledged = 0

    def _on_end(self, number: int, stream: Stream) -> None:
        """Have a whole request answered."""
        if stream.received:
            raise Http2Error(Code.STREAM_CLOSED, "a request goes on after its end")
        check_length(stream.headers, stream.size)
        stream.received = stream.taken = True
        self._noise = 0
        self._end_body()
        body = stream.parts[0] if len(stream.parts) == 1 else b"".join(stream.parts)
        stream.parts.clear()
        self._handler.take(stream.headers, body, partial(self._server.from_thread, self._taken, number, stream.size))

    def _taken(self, number: int, size: int, response: Response) -> None:
        self._server.release(size)
        self._resets = max(0, self._resets - 1)
        if self._transport is None:
            return
        if number in self._reset:
            self._reset.discard(number)
            del self._open[number]
        else:
            self._send(number, response)
        self._after_one()

    def _refuse(self, number: int, response: Response, *, ended: bool = False) -> None:
        """Answer before the request has ended, and ask its sender to stop."""
        stream = self._open[number]
        self._server.release(stream.size)
        stream.size = 0
        stream.parts.clear()
        stream.received = True
        self._end_body()
        self._send(number, response)
        if not ended:
            self._write(frames.reset(number, Code.NO_ERROR))
            self._forgive(number)
        self._after_one()

    def _forgive(self, number: int) -> None:
        """Expect more of a request that was refused before its end: its sender may not know yet."""
        self._forgiven[number] = None
        if len(self._forgiven) > _FORGIVEN_STREAMS:
            del self._forgiven[next(iter(self._forgiven))]

    def _drop(self, number: int) -> None:
        stream = self._open.pop(number)
        if not stream.received:
            self._server.release(stream.size)
            self._end_body()
        self._after_one()

    # Time

    def _begin_body(self) -> None:
        self._incomplete += 1
        if self._incomplete == 1 and self._begun and not (self._unread or self._closing):
            self.deadline = time.monotonic() + self._keeping.body

    def _prolong(self, size: int) -> None:
        """Wait longer for a client that brings something, but not the longer the more it brought at once."""
        if self._begun and not (self._unread or self._closing):
            self.deadline = min(self.deadline, time.monotonic() + self._keeping.body) + size / _BYTES_A_SECOND

    def _end_body(self) -> None:
        self._incomplete -= 1
        if not self._incomplete:
            self._rested()

    def _rested(self) -> None:
        """Set when to look at a connection again on which nothing is coming in."""
        if self._unread or self._said:
            return
        if self._closing:
            self.deadline = self._end if self._open else self.deadline
            return
        now = time.monotonic()
        wait = self._keeping.idle if self._keeping.idle and not self._open else self._keeping.ping
        self.deadline = min(now + wait if wait else math.inf, self._old)

    def _after_one(self) -> None:
        if self._closing and not self._open:
            self._close()
        elif not self._incomplete and not self._open:
            self._rested()

    # Sending

    def _send(self, number: int, response: Response) -> None:
        """Send an answer, as much of it as the client has room for, and the rest when it has."""
        stream = self._open[number]
        self._strikes = 0
        if not response.trailers:
            del self._open[number]
            self._write(frames.frame(Kind.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, number, response.head))
            return
        parts = frames.frame(Kind.HEADERS, Flag.END_HEADERS, number, response.head) if response.head else b""
        room = max(0, min(self._window, stream.window, len(response.data)))
        if room:
            self._window -= room
            stream.window -= room
            parts += frames.frame(Kind.DATA, 0, number, response.data[:room])
        if room < len(response.data):
            self._unsent.append((number, Response(b"", response.data[room:], response.trailers)))
        else:
            del self._open[number]
            parts += frames.frame(Kind.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, number, response.trailers)
        self._write(parts)

    def _send_unsent(self) -> None:
        unsent, self._unsent = self._unsent, []
        for number, response in unsent:
            if number in self._open:
                self._send(number, response)
        if unsent:
            self._after_one()

    def _goaway(self, code: Code, message: str, *, wait: bool = False) -> None:
        if self._transport is None:
            return
        self._write(frames.goaway(self._last, code, message))
        self._closing = True
        if code is not Code.NO_ERROR:
            self._linger()
        elif not (wait and self._open):
            self._close()

    def _linger(self) -> None:
        """Close so that the client can read why: a socket closed with unread data takes back what was sent."""
        self._said = True
        self.deadline = time.monotonic() + _LINGER_SECONDS
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._close()

    def _close(self) -> None:
        self._closing = True
        self.deadline = time.monotonic() + _LINGER_SECONDS
        if self._transport is not None:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._said and not self._transport.is_closing():
            self._transport.write(data)


def _greeting(streams: int) -> bytes:
    """Return what a server says first."""
    told = {
        Setting.MAX_CONCURRENT_STREAMS: streams,
        Setting.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
        Setting.MAX_FRAME_SIZE: _FRAME_LIMIT,
        Setting.MAX_HEADER_LIST_SIZE: _HEAD_LIMIT,
    }
    return frames.settings(told) + frames.window_update(0, _WINDOW - frames.DEFAULT_WINDOW)
