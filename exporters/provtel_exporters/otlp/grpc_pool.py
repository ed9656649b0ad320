"""Connections to one gRPC server that stay open: a thread takes one, calls, and gives it back."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from provtel_model.errors import ConfigError

from provtel_exporters.otlp.grpc_connection import GrpcAnswer, GrpcConnection, NotSentError

if TYPE_CHECKING:
    import ssl

    from provtel_exporters.otlp.config import OtlpGrpcConfig

_PROXY_ANSWER_LIMIT: Final = 16_384
_FOR_EVER: Final = 86_400.0


class GrpcPool:
    """Calls one server.

    Args:
        config: What the user wrote.
        path: Where.

    Raises:
        ConfigError: What TLS names is not there.
    """

    def __init__(self, config: OtlpGrpcConfig, path: str) -> None:
        self._file = config.path
        self._host, self._port = ("localhost", 0) if self._file else config.host_and_port
        self._timeout = config.timeout or _FOR_EVER
        self._server_name = config.tls.server_name_override or self._host
        self._context: ssl.SSLContext | None = None
        if not config.insecure:
            try:
                self._context = config.tls.verified(("h2",))
            except ConfigError as error:
                raise ConfigError(str(error), f"{path}::tls") from error
        self.scheme = "http" if self._context is None else "https"
        self.authority = config.authority or (self._host if self._file else self._address)
        self.where = config.endpoint
        self._idle: list[GrpcConnection] = []
        self._lock = threading.Lock()
        self._closed = False

    def call(self, head: bytes, message: bytes) -> GrpcAnswer:
        """Make a call, and return the answer.

        Raises:
            OSError: The server cannot be reached, or does not answer in time.
        """
        deadline = time.monotonic() + self._timeout
        connection = self._take()
        if connection is not None:
            with contextlib.suppress(NotSentError):
                return self._call(connection, head, message, deadline)
        return self._call(self._connect(deadline), head, message, deadline)

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _call(self, connection: GrpcConnection, head: bytes, message: bytes, deadline: float) -> GrpcAnswer:
        try:
            answer = connection.call(head, message, deadline)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if connection.usable and not self._closed:
                self._idle.append(connection)
                return answer
        connection.close()
        return answer

    def _take(self) -> GrpcConnection | None:
        """Return a connection that the server has left open; close those that it has not."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.still_open():
                return connection
            connection.close()

    def _connect(self, deadline: float) -> GrpcConnection:
        connected = self._reached(deadline)
        try:
            connected.settimeout(max(0.001, deadline - time.monotonic()))
            if self._context is not None:
                secured = self._context.wrap_socket(connected, server_hostname=self._server_name)
                connected = secured
                if secured.selected_alpn_protocol() not in {"h2", None}:
                    raise ConnectionError("the server does not speak HTTP/2")  # noqa: TRY301  # closed below
            return GrpcConnection(connected, deadline)
        except BaseException:
            connected.close()
            raise

    def _reached(self, deadline: float) -> socket.socket:
        left = max(0.001, deadline - time.monotonic())
        if self._file:
            local = socket.socket(socket.AF_UNIX)
            local.settimeout(left)
            try:
                local.connect(self._file)
            except BaseException:
                local.close()
                raise
            return local
        proxy = None if proxy_bypass(self._host) else getproxies().get("https" if self._context else "grpc")
        if proxy:
            return _through(proxy, self._address, left)
        connected = socket.create_connection((self._host, self._port), left)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    @property
    def _address(self) -> str:
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"


def _through(proxy: str, target: str, timeout: float) -> socket.socket:
    """Return a connection through a proxy of HTTP."""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    connected = socket.create_connection((parts.hostname or "", parts.port or 80), timeout)
    asked = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if parts.username:
        who = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        asked += f"Proxy-Authorization: Basic {base64.b64encode(who.encode()).decode()}\r\n"
    try:
        connected.sendall(f"{asked}\r\n".encode("latin-1"))
        said = b""
        while b"\r\n\r\n" not in said and len(said) < _PROXY_ANSWER_LIMIT:
            part = connected.recv(1)  # what follows the empty line is the server's already
            if not part:
                break
            said += part
        if said[9:12] != b"200":
            first = said.partition(b"\r\n")[0].decode(errors="replace")
            raise ConnectionError(f"the proxy {parts.hostname} refuses: {first}")  # noqa: TRY301  # closed below
    except BaseException:
        connected.close()
        raise
    return connected
