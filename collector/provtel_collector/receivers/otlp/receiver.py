"""The ``otlp`` receiver: its doors, and the threads that take what comes in."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model.components import Authenticator, RefusesEarly, Signal
from provtel_model.errors import ConfigError

from provtel_collector import memory
from provtel_collector.delivery import over
from provtel_collector.http.http1 import Http1Connection
from provtel_collector.http.http2 import Http2Connection
from provtel_collector.http.listening import address_of, listen
from provtel_collector.http.serving import Door, Limits, Server
from provtel_collector.http.workers import Workers
from provtel_collector.located import located
from provtel_collector.receivers.otlp.budget import Budget
from provtel_collector.receivers.otlp.config import HttpConfig
from provtel_collector.receivers.otlp.cross_origin import CrossOrigin
from provtel_collector.receivers.otlp.over_grpc import PATHS, OtlpOverGrpc
from provtel_collector.receivers.otlp.over_http import OtlpOverHttp
from provtel_collector.receivers.otlp.verdicts import Route

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterator, Mapping

    from provtel_model.components import Context
    from provtel_model.tls import ServerTls

    from provtel_collector.receivers.otlp.config import AuthConfig, GrpcConfig, OtlpConfig

_log = logging.getLogger(__name__)

# Requests that are not answered yet may take one part in so many of the memory.
_SHARE: Final = 4
_DRAIN_SECONDS: Final = 10


class OtlpReceiver:
    """Takes OTLP over gRPC and HTTP, and answers only what is durable.

    Each signal has threads of its own, so that one whose exporters wait keeps no other waiting.

    Args:
        config: What the user wrote.
        context: Where it stands; a signal without a consumer is not found.
        limits: What all its connections together may cost.
    """

    def __init__(self, config: OtlpConfig, context: Context, limits: Limits | None = None) -> None:
        self._protocols = config.protocols
        self._context = context
        self._limits = limits or limits_of(config)
        self._budget = Budget(self._limits.held)
        self._objects = Budget(self._limits.held // 2)
        self._workers: dict[Signal, Workers] = {}
        self._listeners: list[socket.socket] = []
        self._server: Server | None = None
        self.addresses: tuple[str, ...] = ()

    def start(self) -> None:
        """Listen; return when requests are taken.

        Raises:
            ConfigError: Nothing can listen at an endpoint, or what TLS or auth name is not there.
        """
        name = f"provtel-{self._context.id}"
        self._workers = {signal: Workers(f"{name}-{signal}") for signal in self._context.next}
        try:
            doors = list(self._doors())
        except BaseException:
            self._close()
            raise
        self._server = Server(doors, _DRAIN_SECONDS, self._limits, name)
        self._reload_certificates(self._server)
        self._server.start()

    def shutdown(self) -> None:
        """Take no more connections, answer what was asked, and stop."""
        if self._server is not None:
            self._server.stop()
        for workers in self._workers.values():
            workers.shutdown()
        self._close()

    def _close(self) -> None:
        for listener in self._listeners:
            if listener.fileno() >= 0:
                listener.close()
        for address in self.addresses:
            if address.startswith("unix://"):
                Path(address.removeprefix("unix://")).unlink(missing_ok=True)

    def _doors(self) -> Iterator[Door]:
        path = f"receivers::{self._context.id}::protocols"
        if self._protocols.http is not None:
            yield self._http_door(self._protocols.http, f"{path}::http")
        if self._protocols.grpc is not None:
            yield self._grpc_door(self._protocols.grpc, f"{path}::grpc")

    def _http_door(self, config: HttpConfig, path: str) -> Door:
        routes = self._routes(config, config.paths, "max_request_body_size", path)
        cross_origin = CrossOrigin(config.cors) if config.cors is not None and config.cors.allowed_origins else None
        handler = OtlpOverHttp(
            routes, config.size_limit, config.compression_algorithms, config.response_headers, cross_origin
        )
        context = _context(config.tls, ("http/1.1",), path)
        listener = self._listen(config, path, "http" if context is None else "https")
        return Door(listener, partial(Http1Connection, handler=handler, patience=config.patience), context)

    def _grpc_door(self, config: GrpcConfig, path: str) -> Door:
        handler = OtlpOverGrpc(self._routes(config, PATHS, "max_recv_msg_size_mib", path), config.size_limit)
        context = _context(config.tls, ("h2",), path)
        listener = self._listen(config, path, "grpc" if context is None else "grpcs")
        return Door(listener, partial(Http2Connection, handler=handler, keeping=config.keeping), context)

    def _listen(self, config: HttpConfig | GrpcConfig, path: str, scheme: str) -> socket.socket:
        asks = config.auth is not None or (config.tls is not None and bool(config.tls.client_ca_file))
        listener = listen(config.endpoint, f"{path}::endpoint", config.transport, asks=asks)
        self._listeners.append(listener)
        self.addresses = (*self.addresses, address_of(listener, scheme))
        return listener

    def _routes(
        self, config: HttpConfig | GrpcConfig, paths: Mapping[Signal, str], limit_name: str, path: str
    ) -> dict[str, tuple[Route, Workers]]:
        authenticator = self._authenticator(config.auth, f"{path}::auth")
        early = authenticator if isinstance(authenticator, RefusesEarly) else None
        limit, include = config.size_limit, config.include_metadata
        transport = "http" if isinstance(config, HttpConfig) else "grpc"
        following = {signal: over(consumer, transport) for signal, consumer in self._context.next.items()}
        return {
            paths[signal]: (
                Route(signal, consumer, limit, limit_name, authenticator, include, self._budget, self._objects, early),
                self._workers[signal],
            )
            for signal, consumer in following.items()
        }

    def _authenticator(self, config: AuthConfig | None, path: str) -> Authenticator | None:
        if config is None:
            return None
        found = self._context.extensions.get(config.authenticator)
        if found is None:
            raise ConfigError(
                f'failed to resolve authenticator "{config.authenticator}": authenticator not found', path
            )
        if not isinstance(found, Authenticator):
            raise ConfigError(f'"{config.authenticator}" is no server authenticator', path)
        return found

    def _reload_certificates(self, server: Server) -> None:
        protocols = [one for one in (self._protocols.http, self._protocols.grpc) if one is not None]
        for protocol, door in zip(protocols, server.doors, strict=True):
            tls = protocol.tls
            if tls is not None and door.context is not None and tls.reload_interval:
                server.every(tls.reload_interval, partial(_reload, tls, door.context))


def limits_of(config: OtlpConfig) -> Limits:
    """Return what connections may cost: a share of the memory there is, and enough for two of the largest requests."""
    protocols = [one for one in (config.protocols.http, config.protocols.grpc) if one is not None]
    share = min(Limits.held, memory.available() // _SHARE)
    return Limits(held=max(share, *(2 * one.size_limit for one in protocols)))


def _context(tls: ServerTls | None, protocols: tuple[str, ...], path: str) -> ssl.SSLContext | None:
    if tls is None:
        return None
    with located(f"{path}::tls"):
        return tls.context(protocols)


def _reload(tls: ServerTls, context: ssl.SSLContext) -> None:
    """Show the certificate that is on disk now; the one from before, where that is none."""
    try:
        tls.load_into(context)
    except ConfigError as error:
        _log.warning("the certificate stays as it was: %s", error)
