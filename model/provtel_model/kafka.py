"""Settings that clients of Kafka share, under the keys of the OpenTelemetry Collector's Kafka components.

`connection` turns them into arguments of kafka-python, which is imported by whoever uses them: the extra ``kafka``.
"""

from __future__ import annotations

import logging
import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from provtel_model.components import Component, Credentials
from provtel_model.errors import ConfigError
from provtel_model.extras import need_packages
from provtel_model.settings import NO_EFFECT, Duration, Secret
from provtel_model.tls import ClientTls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")

Encoding = Literal["otlp_proto", "otlp_json"]

_WITH_PASSWORD: Final = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})
_VERSION: Final = re.compile(r"v?(0\.\d+\.\d+|[1-9]\.\d+)(?:\.\d+)?")
_RELEASES: Final = frozenset(
    f"{major}.{minor}"
    for major, minors in {"0.8": 3, "0.9": 1, "0.10": 3, "0.11": 1, "1": 2, "2": 9, "3": 10, "4": 3}.items()
    for minor in range(minors)
)
# A broker that restarts is back within seconds; kafka-python would come back to it after half a minute.
_LONGEST_RECONNECT_MS: Final = 1000
_SCHEME: Final = re.compile(r"^bearer\s+", re.IGNORECASE)
_HANDSHAKE_SECONDS: Final = 10


@dataclass(frozen=True)
class PlainText:
    """SASL/PLAIN under its older key.

    Args:
        username: Who the client is.
        password: By what it proves it.
    """

    username: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))


@dataclass(frozen=True)
class Sasl:
    """How a client says who it is.

    Args:
        mechanism: By which of SASL's ways.
        username: Who the client is, for PLAIN and SCRAM.
        password: By what it proves it, for PLAIN and SCRAM.
        oauthbearer_token_source: Id of the extension that has the token, such as ``bearertokenauth``, for OAUTHBEARER.
        version: Has no effect: the version is negotiated.
    """

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
    username: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    oauthbearer_token_source: str = ""
    version: int = field(default=0, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        """Refuse a mechanism without what it needs.

        Raises:
            ValueError: Something is missing.
        """
        if self.mechanism in _WITH_PASSWORD:
            if not self.username:
                raise ValueError("username is required")
            if not self.password.reveal():
                raise ValueError("password is required")
        elif not self.oauthbearer_token_source:
            raise ValueError("oauthbearer_token_source is required; name an extension such as bearertokenauth")
        if self.version not in {0, 1}:
            raise ValueError(f"version has to be either 0 or 1. configured value {self.version}")


@dataclass(frozen=True)
class Auth:
    """How a client proves who it is.

    Args:
        sasl: By SASL.
        plain_text: By SASL/PLAIN, under its older key.
        tls: TLS under its older key; `tls` of the component comes first.
    """

    sasl: Sasl | None = None
    plain_text: PlainText | None = None
    tls: ClientTls | None = None

    def __post_init__(self) -> None:
        """Refuse two ways at once.

        Raises:
            ValueError: Both are named.
        """
        if self.sasl is not None and self.plain_text is not None:
            raise ValueError("sasl and plain_text cannot both be set; plain_text is the older key, use sasl")


@dataclass(frozen=True)
class MetadataRetry:
    """How a client asks again which brokers there are; kept for configurations that name it.

    Args:
        max: Has no effect: the client asks until its own timeout.
        backoff: The wait before a request is repeated.
    """

    max: int = field(default=3, metadata=NO_EFFECT)
    backoff: Duration = Duration(0.25)


@dataclass(frozen=True)
class Metadata:
    """What a client keeps of the cluster.

    Args:
        full: Has no effect: only topics in use are asked for.
        refresh_interval: How often it is asked for anew.
        retry: How it asks again.
    """

    full: bool = field(default=True, metadata=NO_EFFECT)
    refresh_interval: Duration = Duration(600)
    retry: MetadataRetry = MetadataRetry()


@dataclass(frozen=True)
class KafkaClient:
    """A client of Kafka.

    Args:
        brokers: Where to begin, ``host:port`` each.
        protocol_version: The version of Kafka to speak to, such as ``2.1.0``; without, what the brokers say.
        client_id: The name that the brokers know the client by.
        auth: How it proves who it is.
        tls: How it speaks TLS; without, it does not.
        metadata: What it keeps of the cluster.
        rack_id: Where it stands, for brokers that let it read from a replica nearby.
        conn_idle_timeout: After how long an idle connection is closed.
        use_leader_epoch: Has no effect: a truncated log is always noticed.
        resolve_canonical_bootstrap_servers_only: Has no effect.
    """

    brokers: tuple[str, ...] = ("localhost:9092",)
    protocol_version: str = ""
    client_id: str = "otel-collector"
    auth: Auth = Auth()
    tls: ClientTls | None = None
    metadata: Metadata = Metadata()
    rack_id: str = ""
    conn_idle_timeout: Duration = Duration(540)
    use_leader_epoch: bool = field(default=True, metadata=NO_EFFECT)
    resolve_canonical_bootstrap_servers_only: bool = field(default=False, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        """Refuse what could reach no broker.

        Raises:
            ValueError: A value is out of its range.
        """
        if not self.brokers:
            raise ValueError("brokers must be specified")
        if self.protocol_version and _release(self.protocol_version) not in _RELEASES:
            raise ValueError(f'invalid protocol version: "{self.protocol_version}"; write one such as 2.1.0')
        if self.conn_idle_timeout <= 0:
            raise ValueError("conn_idle_timeout must be positive")


def connection(config: KafkaClient, extensions: Mapping[str, Component]) -> dict[str, Any]:
    """Return the arguments by which every client of kafka-python connects.

    Args:
        config: What the user wrote.
        extensions: The extensions that run, by id.

    Raises:
        UserError: A file of TLS cannot be used, or no extension has the token.
    """
    tls = config.tls or config.auth.tls
    context = tls.context() if tls is not None else None
    if context is not None and tls is not None:
        context.sslsocket_class = _PatientSocket
        if tls.server_name_override:
            _override_name(context, tls.server_name_override)
    login = _login(config.auth, extensions)
    return {
        "bootstrap_servers": list(config.brokers),
        "client_id": config.client_id,
        "security_protocol": ("SASL_" if login else "") + ("SSL" if context else "PLAINTEXT"),
        "ssl_context": context,
        "metadata_max_age_ms": int(config.metadata.refresh_interval * 1000),
        "retry_backoff_ms": int(config.metadata.retry.backoff * 1000),
        "reconnect_backoff_max_ms": _LONGEST_RECONNECT_MS,
        "connections_max_idle_ms": int(config.conn_idle_timeout * 1000),
        "api_version": _version(config.protocol_version),
        "metrics_enabled": False,
        **login,
    }


def need_package(component: str) -> None:
    """Import kafka-python and keep its log to what a person can use.

    Raises:
        UserError: It is not installed.
    """
    # Without crc32c a checksum is computed in Python, a hundred times slower.
    need_packages(component, "kafka", "crc32c", "kafka")
    # It logs as errors what it mends by itself; what it cannot mend is raised, and told by whoever catches it.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


def connected(kind: Callable[..., _T], arguments: Mapping[str, Any]) -> _T:
    """Return a client of kafka-python, and where it reaches no broker leave nothing of it running.

    Args:
        kind: Its class.
        arguments: Those of the class.

    Raises:
        KafkaError: No broker could be reached.
    """
    from kafka.net import KafkaNetClient

    parts = []

    def part(**others: Any) -> Any:
        parts.append(KafkaNetClient(**others))
        return parts[0]

    try:
        return kind(**arguments, kafka_client=part)
    except BaseException:
        for started in parts:
            started.close()
        raise


def _login(auth: Auth, extensions: Mapping[str, Component]) -> dict[str, Any]:
    if auth.plain_text is not None:
        auth = Auth(Sasl("PLAIN", auth.plain_text.username, auth.plain_text.password))
    sasl = auth.sasl
    if sasl is None:
        return {}
    if sasl.mechanism == "OAUTHBEARER":
        source = _token_source(sasl.oauthbearer_token_source, extensions)
        return {"sasl_mechanism": sasl.mechanism, "sasl_oauth_token_provider": _token_provider(source)}
    return {
        "sasl_mechanism": sasl.mechanism,
        "sasl_plain_username": sasl.username,
        "sasl_plain_password": sasl.password.reveal(),
    }


def _token_source(id_: str, extensions: Mapping[str, Component]) -> Credentials:
    source = extensions.get(id_)
    if source is None:
        raise ConfigError(f'auth::sasl::oauthbearer_token_source: extension "{id_}" does not run; list it in service')
    if not isinstance(source, Credentials):
        raise ConfigError(f'auth::sasl::oauthbearer_token_source: extension "{id_}" has no token')
    return source


def _token_provider(source: Credentials) -> Any:
    from kafka.net.sasl.oauth import AbstractTokenProvider

    class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python has no types
        """Gives the token that an extension has at the moment."""

        def token(self) -> str:
            """Return the token without the word that HTTP puts before it."""
            return _SCHEME.sub("", source.headers().get("authorization", ""))

    return TokenProvider()


class _PatientSocket(ssl.SSLSocket):
    """A socket whose handshake ends: kafka-python waits for a mute server for ever, and leaves the socket open."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  # as its base has it
        """Shake hands within a time, and close the socket where that fails.

        Raises:
            OSError: The server did not answer, or is not one that can be trusted.
        """
        usual = self.gettimeout()
        self.settimeout(_HANDSHAKE_SECONDS)
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise
        self.settimeout(usual)


def _override_name(context: Any, name: str) -> None:
    """Make a context look for another name in the certificate than that of the broker it connects to."""
    wrap: Callable[..., Any] = context.wrap_socket
    context.wrap_socket = lambda sock, **others: wrap(sock, **{**others, "server_hostname": name})


def _version(text: str) -> tuple[int, ...] | None:
    return tuple(int(number) for number in _release(text).split(".")[:2]) if text else None


def _release(text: str) -> str:
    """Return the release that a version is of, without its patch; nothing where it is of none."""
    match = _VERSION.fullmatch(text)
    return match[1] if match else ""
