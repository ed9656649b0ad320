"""Endpoints as configurations spell them, ``host:port``, and sockets that listen there."""

from __future__ import annotations

import errno
import logging
import socket
from typing import Final

from provtel_model.errors import ConfigError

_log = logging.getLogger(__name__)

_PORT_LIMIT: Final = 65535
_BACKLOG: Final = 1024
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # to warn of, not to bind


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


def listen(endpoint: str, path: str) -> socket.socket:
    """Return a socket that listens at an endpoint; ``localhost`` is the IPv4 one where there is one.

    Args:
        endpoint: Where to listen.
        path: Where the configuration has the endpoint, for the error.

    Raises:
        ConfigError: Nothing can listen there.
    """
    host, port = parse_endpoint(endpoint)
    if host in _EVERYWHERE:
        _log.warning(
            "%s: %s is open to every host that can reach this one; nobody is asked who they are", path, endpoint
        )
    try:
        return _bound(host, port)
    except OSError as error:
        raise ConfigError(f"cannot listen on {endpoint}: {_reason(error)}", path) from error


def _bound(host: str, port: int) -> socket.socket:
    if host in {"", "::"} and socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    return socket.create_server(address[:2], family=family, backlog=_BACKLOG)


def address_of(listener: socket.socket) -> str:
    """Return the address at which a socket really listens, as ``http://host:port``."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "address already in use; stop the program that listens there, or choose another port"
    if error.errno == errno.EACCES:
        return "permission denied; ports below 1024 are the system's, choose another"
    return error.strerror or str(error)
