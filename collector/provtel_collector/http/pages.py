"""Small pages by HTTP: a path is asked for, and answered at once."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from provtel_collector.http.http1 import Http1Connection, Patience
from provtel_collector.http.messages import Answer
from provtel_collector.http.serving import Door, Limits, Server

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from provtel_collector.http.messages import Reply, Request

_DRAIN_SECONDS: Final = 1
_LIMITS: Final = Limits(connections=128)
_PATIENCE: Final = Patience(head=10, body=10, idle=60)
_METHODS: Final = frozenset({"GET", "HEAD"})
_NOT_ALLOWED: Final = Answer(
    HTTPStatus.METHOD_NOT_ALLOWED, b"405 method not allowed, supported: [GET]\n", headers=[(b"allow", b"GET")]
)
_TOO_LARGE: Final = Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"413 a page is asked for without a body\n")
_OVERLOADED: Final = Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"503 too many requests, try again\n")
_BROKEN: Final = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"500 the page could not be made\n")

NOT_FOUND: Final = Answer(HTTPStatus.NOT_FOUND, b"404 page not found\n")


class Pages:
    """Answers requests for pages; a `provtel_collector.http.messages.Handler`.

    Args:
        page: Returns the page of a path; must not wait.
    """

    limit = 0

    def __init__(self, page: Callable[[str], Answer]) -> None:
        self._page = page

    def admit(self, request: Request) -> Answer | None:
        """Refuse whatever is no question."""
        return None if request.method in _METHODS else _NOT_ALLOWED

    def too_large(self, _request: Request) -> Answer:
        """Refuse a body."""
        return _TOO_LARGE

    def overloaded(self, _request: Request) -> Answer:
        """Refuse for now."""
        return _OVERLOADED

    def take(self, request: Request, reply: Reply) -> None:
        """Answer with the page."""
        try:
            answer = self._page(request.path)
        except Exception:
            reply(_BROKEN)
            raise
        reply(answer)


def page_server(listener: socket.socket, page: Callable[[str], Answer], name: str) -> Server:
    """Return a server of pages that has not started.

    Args:
        listener: A socket that listens; the server owns it from now on.
        page: Returns the page of a path; must not wait.
        name: What the server's thread is called.
    """
    connect = partial(Http1Connection, handler=Pages(page), patience=_PATIENCE)
    return Server([Door(listener, connect)], _DRAIN_SECONDS, _LIMITS, name)
