"""What a user writes for the exporters of OTLP; keys, meanings and defaults are the OpenTelemetry Collector's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from provtel_model.components import Signal
from provtel_model.delivery import DEFAULT_TIMEOUT, RetryOnFailure, SendingQueue
from provtel_model.settings import Duration, Secret
from provtel_model.tls import ClientTls

_HTTP_TIMEOUT: Final = Duration(30)
_HTTP: Final = frozenset({"http", "https"})
_PORTS: Final = 65535


@dataclass(frozen=True)
class AuthConfig:
    """Who the exporter is.

    Args:
        authenticator: The id of an extension, such as ``bearertokenauth`` or ``basicauth``.
    """

    authenticator: str


@dataclass(frozen=True)
class CompressionParams:
    """How requests are packed.

    Args:
        level: How hard to try, in the numbers of the algorithm; 0 for what is fast.
    """

    level: int = 0


@dataclass(frozen=True)
class OtlpHttpConfig:
    """The ``otlp_http`` exporter.

    Args:
        endpoint: The base address; each signal has its path below it.
        traces_endpoint: The whole address for traces, where it is another.
        metrics_endpoint: The whole address for metrics, where it is another.
        logs_endpoint: The whole address for logs, where it is another.
        encoding: The form of requests.
        compression: How they are packed.
        compression_params: How hard.
        headers: Further headers of each request.
        tls: How TLS is spoken, where an address begins with ``https``.
        auth: Who the exporter is.
        proxy_url: The proxy; without, the one that the environment names.
        timeout: How long to wait for an answer.
        retry_on_failure: How what was refused for now is sent again.
        sending_queue: The queue before the exporter.
    """

    endpoint: str = ""
    traces_endpoint: str = ""
    metrics_endpoint: str = ""
    logs_endpoint: str = ""
    encoding: Literal["proto", "json"] = "proto"
    compression: Literal["", "none", "gzip", "zstd", "zlib", "deflate", "snappy", "lz4"] = "gzip"
    compression_params: CompressionParams = field(default_factory=CompressionParams)
    headers: Mapping[str, Secret] = field(default_factory=dict)
    tls: ClientTls = field(default_factory=ClientTls)
    auth: AuthConfig | None = None
    proxy_url: str = ""
    timeout: Duration = _HTTP_TIMEOUT
    retry_on_failure: RetryOnFailure = field(default_factory=RetryOnFailure)
    sending_queue: SendingQueue = field(default_factory=SendingQueue)

    def __post_init__(self) -> None:
        """Refuse what cannot be reached.

        Raises:
            ValueError: No address is one of HTTP.
        """
        if not any((self.endpoint, self.traces_endpoint, self.metrics_endpoint, self.logs_endpoint)):
            raise ValueError("at least one endpoint must be specified")
        for key in ("endpoint", "traces_endpoint", "metrics_endpoint", "logs_endpoint", "proxy_url"):
            address = getattr(self, key)
            if address and not _is_http(address):
                raise ValueError(f'{key}: "{address}" is no address; write http://host:port or https://host:port')

    def address(self, signal: Signal) -> str | None:
        """Return where requests of a signal go; None where nobody said."""
        own = {
            Signal.TRACES: self.traces_endpoint,
            Signal.METRICS: self.metrics_endpoint,
            Signal.LOGS: self.logs_endpoint,
        }[signal]
        return own or (f"{self.endpoint.rstrip('/')}/v1/{signal}" if self.endpoint else None)


@dataclass(frozen=True)
class OtlpGrpcConfig:
    """The ``otlp_grpc`` exporter.

    Args:
        endpoint: Where to, ``host:port``; with ``http://`` before it without TLS, and ``unix:///path`` is a socket.
        compression: How requests are packed.
        headers: Further metadata of each request.
        tls: How TLS is spoken; it is, unless ``insecure`` is set.
        auth: Who the exporter is.
        authority: What the server is called, where that is not the endpoint.
        timeout: How long to wait for an answer.
        retry_on_failure: How what was refused for now is sent again.
        sending_queue: The queue before the exporter.
    """

    endpoint: str = ""
    compression: Literal["", "none", "gzip", "zstd", "snappy"] = "gzip"
    headers: Mapping[str, Secret] = field(default_factory=dict)
    tls: ClientTls = field(default_factory=ClientTls)
    auth: AuthConfig | None = None
    authority: str = ""
    timeout: Duration = DEFAULT_TIMEOUT
    retry_on_failure: RetryOnFailure = field(default_factory=RetryOnFailure)
    sending_queue: SendingQueue = field(default_factory=SendingQueue)

    def __post_init__(self) -> None:
        """Refuse what cannot be reached.

        Raises:
            ValueError: The endpoint is none.
        """
        if not self.endpoint:
            raise ValueError('requires a non-empty "endpoint"')
        if self.path is None:
            self.host_and_port  # noqa: B018  # it raises

    @property
    def path(self) -> str | None:
        """The socket file that the endpoint names; None where it names a host."""
        if not self.endpoint.startswith("unix:"):
            return None
        return self.endpoint.removeprefix("unix:").replace("//", "", 1)

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The host and the port that the endpoint names."""
        spelled = self.endpoint.partition("://")[2] or self.endpoint
        host, _, port = spelled.strip("/").rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or int(port) > _PORTS:
            raise ValueError(f'endpoint: invalid port in "{self.endpoint}"; write host:port, such as localhost:4317')
        return host.removeprefix("[").removesuffix("]"), int(port)

    @property
    def insecure(self) -> bool:
        """Whether TLS is not spoken."""
        scheme = self.endpoint.partition("://")[0]
        return scheme == "http" or (scheme != "https" and self.tls.insecure)


def _is_http(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in _HTTP and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
