"""Requests and answers of HTTP, and what stands between a connection and the component that answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request.

    Args:
        status: HTTP's status.
        body: What is said.
        content_type: In which form.
        headers: Further headers.
    """

    status: HTTPStatus
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Sequence[tuple[bytes, bytes]] = ()


class Request:
    """A request, while it comes in and while it is answered.

    Attributes:
        method: What is asked for, in upper case.
        path: Where, without a query.
        headers: By names in lower case; those that came several times are joined by commas.
        body: All of it, once the request is whole.
    """

    __slots__ = ("answered", "body", "headers", "keep_alive", "method", "parts", "path", "refusal", "size", "version")

    def __init__(self) -> None:
        self.method = ""
        self.path = ""
        self.version = "1.1"
        self.headers: dict[str, str] = {}
        self.body = b""
        self.parts: list[bytes] = []
        self.size = 0
        self.keep_alive = True
        self.refusal: Answer | None = None
        self.answered = False


Reply = Callable[[Answer], None]


class Handler(Protocol):
    """What answers the requests of a server; its methods are called in the thread of the event loop, and never wait."""

    @property
    def limit(self) -> int:
        """The most bytes that a body may have."""

    def admit(self, request: Request) -> Answer | None:
        """Return why a request is not taken, as soon as its headers are known; None where its body is wanted."""

    def too_large(self, request: Request) -> Answer:
        """Return what is said to a request whose body is longer than the limit."""

    def overloaded(self, request: Request) -> Answer:
        """Return what is said to a request that there is no room for now."""

    def take(self, request: Request, reply: Reply) -> None:
        """Answer a whole request: call `reply` once, now or later, from any thread."""
