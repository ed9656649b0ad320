"""Requests of HTTP/2 as a server sees them: what they are, what answers them, and how long they are waited for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    Args:
        head: Its header block.
        data: Its body.
        trailers: The header block after the body; without, the answer consists of its head.
    """

    head: bytes
    data: bytes = b""
    trailers: bytes = b""


class StreamHandler(Protocol):
    """What answers the requests of a server; its methods are called in the thread of the event loop, and never wait."""

    @property
    def limit(self) -> int:
        """The most bytes that a body may have."""

    def admit(self, headers: Headers) -> Response | None:
        """Return why a request is not taken, as soon as its headers are known; None where its body is wanted."""

    def too_large(self, headers: Headers) -> Response:
        """Return what is said to a request whose body is longer than the limit."""

    def overloaded(self, headers: Headers) -> Response:
        """Return what is said to a request that there is no room for now."""

    def take(self, headers: Headers, body: bytes, reply: Callable[[Response], None]) -> None:
        """Answer a whole request: call `reply` once, now or later, from any thread."""


@dataclass(frozen=True)
class Keeping:
    """How long connections are kept, in seconds; 0 is for ever.

    Args:
        streams: The most requests that one connection may have open.
        body: How long a request may take from its headers to its end, besides what it brings.
        idle: When a connection without requests is closed.
        age: When a connection is closed however busy it is; its requests are finished.
        grace: How long they may take for that.
        ping: After how long a silent client is asked whether it is there.
        ping_timeout: How long it may take to say so.
        their_ping: The least time between two such questions of a client, while nothing is answered.
        their_ping_when_idle: It may ask while it has no request open.
    """

    streams: int = 256
    body: float = 60
    idle: float = 0
    age: float = 0
    grace: float = 0
    ping: float = 7200
    ping_timeout: float = 20
    their_ping: float = 0
    their_ping_when_idle: bool = True


class Stream:
    """A request while it comes in and while it is answered."""

    __slots__ = ("headers", "parts", "received", "size", "taken", "unacknowledged", "window")

    def __init__(self, headers: Headers, window: int) -> None:
        self.headers = headers
        self.parts: list[bytes] = []
        self.size = 0
        self.unacknowledged = 0
        self.window = window
        self.received = False
        self.taken = False
