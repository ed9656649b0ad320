"""Where the collector's own metrics can be read."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from provtel_collector_config.telemetry import MetricsConfig
from provtel_model.errors import ConfigError

from provtel_collector.http.listening import address_of, listen
from provtel_collector.http.messages import Answer
from provtel_collector.http.pages import NOT_FOUND, page_server
from provtel_collector.telemetry.descriptions import MetricLevel
from provtel_collector.telemetry.exposition import CONTENT_TYPE, exposed
from provtel_collector.telemetry.identity import identity

if TYPE_CHECKING:
    from provtel_collector_config.telemetry import TelemetryConfig

    from provtel_collector.counters import Counters
    from provtel_collector.http.serving import Server

_log = logging.getLogger(__name__)

_PATH: Final = "/metrics"


class MetricsServers:
    """Serves metrics at each address that is configured.

    An address that the user named must be free. Where nobody named one and the usual one is taken, by the collector of
    another user for example, there are no metrics, and a warning says so.

    Args:
        config: What the user wrote.
        counters: What is shown.
    """

    def __init__(self, config: TelemetryConfig, counters: Counters) -> None:
        self._config = config.metrics
        self._counters = counters
        self._level = MetricLevel[config.metrics.level.upper()]
        self._target = identity(config)
        self._servers: list[Server] = []
        self.addresses: tuple[str, ...] = ()

    def start(self) -> None:
        """Serve.

        Raises:
            ConfigError: An address that the user named cannot be listened on.
        """
        if not self._config.enabled:
            return
        for index, reader in enumerate(self._config.readers):
            address = reader.pull.exporter.prometheus
            path = f"service::telemetry::metrics::readers[{index}]::pull::exporter::prometheus"
            try:
                self._serve(f"{address.host}:{address.port}", path)
            except ConfigError as error:
                if self._config.readers != MetricsConfig().readers:
                    raise
                _log.warning("no metrics of this collector can be read: %s", error)

    def shutdown(self) -> None:
        """Serve no more; safe to call twice."""
        while self._servers:
            self._servers.pop().stop()

    def _serve(self, endpoint: str, path: str) -> None:
        listener = listen(endpoint, path)
        server = page_server(listener, self._page, "provtel-metrics")
        server.start()
        self._servers.append(server)
        self.addresses = (*self.addresses, address_of(listener) + _PATH)

    def _page(self, path: str) -> Answer:
        if path != _PATH:
            return NOT_FOUND
        return Answer(HTTPStatus.OK, exposed(self._counters, self._level, self._target).encode(), CONTENT_TYPE)
