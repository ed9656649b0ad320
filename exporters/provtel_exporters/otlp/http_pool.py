"""Connections to one address by HTTP/1.1 that stay open: a thread takes one, posts, and gives it back.

The standard library's client does it: a request is one write, an answer one read, and nothing is waited for besides.
"""

from __future__ import annotations

import base64
import http.client
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from provtel_model.errors import ConfigError

if TYPE_CHECKING:
    import ssl

    from provtel_exporters.otlp.config import OtlpHttpConfig

_BODY_LIMIT: Final = 2**20
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a server answered.

    Args:
        status: HTTP's status.
        headers: By names in lower case.
        body: What it said.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> str:
        """The media type of the body."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class HttpPool:
    """Posts to one address.

    Args:
        address: The address.
        config: What the user wrote.
        path: Where the configuration has it.

    Raises:
        ConfigError: What TLS names is not there.
    """

    def __init__(self, address: str, config: OtlpHttpConfig, path: str) -> None:
        self._address = urlsplit(address)
        self._timeout = config.timeout or None
        self._proxy = _proxy(self._address, config.proxy_url)
        self._context: ssl.SSLContext | None = None
        self._server_name = config.tls.server_name_override
        if self._address.scheme == "https":
            try:
                self._context = config.tls.verified(("http/1.1",))
            except ConfigError as error:
                raise ConfigError(str(error), f"{path}::tls") from error
        self._proxy_headers = _proxy_auth(self._proxy) if self._proxy and self._context is None else {}
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []
        self._most_idle = config.idle_connections
        self._idle_seconds = config.idle_conn_timeout or math.inf
        self._lock = threading.Lock()
        self._closed = False
        self.where = f"{self._address.scheme}://{self._host}:{self._port}{self._address.path}"

    def post(self, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """Post a body and return the answer.

        A connection that the server closed while nobody used it is replaced by a new one, once.

        Raises:
            OSError: The server cannot be reached or does not answer in time.
            HTTPException: What it answers is no HTTP.
        """
        connection = self._take()
        if connection is not None:
            try:
                return self._post(connection, body, headers)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                connection.close()
        return self._post(self._new(), body, headers)

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    @property
    def _host(self) -> str:
        return self._address.hostname or ""

    @property
    def _port(self) -> int:
        return self._address.port or _PORTS[self._address.scheme]

    def _post(self, connection: http.client.HTTPConnection, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        try:
            connection.request("POST", self._target(), body, {**headers, **self._proxy_headers})
            response = connection.getresponse()
            said = response.read(_BODY_LIMIT)
            told = {name.lower(): value for name, value in response.getheaders()}
            reusable = response.isclosed() and not response.will_close
        except BaseException:
            connection.close()
            raise
        self._give_back(connection, reusable=reusable)
        return HttpAnswer(response.status, told, said)

    def _target(self) -> str:
        query = f"?{self._address.query}" if self._address.query else ""
        path = (self._address.path or "/") + query
        plain = self._proxy is not None and self._context is None
        return f"http://{self._host}:{self._port}{path}" if plain else path

    def _take(self) -> http.client.HTTPConnection | None:
        """Return the connection that was used last, unless that is too long ago; then close all of them."""
        oldest = time.monotonic() - self._idle_seconds
        with self._lock:
            if self._idle and self._idle[-1][0] > oldest:
                return self._idle.pop()[1]
            forgotten, self._idle = self._idle, []
        for _, connection in forgotten:
            connection.close()
        return None

    def _give_back(self, connection: http.client.HTTPConnection, *, reusable: bool) -> None:
        with self._lock:
            if reusable and not self._closed and len(self._idle) < self._most_idle:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()

    def _new(self) -> http.client.HTTPConnection:
        proxy = self._proxy
        host, port = (self._host, self._port) if proxy is None else (proxy.hostname or "", proxy.port or 80)
        if self._context is None:
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        connection = _Secured(host, port, self._context, self._timeout, self._server_name or self._host)
        if proxy is not None:
            connection.set_tunnel(self._host, self._port, _proxy_auth(proxy))
        return connection


class _Secured(http.client.HTTPSConnection):
    """A connection with TLS to a server that may be called otherwise than its address."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, timeout: float | None, server_name: str) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._secure_by = context
        self._server_name = server_name

    def connect(self) -> None:
        """Connect, through the proxy where there is one, and speak TLS."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._secure_by.wrap_socket(self.sock, server_hostname=self._server_name)


def _proxy(address: SplitResult, named: str) -> SplitResult | None:
    """Return the proxy between here and an address, as the configuration or else the environment names it."""
    if named:
        return urlsplit(named)
    found = getproxies().get(address.scheme)
    if not found or not address.hostname or proxy_bypass(address.hostname):
        return None
    return urlsplit(found if "://" in found else f"http://{found}")


def _proxy_auth(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    who = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(who.encode()).decode()}"}
