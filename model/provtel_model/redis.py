"""Settings that clients of Redis share, and how one is made of them.

Keys are those that the OpenTelemetry Collector has for Redis. redis-py is imported by whoever makes a client: the extra
``redis``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from provtel_model.extras import need_packages
from provtel_model.settings import Secret
from provtel_model.tls import ClientTls

if TYPE_CHECKING:
    import socket
    import ssl

LARGEST_ENTRY: Final = 64 * 2**20
"""The most bytes of a request in an entry, unpacked: nobody of ours writes more, nor takes more."""
PAYLOAD: Final = b"payload"
"""The field of an entry that holds the request."""
ENCODING: Final = b"encoding"
"""The field that says in which form; without, the reader's configuration does."""
COMPRESSION: Final = b"compression"
"""The field that says how it is packed; without, it is not."""
HEADER: Final = b"header."
"""What stands before the name of request metadata in the name of a field."""
Compression = Literal["none", "gzip", "zstd"]

_ADDRESS: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:\[\]/@\s]+):(?P<port>\d{1,5})")
_LAST_PORT: Final = 65_535
_NAME: Final = re.compile(r"[!-~]*")
_LAST_SEQUENCE: Final = 2**64 - 1
_ID: Final = re.compile(r"(?P<time>\d{1,20})-(?P<sequence>\d{1,20})")


@dataclass(frozen=True)
class RedisClient:
    """A client of Redis.

    Args:
        endpoint: Where it is: ``host:port``, or the path of a socket.
        transport: ``tcp``, or ``unix`` where `endpoint` is a path.
        username: Who the client is, for a server that has users; without, the default one.
        password: By what it proves it.
        db: The number of the database.
        client_id: The name that the server knows the client by.
        tls: How it speaks TLS; without, it does not.
    """

    endpoint: str = "localhost:6379"
    transport: Literal["tcp", "unix"] = "tcp"
    username: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    db: int = 0
    client_id: str = "otel-collector"
    tls: ClientTls | None = None

    def __post_init__(self) -> None:
        """Refuse what could reach no server.

        Raises:
            ValueError: A value is out of its range.
        """
        if self.transport == "tcp":
            match = _ADDRESS.fullmatch(self.endpoint)
            if match is None or int(match["port"]) > _LAST_PORT:
                # Not shown: what is no address may be a URL with a password.
                raise ValueError("endpoint must be host:port, such as localhost:6379; password has a key of its own")
        elif not self.endpoint.startswith("/"):
            raise ValueError("with transport unix, endpoint must be the path of a socket, from the root")
        elif self.tls is not None and not self.tls.insecure:
            raise ValueError("tls and transport unix exclude each other")
        if self.username and not self.password.reveal():
            raise ValueError("password is required where there is a username")
        if self.db < 0:
            raise ValueError(f"db ({self.db}) must be non-negative")
        if not _NAME.fullmatch(self.client_id):
            raise ValueError("client_id must have no spaces, and no letters beyond ASCII")


def need_package(component: str) -> None:
    """Import redis-py.

    Raises:
        UserError: It is not installed.
    """
    need_packages(component, "redis", "redis")


def client(config: RedisClient, timeout: float) -> Any:
    """Return a client that connects when it is first used, and may be used from several threads.

    It tries nothing a second time by itself, and gives the answers of the server as they are: what redis-py makes of
    them differs between its versions.

    Args:
        config: What the user wrote.
        timeout: Seconds that connecting may take, and an answer.

    Raises:
        ConfigError: A file of TLS cannot be used.
    """
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    pool = redis.ConnectionPool(
        **_way(config),
        username=config.username or None,
        password=config.password.reveal() or None,
        db=config.db,
        client_name=config.client_id or None,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    made: Any = redis.Redis.from_pool(pool)
    made.response_callbacks.clear()
    return made


def before(id_: str) -> str:
    """Return the id that comes right before one.

    Args:
        id_: An id of an entry, ``milliseconds-number``.

    Raises:
        ValueError: It is none.
    """
    match = _ID.fullmatch(id_)
    if match is None or max(numbers := (int(match["time"]), int(match["sequence"]))) > _LAST_SEQUENCE:
        raise ValueError(f'"{id_}" is no id of an entry; write one such as 1526919030474-55')
    time, sequence = numbers
    if sequence:
        return f"{time}-{sequence - 1}"
    return f"{time - 1}-{_LAST_SEQUENCE}" if time else "0-0"


def _way(config: RedisClient) -> dict[str, Any]:
    """Return by which connections the server is reached."""
    import redis

    if config.transport == "unix":
        return {"connection_class": redis.UnixDomainSocketConnection, "path": config.endpoint}
    host, _, port = config.endpoint.rpartition(":")
    address = {"host": host.strip("[]"), "port": int(port)}
    context = config.tls.context() if config.tls is not None else None
    if config.tls is None or context is None:
        return {"connection_class": redis.Connection, **address}
    name = config.tls.server_name_override or host.strip("[]")
    return {"connection_class": _tls_connection(), **address, "context": context, "server_name": name}


def _tls_connection() -> Any:
    import redis

    plain: Any = redis.Connection

    class TlsConnection(plain):  # type: ignore[misc]  # redis-py's connections have no types
        """A connection by a context of ours, which knows more than redis-py has arguments for."""

        def __init__(self, *, context: ssl.SSLContext, server_name: str, **others: Any) -> None:
            """Keep the context, and the name that the certificate must have."""
            super().__init__(**others)
            self._context = context
            self._server_name = server_name

        def _connect(self) -> socket.socket:
            connected: socket.socket = super()._connect()
            try:
                return self._context.wrap_socket(connected, server_hostname=self._server_name)
            except BaseException:
                connected.close()
                raise

    return TlsConnection
