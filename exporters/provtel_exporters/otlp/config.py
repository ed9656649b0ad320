"""What a user writes for the exporters of OTLP; keys, meanings and defaults are the OpenTelemetry Collector's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from provtel_model.components import Signal
from provtel_model.delivery import DEFAULT_TIMEOUT, RetryOnFailure, SendingQueue
from provtel_model.settings import NO_EFFECT, Duration, Secret
from provtel_model.tls import ClientTls

from provtel_exporters.levels import check_level

_HTTP_TIMEOUT: Final = Duration(30)
_HTTP: Final = frozenset({"http", "https"})
_PORTS: Final = 65535
_IDLE: Final = 100
_BALANCERS: Final = frozenset({"", "pick_first", "round_robin"})


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
        max_idle_conns: How many connections to an address are kept that nobody uses.
        max_idle_conns_per_host: Likewise; the smaller one counts.
        idle_conn_timeout: How long they are kept; 0 for as long as the server does.
        disable_keep_alives: Each request has a connection of its own.
        max_conns_per_host: Taken for the sake of files that have it, without effect: there are as many as consumers.
        read_buffer_size: Likewise without effect.
        write_buffer_size: Likewise without effect.
        force_attempt_http2: Likewise without effect; HTTP/1.1 is spoken.
        http2_read_idle_timeout: Likewise without effect.
        http2_ping_timeout: Likewise without effect.
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
    max_idle_conns: int = _IDLE
    max_idle_conns_per_host: int = 0
    idle_conn_timeout: Duration = Duration(90)
    disable_keep_alives: bool = False
    max_conns_per_host: int = field(default=0, metadata=NO_EFFECT)
    read_buffer_size: int = field(default=0, metadata=NO_EFFECT)
    write_buffer_size: int = field(default=0, metadata=NO_EFFECT)
    force_attempt_http2: bool = field(default=True, metadata=NO_EFFECT)
    http2_read_idle_timeout: Duration = field(default=Duration(0), metadata=NO_EFFECT)
    http2_ping_timeout: Duration = field(default=Duration(0), metadata=NO_EFFECT)
    timeout: Duration = _HTTP_TIMEOUT
    retry_on_failure: RetryOnFailure = field(default_factory=RetryOnFailure)
    sending_queue: SendingQueue = field(default_factory=SendingQueue)

    def __post_init__(self) -> None:
        """Refuse what cannot be reached, and what cannot be packed.

        Raises:
            ValueError: No address is one of HTTP, or a compression has no such level.
        """
        check_level(self.compression, self.compression_params.level)
        if not any((self.endpoint, self.traces_endpoint, self.metrics_endpoint, self.logs_endpoint)):
            raise ValueError("at least one endpoint must be specified")
        for key in ("endpoint", "traces_endpoint", "metrics_endpoint", "logs_endpoint", "proxy_url"):
            address = getattr(self, key)
            if address and not _is_http(address):
                raise ValueError(f'{key}: "{address}" is no address; write http://host:port or https://host:port')

    @property
    def idle_connections(self) -> int:
        """How many connections to an address are kept that nobody uses."""
        if self.disable_keep_alives:
            return 0
        return min(self.max_idle_conns or _IDLE, self.max_idle_conns_per_host or _IDLE)

    def address(self, signal: Signal) -> str | None:
        """Return where requests of a signal go; None where nobody said."""
        own = {
            Signal.TRACES: self.traces_endpoint,
            Signal.METRICS: self.metrics_endpoint,
            Signal.LOGS: self.logs_endpoint,
        }[signal]
        return own or (f"{self.endpoint.rstrip('/')}/v1/{signal}" if self.endpoint else None)


@dataclass(frozen=True)
class KeepaliveClientConfig:
    """How a client of gRPC's own library keeps connections; taken, without effect.

    Args:
        time: After how long a silent server is asked whether it is there.
        timeout: How long it may take to say so.
        permit_without_stream: It is asked also while no call is open.
    """

    time: Duration = Duration(0)
    timeout: Duration = Duration(0)
    permit_without_stream: bool = False


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
        keepalive: Taken for the sake of files that have it, without effect: a call is given up after `timeout`.
        balancer_name: Likewise without effect; all connections go to the address that the name has.
        wait_for_ready: Likewise without effect; what was refused for now is sent again.
        read_buffer_size: Likewise without effect.
        write_buffer_size: Likewise without effect.
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
    keepalive: KeepaliveClientConfig | None = field(default=None, metadata=NO_EFFECT)
    balancer_name: str = field(default="round_robin", metadata=NO_EFFECT)
    wait_for_ready: bool = field(default=False, metadata=NO_EFFECT)
    read_buffer_size: int = field(default=0, metadata=NO_EFFECT)
    write_buffer_size: int = field(default=0, metadata=NO_EFFECT)
    timeout: Duration = DEFAULT_TIMEOUT
    retry_on_failure: RetryOnFailure = field(default_factory=RetryOnFailure)
    sending_queue: SendingQueue = field(default_factory=SendingQueue)

    def __post_init__(self) -> None:
        """Refuse what cannot be reached.

        Raises:
            ValueError: The endpoint is none, or nobody knows the balancer.
        """
        if self.balancer_name not in _BALANCERS:
            raise ValueError(f"invalid balancer_name: {self.balancer_name}")
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
