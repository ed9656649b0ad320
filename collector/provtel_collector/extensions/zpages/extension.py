"""The ``zpages`` extension."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from provtel_collector.extensions.zpages import pages
from provtel_collector.http.listening import address_of, listen
from provtel_collector.http.messages import Answer
from provtel_collector.http.pages import NOT_FOUND, page_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_model.components import Context

    from provtel_collector.extensions.zpages.config import ZPagesConfig
    from provtel_collector.http.serving import Server
    from provtel_collector.view import View

_BASE: Final = "/debug/"
_PAGES: Final[dict[str, Callable[[View], str]]] = {
    "servicez": pages.service,
    "pipelinez": pages.pipelines,
    "extensionz": pages.extensions,
    "featurez": pages.features,
    "tracez": pages.traces,
}
_NOT_READY: Final = Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"503 the collector is not ready\n")
_HEADERS: Final = [(b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'")]


class ZPages:
    """Shows what runs in this collector.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: ZPagesConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._view: View | None = None
        self._server: Server | None = None
        self.addresses: tuple[str, ...] = ()

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: Nothing can listen at the endpoint.
        """
        listener = listen(self._config.endpoint, f"extensions::{self._context.id}::endpoint")
        self.addresses = (f"{address_of(listener)}{_BASE}servicez",)
        self._server = page_server(listener, self._page, f"provtel-{self._context.id}")
        self._server.start()

    def shutdown(self) -> None:
        """Stop answering."""
        if self._server is not None:
            self._server.stop()

    def look_at(self, view: View) -> None:
        """Know the collector."""
        self._view = view

    def _page(self, path: str) -> Answer:
        page = _PAGES.get(path.removeprefix(_BASE)) if path.startswith(_BASE) else None
        if page is None:
            return NOT_FOUND
        if self._view is None:
            return _NOT_READY
        return Answer(HTTPStatus.OK, page(self._view).encode(), "text/html; charset=utf-8", _HEADERS)
