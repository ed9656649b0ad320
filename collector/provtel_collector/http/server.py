"""A server in a thread of its own, so that the code which starts and stops it need not be asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import uvicorn

if TYPE_CHECKING:
    import socket

# Senders keep a connection for as long as they have something to send every few seconds. Longer than the 30 s in which
# most clients forget an idle connection, so that the client is the one that closes.
_KEEP_ALIVE_SECONDS: Final = 75

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application, without lifespan."""


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.listening.set()


class HttpServer:
    """Serves an application on a socket.

    Args:
        application: What answers.
        listener: A socket that listens; the server owns it from now on.
        drain_seconds: How long `stop` waits for requests that are being answered.
    """

    def __init__(self, application: Application, listener: socket.socket, drain_seconds: int) -> None:
        config = uvicorn.Config(
            application,
            interface="asgi3",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # its warnings are of what senders do, and a sender is answered
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=drain_seconds,
        )
        self._listener = listener
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="provtel-http", daemon=True)

    def start(self) -> None:
        """Serve; return when requests are taken."""
        self._thread.start()
        self._server.listening.wait()
        if not self._server.started:
            raise RuntimeError("the HTTP server ended before it listened; its log says why")

    def stop(self) -> None:
        """Take no more connections, answer what was asked, and close; safe to call twice."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._server.serve([self._listener]))
        finally:
            self._server.listening.set()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes an event loop: the fast one where it is installed."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop
