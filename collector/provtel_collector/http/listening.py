"""Endpoints as configurations spell them, ``host:port`` or a path, and sockets that listen there."""

from __future__ import annotations

import errno
import logging
import socket
import stat
from pathlib import Path
from typing import Final, Literal

from provtel_model.errors import ConfigError

_log = logging.getLogger(__name__)

_PORT_LIMIT: Final = 65535
_BACKLOG: Final = 1024
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # to warn of, not to bind


_LOCAL: Final = "unix:"

Transport = Literal["tcp", "tcp4", "tcp6", "unix"]


def check_endpoint(endpoint: str, transport: Transport = "tcp") -> None:
    """Refuse what nothing can listen on.

    Raises:
        ValueError: It is neither a host with a port nor the path of a socket.
    """
    path = local_path(endpoint, transport)
    if path is None:
        parse_endpoint(endpoint)
    elif not str(path).startswith("/"):
        raise ValueError(f'endpoint "{endpoint}": write the whole path of the socket, such as unix:///run/otlp.sock')


def local_path(endpoint: str, transport: Transport = "tcp") -> Path | None:
    """Return the path of the socket that an endpoint names; None where it names a host and a port."""
    if endpoint.startswith(_LOCAL):
        return Path(endpoint.removeprefix(_LOCAL).replace("//", "", 1))
    return Path(endpoint) if transport == "unix" else None


def parse_endpoint(endpoint: str) -> tuple[str, int]:
    """Return the host and the port of an endpoint; an empty host means every interface.

    Raises:
        ValueError: It is no endpoint.
    """
    host, colon, port = endpoint.rpartition(":")
    if not colon or host.count("[") != host.count("]") or (host.endswith("]") and not host.startswith("[")):
        raise ValueError(f'endpoint "{endpoint}": missing port in address; write host:port, such as localhost:4318')
    if ":" in host and not host.startswith("["):
        raise ValueError(f'endpoint "{endpoint}": too many colons in address; write an IPv6 host as [::1]:4318')
    if not port.isascii() or not port.isdigit() or int(port) > _PORT_LIMIT:
        raise ValueError(f'endpoint "{endpoint}": "{port}" is no port')
    return host.removeprefix("[").removesuffix("]"), int(port)


def listen(endpoint: str, path: str, transport: Transport = "tcp", *, asks: bool = False) -> socket.socket:
    """Return a socket that listens at an endpoint; ``localhost`` is the IPv4 one where there is one.

    A socket file that nobody listens on any more is replaced.

    Args:
        endpoint: Where to listen.
        path: Where the configuration has the endpoint, for the error.
        transport: What the endpoint names.
        asks: Clients are asked who they are.

    Raises:
        ConfigError: Nothing can listen there.
    """
    file = local_path(endpoint, transport)
    if file is not None:
        return _local(file, path)
    host, port = parse_endpoint(endpoint)
    if host in _EVERYWHERE and not asks:
        _log.warning(
            "%s: %s is open to every host that can reach this one; nobody is asked who they are", path, endpoint
        )
    try:
        return _bound(host, port)
    except OSError as error:
        raise ConfigError(f"cannot listen on {endpoint}: {_reason(error)}", path) from error


def _local(file: Path, path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        if file.exists() and stat.S_ISSOCK(file.stat().st_mode) and not _answers(file):
            file.unlink()
        listener.bind(str(file))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen on {file}: {_reason(error)}", path) from error
    return listener


def _answers(file: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(file)) == 0


def _bound(host: str, port: int) -> socket.socket:
    if host in {"", "::"} and socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    return socket.create_server(address[:2], family=family, backlog=_BACKLOG)


def address_of(listener: socket.socket, scheme: str = "http") -> str:
    """Return the address at which a socket really listens, as ``http://host:port`` or ``unix:///path``."""
    if listener.family == socket.AF_UNIX:
        return f"{_LOCAL}//{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "address already in use; stop the program that listens there, or choose another port"
    if error.errno == errno.EACCES:
        return "permission denied; ports below 1024 are the system's, choose another"
    return error.strerror or str(error)
