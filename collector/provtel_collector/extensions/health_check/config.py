"""What a user writes for the ``health_check`` extension; keys and defaults are the OpenTelemetry Collector's."""

from __future__ import annotations

from dataclasses import dataclass

from provtel_collector.http.listening import parse_endpoint


@dataclass(frozen=True, slots=True)
class HealthCheckConfig:
    """The ``health_check`` extension.

    Args:
        endpoint: Where to listen, ``host:port``.
        path: Where to ask.
    """

    endpoint: str = "localhost:13133"
    path: str = "/"

    def __post_init__(self) -> None:
        """Refuse what cannot be asked.

        Raises:
            ValueError: The endpoint is none, or the path does not begin with a slash.
        """
        parse_endpoint(self.endpoint)
        if not self.path.startswith("/"):
            raise ValueError("path must start with /")
