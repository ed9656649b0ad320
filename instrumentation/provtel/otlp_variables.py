"""How to send to an endpoint, by the variables that every OpenTelemetry exporter reads: ``OTEL_EXPORTER_OTLP_*``.

Of each there is one for all signals, and one for each signal, which comes first.
"""

from __future__ import annotations

import gzip
import http.client
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from provtel import notices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel_model.components import Signal

_PREFIX: Final = "OTEL_EXPORTER_OTLP_"
_OURS: Final = "PROVTEL_ENDPOINT"
_TIMEOUT: Final = 10.0
_COMPRESSIONS: Final[dict[str, Callable[[bytes], bytes]]] = {"gzip": gzip.compress, "deflate": zlib.compress}
_PROTOCOL: Final = "http/protobuf"


class Way(NamedTuple):
    """How requests of a signal go.

    Args:
        server: Scheme and host, with the port where one is told.
        path: Path at the server.
        headers: What a request says besides its content type.
        timeout: Seconds that an answer may take.
        compress: Packs a request; ``None`` where it goes as it is.
        files: Of certificates: of who is trusted, our own, and its key; for ``https`` alone.
    """

    server: tuple[str, str]
    path: str
    headers: dict[str, str]
    timeout: float
    compress: Callable[[bytes], bytes] | None
    files: tuple[str | None, str | None, str | None]

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection, which is made with the first request; certificates are read anew.

        Raises:
            OSError: A file of certificates cannot be read, or has none.
        """
        scheme, host = self.server
        if scheme != "https":
            return http.client.HTTPConnection(host, timeout=self.timeout)
        import ssl

        trusted, own, key = self.files
        context = ssl.create_default_context(cafile=trusted)
        if own is not None:
            context.load_cert_chain(own, key)
        return http.client.HTTPSConnection(host, timeout=self.timeout, context=context)


def way_of(signal: Signal, endpoint: str, environment: Mapping[str, str]) -> Way:
    """Return how requests of a signal go; what cannot be understood is said, and left out."""

    def said(name: str) -> str | None:
        return environment.get(f"{_PREFIX}{signal.name}_{name}") or environment.get(_PREFIX + name) or None

    protocol = said("PROTOCOL")
    if protocol not in {None, _PROTOCOL}:
        notices.say(
            "protocol",
            f"{_PREFIX}PROTOCOL is {protocol}, and provtel sends {_PROTOCOL}: the endpoint has to be one for HTTP, "
            "whose port is 4318 as a rule",
        )
    compression = said("COMPRESSION")
    headers = _headers(said("HEADERS") or "")
    if compression in _COMPRESSIONS:
        headers["Content-Encoding"] = compression
    elif compression not in {None, "none"}:
        notices.say("compression", f"{_PREFIX}COMPRESSION is ignored: {compression!r} (write gzip, deflate or none)")
    # Our own variable comes first, and is for all signals.
    own = None if environment.get(_OURS) else environment.get(f"{_PREFIX}{signal.name}_ENDPOINT")
    address = urlsplit(own or f"{endpoint.rstrip('/')}/v1/{signal}")
    return Way(
        (address.scheme, address.netloc.rpartition("@")[2]),
        address.path or "/",
        headers,
        _seconds(said("TIMEOUT")),
        _COMPRESSIONS.get(compression or ""),
        (said("CERTIFICATE"), said("CLIENT_CERTIFICATE"), said("CLIENT_KEY")),
    )


def _headers(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(","))
    return {unquote(key.strip()): unquote(value.strip()) for key, mark, value in pairs if mark and key.strip()}


def _seconds(text: str | None) -> float:
    try:
        seconds = _TIMEOUT if text is None else float(text)
    except ValueError:
        seconds = 0.0
    if seconds > 0:
        return seconds
    notices.say("timeout", f"{_PREFIX}TIMEOUT is ignored: {text!r} (write seconds)")
    return _TIMEOUT
