"""What a user writes for the ``health_check`` extension; keys and defaults are the OpenTelemetry Collector's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provtel_model.settings import NO_EFFECT

from provtel_collector.http.listening import parse_endpoint


@dataclass(frozen=True, slots=True)
class ResponseBody:
    """What is answered, instead of a state in JSON.

    Args:
        healthy: While data is taken.
        unhealthy: While it is not.
    """

    healthy: str = ""
    unhealthy: str = ""


@dataclass(frozen=True, slots=True)
class HealthCheckConfig:
    """The ``health_check`` extension.

    Args:
        endpoint: Where to listen, ``host:port``.
        path: Where to ask.
        response_body: What is answered, instead of a state in JSON.
        check_collector_pipeline: Has no effect, as in the OpenTelemetry Collector.
    """

    endpoint: str = "localhost:13133"
    path: str = "/"
    response_body: ResponseBody | None = None
    check_collector_pipeline: Mapping[str, Any] = field(default_factory=dict, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        """Refuse what cannot be asked.

        Raises:
            ValueError: The endpoint is none, or the path does not begin with a slash.
        """
        parse_endpoint(self.endpoint)
        if not self.path.startswith("/"):
            raise ValueError("path must start with /")
