"""What a user writes for the ``otlp`` receiver; keys, meanings and defaults are the OpenTelemetry Collector's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from provtel_model.components import Signal
from provtel_model.settings import NO_EFFECT, Duration
from provtel_model.tls import ServerTls
from provtel_model.unpacking import PACKINGS

from provtel_collector.http.http1 import Patience
from provtel_collector.http.listening import Transport, check_endpoint
from provtel_collector.http.streams import Keeping
from provtel_collector.receivers.otlp.cross_origin import CorsConfig

_MIB: Final = 2**20
_DEFAULT_SIZE: Final = 20 * _MIB
_DEFAULT_MESSAGE_MIB: Final = 4
_PACKINGS: Final = ("", *PACKINGS)


@dataclass(frozen=True)
class AuthConfig:
    """Who decides which requests are taken.

    Args:
        authenticator: The id of an extension, such as ``bearertokenauth`` or ``basicauth``.
    """

    authenticator: str


@dataclass(frozen=True)
class HttpConfig:
    """OTLP over HTTP.

    Args:
        endpoint: Where to listen, ``host:port`` or the path of a socket.
        max_request_body_size: The most bytes of a request, before and after it is unpacked; 0 for the default.
        traces_url_path: Where traces are posted.
        metrics_url_path: Where metrics are posted.
        logs_url_path: Where logs are posted.
        transport: What the endpoint names: ``tcp`` or ``unix``.
        tls: Speak TLS.
        auth: Ask senders who they are.
        cors: Let web pages send.
        include_metadata: Tell what follows the headers of each request.
        compression_algorithms: What ``Content-Encoding`` may say; an empty text is nothing.
        response_headers: What each answer has besides.
        read_header_timeout: How long a request's headers may take.
        read_timeout: How long a request may take; 0 for as long as it brings 1 KiB a second.
        write_timeout: How long a client may leave its answers unread.
        idle_timeout: How long a connection without requests is kept.
        keep_alives_enabled: A connection is for several requests, one after another.
    """

    endpoint: str = "localhost:4318"
    max_request_body_size: int = _DEFAULT_SIZE
    traces_url_path: str = "/v1/traces"
    metrics_url_path: str = "/v1/metrics"
    logs_url_path: str = "/v1/logs"
    transport: Transport = "tcp"
    tls: ServerTls | None = None
    auth: AuthConfig | None = None
    cors: CorsConfig | None = None
    include_metadata: bool = False
    compression_algorithms: tuple[str, ...] = _PACKINGS
    response_headers: Mapping[str, str] = field(default_factory=dict)
    read_header_timeout: Duration = Duration(60)
    read_timeout: Duration = Duration(0)
    write_timeout: Duration = Duration(30)
    idle_timeout: Duration = Duration(60)
    keep_alives_enabled: bool = True

    def __post_init__(self) -> None:
        """Refuse what nothing could listen on.

        Raises:
            ValueError: A value is out of its range.
        """
        check_endpoint(self.endpoint, self.transport)
        if self.max_request_body_size < 0:
            raise ValueError("max_request_body_size must not be negative")
        if len(set(self.paths.values())) < len(self.paths):
            raise ValueError("two signals cannot be posted to one path")
        for packing in self.compression_algorithms:
            if packing not in _PACKINGS:
                raise ValueError(f'compression_algorithms: unsupported "{packing}"; there are {", ".join(PACKINGS)}')

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

    @property
    def patience(self) -> Patience:
        """How long clients may take."""
        return Patience(
            self.read_header_timeout or Patience.head,
            self.read_timeout,
            self.idle_timeout or Patience.idle,
            self.write_timeout or Patience.answer,
            again=self.keep_alives_enabled,
        )


@dataclass(frozen=True)
class KeepaliveServerConfig:
    """How long connections are kept; 0 is for ever.

    Args:
        max_connection_idle: When a connection without requests is closed.
        max_connection_age: When a connection is closed however busy it is; its requests are finished.
        max_connection_age_grace: How long they may take for that.
        time: After how long a silent client is asked whether it is there.
        timeout: How long it may take to say so.
    """

    max_connection_idle: Duration = Duration(0)
    max_connection_age: Duration = Duration(0)
    max_connection_age_grace: Duration = Duration(0)
    time: Duration = Duration(7200)
    timeout: Duration = Duration(20)


@dataclass(frozen=True)
class KeepalivePolicyConfig:
    """How often a client may ask whether the server is there; who asks more often is sent away.

    Args:
        min_time: The least time between two questions, while nothing is answered.
        permit_without_stream: It may ask while it has no request open.
    """

    min_time: Duration = Duration(300)
    permit_without_stream: bool = False


@dataclass(frozen=True)
class KeepaliveConfig:
    """How connections are kept.

    Args:
        server_parameters: What the server does.
        enforcement_policy: What clients may do; without, up to 1000 questions in a row.
    """

    server_parameters: KeepaliveServerConfig = field(default_factory=KeepaliveServerConfig)
    enforcement_policy: KeepalivePolicyConfig | None = None


@dataclass(frozen=True)
class GrpcConfig:
    """OTLP over gRPC.

    Args:
        endpoint: Where to listen, ``host:port`` or the path of a socket.
        transport: What the endpoint names: ``tcp`` or ``unix``.
        max_recv_msg_size_mib: The most MiB of a request, before and after it is unpacked; 0 for the default.
        max_concurrent_streams: The most requests that one connection may have open; 0 for the default.
        tls: Speak TLS.
        auth: Ask senders who they are.
        keepalive: How long connections are kept.
        include_metadata: Tell what follows the metadata of each request.
        read_buffer_size: Taken for the sake of files that have it, without effect.
        write_buffer_size: Likewise without effect.
    """

    endpoint: str = "localhost:4317"
    transport: Transport = "tcp"
    max_recv_msg_size_mib: int = 0
    max_concurrent_streams: int = 0
    tls: ServerTls | None = None
    auth: AuthConfig | None = None
    keepalive: KeepaliveConfig = field(default_factory=KeepaliveConfig)
    include_metadata: bool = False
    read_buffer_size: int = field(default=0, metadata=NO_EFFECT)
    write_buffer_size: int = field(default=0, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        """Refuse what nothing could listen on.

        Raises:
            ValueError: A value is out of its range.
        """
        check_endpoint(self.endpoint, self.transport)
        if self.max_recv_msg_size_mib < 0:
            raise ValueError("max_recv_msg_size_mib must not be negative")
        if self.max_concurrent_streams < 0:
            raise ValueError("max_concurrent_streams must not be negative")

    @property
    def size_limit(self) -> int:
        """The most bytes that a request may have."""
        return (self.max_recv_msg_size_mib or _DEFAULT_MESSAGE_MIB) * _MIB

    @property
    def keeping(self) -> Keeping:
        """How long connections are kept."""
        told, policy = self.keepalive.server_parameters, self.keepalive.enforcement_policy
        return Keeping(
            streams=self.max_concurrent_streams or Keeping.streams,
            idle=told.max_connection_idle,
            age=told.max_connection_age,
            grace=told.max_connection_age_grace,
            ping=told.time,
            ping_timeout=told.timeout,
            their_ping=0 if policy is None else policy.min_time,
            their_ping_when_idle=policy is None or policy.permit_without_stream,
        )


@dataclass(frozen=True)
class ProtocolsConfig:
    """The protocols to listen by; naming one is enough.

    Args:
        http: OTLP over HTTP.
        grpc: OTLP over gRPC.
    """

    http: HttpConfig | None = None
    grpc: GrpcConfig | None = None


@dataclass(frozen=True)
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
        if self.protocols.http is None and self.protocols.grpc is None:
            raise ValueError("must specify at least one protocol when using the OTLP receiver")
