"""What a user writes for the ``otlp`` receiver; keys, meanings and defaults are the OpenTelemetry Collector's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provtel_model.components import Signal

from provtel_collector.http.listening import parse_endpoint

_DEFAULT_SIZE: Final = 20 * 2**20


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """OTLP over HTTP.

    Args:
        endpoint: Where to listen, ``host:port``.
        max_request_body_size: The most bytes of a request, before and after it is unpacked; 0 for the default.
        traces_url_path: Where traces are posted.
        metrics_url_path: Where metrics are posted.
        logs_url_path: Where logs are posted.
    """

    endpoint: str = "localhost:4318"
    max_request_body_size: int = _DEFAULT_SIZE
    traces_url_path: str = "/v1/traces"
    metrics_url_path: str = "/v1/metrics"
    logs_url_path: str = "/v1/logs"

    def __post_init__(self) -> None:
        """Refuse what nothing could listen on.

        Raises:
            ValueError: A value is out of its range.
        """
        parse_endpoint(self.endpoint)
        if self.max_request_body_size < 0:
            raise ValueError("max_request_body_size must not be negative")
        if len(set(self.paths.values())) < len(self.paths):
            raise ValueError("two signals cannot be posted to one path")

    @property
    def size_limit(self) -> int:
        """The most bytes that a request may have."""
        return self.max_request_body_size or _DEFAULT_SIZE

    @property
    def paths(self) -> dict[Signal, str]:
        """Where each signal is posted; a path begins with a slash whether or not it is written."""
        spelled = {
            Signal.TRACES: self.traces_url_path,
            Signal.METRICS: self.metrics_url_path,
            Signal.LOGS: self.logs_url_path,
        }
        return {signal: f"/{path.removeprefix('/')}" for signal, path in spelled.items()}


@dataclass(frozen=True, slots=True)
class ProtocolsConfig:
    """The protocols to listen by; naming one is enough.

    Args:
        http: OTLP over HTTP.
        grpc: OTLP over gRPC, which is refused: this collector does not speak it yet.
    """

    http: HttpConfig | None = None
    grpc: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Refuse gRPC rather than listen nowhere and say nothing.

        Raises:
            ValueError: gRPC is asked for.
        """
        if self.grpc is not None:
            raise ValueError("grpc is not available yet; name http, and send OTLP over HTTP (http/protobuf)")


@dataclass(frozen=True, slots=True)
class OtlpConfig:
    """The ``otlp`` receiver.

    Args:
        protocols: The protocols to listen by.
    """

    protocols: ProtocolsConfig = field(default_factory=ProtocolsConfig)

    def __post_init__(self) -> None:
        """Refuse a receiver that listens nowhere.

        Raises:
            ValueError: No protocol is named.
        """
        if self.protocols.http is None:
            raise ValueError("must specify at least one protocol when using the OTLP receiver")
