"""OTLP over gRPC: unary calls of the three services, with the request's bytes as they came."""

from __future__ import annotations

import base64
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from provtel_model.components import Signal
from provtel_model.http2 import literal_headers
from provtel_model.unpacking import PLAIN

from provtel_collector.http.streams import Response
from provtel_collector.receivers.otlp.verdicts import (
    ALL_PACKINGS,
    TAKEN,
    Code,
    Verdict,
    overloaded,
    unknown_packing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel_collector.http.workers import Workers
    from provtel_collector.receivers.otlp.verdicts import Route

PATHS: Final = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
PACKINGS: Final = tuple(packing for packing in ALL_PACKINGS if packing not in {"lz4", "zlib"})

_PREFIX: Final = 5
_CONTENT_TYPE: Final = (b"content-type", b"application/grpc")
_ACCEPTED: Final = (b"grpc-accept-encoding", ",".join(("identity", *PACKINGS)).encode())
_STATUS_200: Final = b"\x88"  # `:status: 200` is in HPACK's table
_HEAD: Final = _STATUS_200 + literal_headers([_CONTENT_TYPE])
_NOT_GRPC: Final = Response(literal_headers([(b":status", b"415")]))
# An empty Export…ServiceResponse: everything was taken, nothing is partial.
_TAKEN: Final = Response(_HEAD, bytes(_PREFIX), literal_headers([(b"grpc-status", b"0")]))


class OtlpOverGrpc:
    """Answers a call only after the consumer returned.

    Args:
        routes: Where the requests of each method go, and who does it.
        limit: The most bytes of a request, packed and unpacked.
    """

    def __init__(self, routes: Mapping[str, tuple[Route, Workers]], limit: int) -> None:
        self._routes = routes
        self.limit = limit + _PREFIX

    def admit(self, headers: Mapping[str, str]) -> Response | None:
        """Return why a call is not taken, as far as its headers say."""
        content_type = headers.get("content-type", "")
        if not content_type.startswith("application/grpc") or headers.get(":method") != "POST":
            return _NOT_GRPC
        if headers.get(":path") not in self._routes:
            service, _, method = headers.get(":path", "").removeprefix("/").rpartition("/")
            return _told(Verdict(Code.UNIMPLEMENTED, f"unknown service {service} or method {method}"))
        packing = headers.get("grpc-encoding", "")
        if packing not in PLAIN and packing not in PACKINGS:
            unknown = unknown_packing(packing, PACKINGS)
            return _told(Verdict(Code.UNIMPLEMENTED, f"unsupported grpc-encoding: {unknown}"))
        route, _ = self._routes[headers[":path"]]
        stranger = route.stranger(headers)
        return None if stranger is None else _told(stranger)

    def too_large(self, headers: Mapping[str, str]) -> Response:
        """Return what is said to a request that is longer than allowed."""
        route, _ = self._routes[headers[":path"]]
        return _told(route.too_large())

    def overloaded(self, _headers: Mapping[str, str]) -> Response:
        """Return what is said to a request that there is no room for now."""
        return _told(overloaded())

    def take(self, headers: Mapping[str, str], body: bytes, reply: Callable[[Response], None]) -> None:
        """Have a call taken by a worker."""
        route, workers = self._routes[headers[":path"]]
        if not workers.submit(partial(_take, route, headers, body, reply)):
            reply(_told(overloaded()))


def _take(route: Route, headers: Mapping[str, str], body: bytes, reply: Callable[[Response], None]) -> None:
    verdict = Verdict(Code.INTERNAL, "this receiver failed in a way that it should not")
    try:
        verdict = _taken(route, headers, body)
    finally:
        reply(_told(verdict))


def _taken(route: Route, headers: Mapping[str, str], body: bytes) -> Verdict:
    if len(body) < _PREFIX or int.from_bytes(body[1:_PREFIX], "big") != len(body) - _PREFIX:
        return Verdict(Code.INVALID_ARGUMENT, "a unary call has one message, of the length that it says")
    packing = headers.get("grpc-encoding", "")
    if body[0] and packing in PLAIN:
        return Verdict(Code.INTERNAL, "a packed message without grpc-encoding")
    return route.take(headers, body[_PREFIX:], packing if body[0] else "")


def _told(verdict: Verdict) -> Response:
    return _TAKEN if verdict is TAKEN else _refusal(verdict)


@lru_cache(maxsize=64)
def _refusal(verdict: Verdict) -> Response:
    """Return an answer that consists of trailers."""
    message = quote(verdict.text, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")
    trailers = [_CONTENT_TYPE, (b"grpc-status", str(verdict.code.value).encode()), (b"grpc-message", message.encode())]
    if verdict.wait is not None:
        trailers.append((b"grpc-status-details-bin", base64.b64encode(verdict.status()).rstrip(b"=")))
    if verdict.code is Code.UNIMPLEMENTED:
        trailers.append(_ACCEPTED)
    return Response(_STATUS_200 + literal_headers(trailers))
