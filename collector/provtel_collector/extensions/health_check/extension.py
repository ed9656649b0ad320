"""The ``health_check`` extension: 200 while the collector takes data, 503 before and after."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from provtel_collector.http.listening import address_of, listen
from provtel_collector.http.server import HttpServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from provtel_model.components import Context

    from provtel_collector.extensions.health_check.config import HealthCheckConfig

_DRAIN_SECONDS: Final = 1


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
        self._server: HttpServer | None = None
        self.addresses: tuple[str, ...] = ()

    def start(self) -> None:
        """Listen, and answer that the collector is not ready.

        Raises:
            ConfigError: Nothing can listen at the endpoint.
        """
        listener = listen(self._config.endpoint, f"extensions::{self._context.id}::endpoint")
        self.addresses = (address_of(listener) + self._config.path,)
        self._server = HttpServer(self._application, listener, _DRAIN_SECONDS)
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

    async def _application(
        self,
        scope: Mapping[str, Any],
        _receive: Callable[[], Awaitable[Any]],
        send: Callable[[Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        status, said = self._answer(scope["path"])
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status.value, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(said).encode()})

    def _answer(self, path: str) -> tuple[HTTPStatus, dict[str, str]]:
        since = self._ready_since
        if path != self._config.path:
            return HTTPStatus.NOT_FOUND, {"status": f"nothing is here; ask {self._config.path}"}
        if since is None:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "Server not available"}
        uptime = timedelta(seconds=round(time.time() - since))
        up_since = datetime.fromtimestamp(since, UTC).isoformat()
        return HTTPStatus.OK, {"status": "Server available", "upSince": up_since, "uptime": str(uptime)}
