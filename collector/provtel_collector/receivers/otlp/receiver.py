"""The ``otlp`` receiver: a server, and the threads that take what comes in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from provtel_model.errors import ConfigError

from provtel_collector.http.listening import address_of, listen
from provtel_collector.http.server import HttpServer
from provtel_collector.receivers.otlp.application import OtlpApplication

if TYPE_CHECKING:
    from provtel_model.components import Context

    from provtel_collector.receivers.otlp.config import OtlpConfig

# A worker mostly waits for a disk or a peer; as many requests can be made durable together.
_WORKERS: Final = 32
_DRAIN_SECONDS: Final = 10


class OtlpReceiver:
    """Takes OTLP over HTTP, and answers only what is durable.

    Args:
        config: What the user wrote.
        context: Where it stands; a signal without a consumer is answered 404.
    """

    def __init__(self, config: OtlpConfig, context: Context) -> None:
        if config.protocols.http is None:
            raise ConfigError("must specify at least one protocol when using the OTLP receiver")
        self._config = config.protocols.http
        self._context = context
        self._workers: ThreadPoolExecutor | None = None
        self._server: HttpServer | None = None
        self.addresses: tuple[str, ...] = ()

    def start(self) -> None:
        """Listen; return when requests are taken.

        Raises:
            ConfigError: Nothing can listen at the endpoint.
        """
        path = f"receivers::{self._context.id}::protocols::http::endpoint"
        listener = listen(self._config.endpoint, path)
        self.addresses = (address_of(listener),)
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix=f"provtel-{self._context.id}")
        routes = {self._config.paths[signal]: (signal, consumer) for signal, consumer in self._context.next.items()}
        application = OtlpApplication(routes, self._config.size_limit, self._workers)
        self._server = HttpServer(application, listener, _DRAIN_SECONDS)
        self._server.start()

    def shutdown(self) -> None:
        """Take no more connections, answer what was asked, and stop."""
        if self._server is not None:
            self._server.stop()
        if self._workers is not None:
            self._workers.shutdown()
