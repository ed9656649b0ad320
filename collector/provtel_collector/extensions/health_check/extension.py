"""The ``health_check`` extension: 200 while the collector takes data, 503 before and after."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from provtel_collector.http.listening import address_of, listen
from provtel_collector.http.messages import Answer
from provtel_collector.http.pages import page_server

if TYPE_CHECKING:
    from provtel_model.components import Context

    from provtel_collector.extensions.health_check.config import HealthCheckConfig
    from provtel_collector.http.serving import Server


class HealthCheck:
    """Tells by HTTP whether the collector is ready.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: HealthCheckConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._ready_since: float | None = None
        self._server: Server | None = None
        self.addresses: tuple[str, ...] = ()

    def start(self) -> None:
        """Listen, and answer that the collector is not ready.

        Raises:
            ConfigError: Nothing can listen at the endpoint.
        """
        listener = listen(self._config.endpoint, f"extensions::{self._context.id}::endpoint")
        self.addresses = (address_of(listener) + self._config.path,)
        self._server = page_server(listener, self._page, f"provtel-{self._context.id}")
        self._server.start()

    def shutdown(self) -> None:
        """Stop answering."""
        if self._server is not None:
            self._server.stop()

    def ready(self) -> None:
        """Answer from now on that data is taken."""
        self._ready_since = time.time()

    def not_ready(self) -> None:
        """Answer from now on that no data is taken."""
        self._ready_since = None

    def _page(self, path: str) -> Answer:
        status, said = self._answer(path)
        body = self._config.response_body
        if body is not None and path == self._config.path:
            text = body.healthy if status is HTTPStatus.OK else body.unhealthy
            return Answer(status, text.encode(), "text/plain; charset=utf-8")
        return Answer(status, json.dumps(said).encode(), "application/json")

    def _answer(self, path: str) -> tuple[HTTPStatus, dict[str, str]]:
        since = self._ready_since
        if path != self._config.path:
            return HTTPStatus.NOT_FOUND, {"status": f"nothing is here; ask {self._config.path}"}
        if since is None:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "Server not available"}
        uptime = timedelta(seconds=round(time.time() - since))
        up_since = datetime.fromtimestamp(since, UTC).isoformat()
        return HTTPStatus.OK, {"status": "Server available", "upSince": up_since, "uptime": str(uptime)}
