"""HTTP/1.1 for components that take requests: bounded in every way, and with nothing between the socket and them."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import httptools

from provtel_collector.http.messages import Answer, Request

if TYPE_CHECKING:
    from provtel_collector.http.messages import Handler
    from provtel_collector.http.serving import Server

_log = logging.getLogger(__name__)

_HEAD_LIMIT: Final = 64 * 1024
_LINE_LIMIT: Final = 2
_DISCARD_LIMIT: Final = 256 * 2**20
# What a body must bring along: a client that gives less than this in the long run keeps a connection for nothing.
_BYTES_A_SECOND: Final = 1024
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_HTTP: Final = Answer(HTTPStatus.BAD_REQUEST, b"400 bad request: this is no HTTP/1.1\n")
_HEAD_TOO_LARGE: Final = Answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, b"431 the headers are too long\n")
_TOO_SLOW: Final = Answer(HTTPStatus.REQUEST_TIMEOUT, b"408 the request did not come in time\n")
_NO_ROOM: Final = Answer(
    HTTPStatus.SERVICE_UNAVAILABLE, b"503 too many connections, try again\n", headers=[(b"retry-after", b"1")]
)


@dataclass(frozen=True)
class Patience:
    """How long a client may take, in seconds.

    Args:
        head: From the first byte of a request to the end of its headers.
        body: From there to its end; 0 for as long as it brings a little.
        idle: Between two requests.
        answer: Before it reads its answers.
        again: Whether there is a second request at all.
    """

    head: float = 60
    body: float = 0
    idle: float = 60
    answer: float = 30
    again: bool = True


class Http1Connection(asyncio.Protocol):
    """One connection: requests come in one after another and are answered in that order.

    Args:
        server: Where it belongs.
        handler: What answers.
        patience: How long the client may take.
    """

    def __init__(self, server: Server, handler: Handler, patience: Patience) -> None:
        self._server = server
        self._handler = handler
        self._patience = patience
        self._parser: httptools.HttpRequestParser | None = None
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None
        self._head = 0
        self._left = 0
        self._line: deque[Request] = deque()
        self._busy = False
        self._closing = False
        self._draining = False
        self._paused = False
        self._unread = False
        self.deadline = math.inf

    # The event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        if self._server.opened(self):
            self._parser = httptools.HttpRequestParser(self)
            self._wait(self._patience.head)
        elif self._transport is not None:
            self._write(_NO_ROOM, None)
            self._linger()

    def connection_lost(self, _error: Exception | None) -> None:
        """End."""
        self._transport = self._parser = None  # the parser has us too, and both would wait for the garbage collector
        self._server.closed(self)
        if self._request is not None:
            self._forget(self._request)
        for request in self._line:
            self._forget(request)
        self._line.clear()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        parser = self._parser
        while data and parser is not None and not self._closing:
            if self._left:
                data = self._take_left(data)
                continue
            if self._request is None or not self._request.method:
                self._head += len(data)
            try:
                parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]  # the offer to speak something else is not taken up
            except httptools.HttpParserCallbackError:
                _log.exception("a request could not be read in a way that it should")
                self._end()
            except httptools.HttpParserError:
                self._end_with(_NO_HTTP)
            if self._head > _HEAD_LIMIT:
                self._end_with(_HEAD_TOO_LARGE)

    def eof_received(self) -> bool:
        """Let the answer go out to a client that only has stopped sending; with TLS nobody can."""
        self._draining = True
        return self._busy and self._transport is not None and self._transport.can_write_eof()

    def pause_writing(self) -> None:
        """Read nothing more from a client that does not read its answers, and wait for it only for a while."""
        self._pause()
        self._wait(self._patience.answer)
        self._unread = True

    def resume_writing(self) -> None:
        """Read again."""
        self._unread = False
        self._resume()
        self._wait(math.inf if self._busy else self._patience.idle)

    # The parser's side

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._request = Request()
        if not self._busy:
            self._wait(self._patience.head)

    def on_url(self, url: bytes) -> None:
        """Take a part of where."""
        self._now.path += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        headers = self._now.headers
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        """Ask whether the request is wanted."""
        request, parser = self._now, cast("httptools.HttpRequestParser", self._parser)
        self._head = 0
        request.method = parser.get_method().decode("latin-1")
        request.path = request.path.partition("?")[0]
        request.version = parser.get_http_version()
        request.keep_alive = self._patience.again and parser.should_keep_alive()
        request.refusal = self._handler.admit(request)
        length = request.headers.get("content-length")
        if parser.should_upgrade():
            self._left = int(length or 0)  # the parser takes the offer up, and leaves the body to us
        if request.refusal is None and length is not None and int(length) > self._handler.limit:
            request.refusal = self._handler.too_large(request)
        if request.refusal is not None:
            self._refuse_early(request)
        elif request.headers.get("expect", "").lower() == "100-continue":
            self._raw(_CONTINUE)
        if not self._busy:
            self._wait(self._patience.body or self._patience.head)

    def on_body(self, part: bytes) -> None:
        """Take a part of the body, unless it is not wanted."""
        request = self._now
        size = len(part)
        if not self._patience.body and not self._busy and not self._unread:
            # What it brings at once buys no patience for later.
            self.deadline = min(self.deadline, time.monotonic() + self._patience.head) + size / _BYTES_A_SECOND
        if request.refusal is None and request.size + size > self._handler.limit:
            self._refuse(request, self._handler.too_large(request))
        if request.refusal is None and not self._server.hold(size):
            self._refuse(request, self._handler.overloaded(request))
        request.size += size
        if request.refusal is None:
            request.parts.append(part)
        elif request.size > _DISCARD_LIMIT:
            self._end()

    def on_message_complete(self) -> None:
        """Let the request be answered when it is its turn."""
        if self._left:
            return
        request = self._now
        self._request = None
        self._line.append(request)
        if len(self._line) >= _LINE_LIMIT:
            self._pause()
        self._advance()

    def _take_left(self, data: bytes) -> bytes:
        """Take a body that the parser left to us, and return what follows it."""
        part = data[: self._left]
        self._left -= len(part)
        self.on_body(part)
        if not self._left:
            self.on_message_complete()
        return data[len(part) :]

    # The server's side

    def expire(self) -> None:
        """Tell a client that is too slow, and close."""
        if self._closing or self._unread:
            self.abort()
        elif self._request is not None and not self._request.answered:
            self._end_with(_TOO_SLOW)
        else:
            self._end()

    def finish(self) -> None:
        """Answer what was asked, and close."""
        self._draining = True
        if not self._busy and self._request is None and not self._line:
            self._end()

    def abort(self) -> None:
        """Close now."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    # One request after another

    def _wait(self, seconds: float) -> None:
        """Set how long the client may take from now on; while it reads nothing, that alone counts."""
        if not self._unread:
            self.deadline = time.monotonic() + seconds

    @property
    def _now(self) -> Request:
        return cast("Request", self._request)

    def _advance(self) -> None:
        while self._line and not self._busy and not self._closing:
            request = self._line.popleft()
            if request.refusal is not None:
                self._finish_request(request, request.refusal)
            else:
                self._busy = True
                self._wait(math.inf)
                request.body = request.parts[0] if len(request.parts) == 1 else b"".join(request.parts)
                request.parts.clear()
                self._handler.take(request, partial(self._server.from_thread, self._taken, request))
        if not self._busy and self._request is None:
            self._wait(self._patience.idle)

    def _taken(self, request: Request, answer: Answer) -> None:
        self._busy = False
        self._server.release(request.size)
        self._finish_request(request, answer)
        if self._request is not None:
            self._wait(self._patience.head)
        self._resume()
        self._advance()

    def _finish_request(self, request: Request, answer: Answer) -> None:
        if not request.answered:
            self._write(answer, request)
        last = self._draining and self._request is None and not self._line
        if last or self._closing or not request.keep_alive:
            self._end()

    def _refuse(self, request: Request, answer: Answer) -> None:
        """Stop keeping a body that turned out not to be wanted."""
        self._forget(request)
        request.refusal = answer
        self._refuse_early(request)

    def _refuse_early(self, request: Request) -> None:
        """Answer at once, where it is this request's turn: its sender may stop sending then."""
        if "expect" in request.headers:
            request.keep_alive = False
        if not self._busy and not self._line and request.refusal is not None:
            self._write(request.refusal, request)
            request.answered = True

    def _forget(self, request: Request) -> None:
        """Give back the room of a body that nobody will take."""
        if request.refusal is None:
            self._server.release(request.size)
        request.parts.clear()

    # Writing and closing

    def _write(self, answer: Answer, request: Request | None) -> None:
        keep_alive = request is not None and request.keep_alive and not self._closing and not self._draining
        self._raw(_serialised(answer, request, keep_alive=keep_alive))

    def _raw(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self._unread and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _end_with(self, answer: Answer) -> None:
        if not self._closing and not self._busy:
            self._closing = True
            self._write(answer, None)
            self._linger()
        elif self._busy:
            self._closing = True

    def _linger(self) -> None:
        """Close so that the client can read what it was told: a socket closed with unread data takes it back."""
        self._closing = True
        self.deadline = time.monotonic() + 2
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._end()

    def _end(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.close()


def _serialised(answer: Answer, request: Request | None, *, keep_alive: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\ndate: {_date(int(time.time()))}\r\n"
        f"content-type: {answer.content_type}\r\ncontent-length: {len(answer.body)}\r\n".encode("latin-1")
    ]
    lines += [name + b": " + value + b"\r\n" for name, value in answer.headers]
    if not keep_alive:
        lines.append(b"connection: close\r\n")
    elif request is not None and request.version == "1.0":
        lines.append(b"connection: keep-alive\r\n")
    lines.append(b"\r\n")
    if request is None or request.method != "HEAD":
        lines.append(answer.body)
    return b"".join(lines)


_dated: list[tuple[int, str]] = [(0, "")]


def _date(second: int) -> str:
    """Return the time as HTTP writes it; it is the same for all answers of a second."""
    if _dated[0][0] != second:
        _dated[0] = (second, formatdate(second, usegmt=True))
    return _dated[0][1]
