"""An event loop in a thread of its own, the doors that it keeps, and whoever came in by them.

Everything that a connection may cost is bounded here: how many there are, how much of what they send is held, and how
long one may say nothing.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

_log = logging.getLogger(__name__)

# Every connection costs a descriptor; the rest of the collector needs some too.
_CONNECTIONS: Final = 4096
_OTHER_DESCRIPTORS: Final = 128
_HELD_BYTES: Final = 128 * 2**20
_PARTS: Final = 8
_BACKLOG: Final = 4096
_SWEEP_SECONDS: Final = 1.0
_HANDSHAKE_SECONDS: Final = 10.0
# Those who are told that there is no room; whoever comes beyond them is not told.
_REFUSED_AT_ONCE: Final = 256
_REFUSED_SECONDS: Final = 2.0
# A connection that was accepted while the door was closed is made, refused and closed in one round each.
_LAST_ROUNDS: Final = 4


class Connection(Protocol):
    """What a server knows of a connection; all of it happens in the thread of the event loop."""

    deadline: float

    def expire(self) -> None:
        """End it, because its deadline has passed."""

    def finish(self) -> None:
        """End it as soon as what was asked is answered."""

    def abort(self) -> None:
        """End it now."""


@dataclass(frozen=True)
class Limits:
    """What all the connections of a server together may cost.

    Args:
        connections: The most at once.
        held: The most bytes of requests that are not answered yet.
        sweep: How often connections that say nothing are looked for, in seconds.
    """

    connections: int = _CONNECTIONS
    held: int = _HELD_BYTES
    sweep: float = _SWEEP_SECONDS


@dataclass(frozen=True)
class Door:
    """A socket that listens, and what speaks with those who connect.

    Args:
        listener: The socket; the server owns it from now on.
        connect: Makes what speaks on a connection.
        context: How TLS is spoken; None for not at all.
    """

    listener: socket.socket
    connect: Callable[[Server], asyncio.Protocol]
    context: ssl.SSLContext | None = None


@dataclass(eq=False)
class Server:
    """Serves at several doors, in one thread.

    Args:
        doors: Where.
        drain_seconds: How long `stop` waits for requests that are being answered.
        limits: What it may cost.
        name: What the thread is called.
    """

    doors: Sequence[Door]
    drain_seconds: float
    limits: Limits = field(default_factory=Limits)
    name: str = "provtel-http"

    def __post_init__(self) -> None:
        """Prepare everything that needs no thread."""
        self.loop = new_loop()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._connections: set[Connection] = set()
        self._refused: set[Connection] = set()
        self._held = 0
        self._room = min(self.limits.connections, _descriptors())
        self._sweeping = False
        self._draining = False
        self._open: list[asyncio.Server] = []

    def start(self) -> None:
        """Serve; return when requests are taken."""
        self._thread.start()
        self._call(self._listen())

    def stop(self) -> None:
        """Take no more connections, answer what was asked, and close; safe to call twice."""
        if self._thread.is_alive():
            self._call(self._drain())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
        for door in self.doors:
            door.listener.close()
        if not self.loop.is_closed():
            self.loop.close()

    def every(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something again and again, in the thread of the event loop; to be called before `start`."""

        def repeat() -> None:
            action()
            self.loop.call_later(seconds, repeat)

        self.loop.call_later(seconds, repeat)

    def from_thread(self, call: Callable[..., None], *arguments: object) -> None:
        """Have something done in the thread of the event loop; nothing, where that has ended."""
        try:
            self.loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            _log.debug("the event loop ended before an answer could be given")

    def opened(self, connection: Connection) -> bool:
        """Know of a connection; return False where there are too many."""
        if self._draining:
            connection.abort()
            return False
        self._sweep_later()
        if len(self._connections) < self._room:
            self._connections.add(connection)
            return True
        if len(self._refused) < _REFUSED_AT_ONCE:
            connection.deadline = time.monotonic() + _REFUSED_SECONDS
            self._refused.add(connection)
        else:
            connection.abort()
        return False

    def closed(self, connection: Connection) -> None:
        """Know that a connection has ended."""
        self._connections.discard(connection)
        self._refused.discard(connection)

    def hold(self, nbytes: int) -> bool:
        """Make room for a part of a request; return False where there is none."""
        if self._held + nbytes > self.limits.held:
            return False
        self._held += nbytes
        return True

    def hold_part(self, nbytes: int) -> bool:
        """Make room for what is of no request yet: a little more than for requests, which so are refused first."""
        if self._held + nbytes > self.limits.held + self.limits.held // _PARTS:
            return False
        self._held += nbytes
        return True

    def release(self, nbytes: int) -> None:
        """Give room back."""
        self._held -= nbytes

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    async def _listen(self) -> None:
        for door in self.doors:
            local = door.listener.family == getattr(socket, "AF_UNIX", None)
            create: Callable[..., Any] = self.loop.create_unix_server if local else self.loop.create_server
            handshake = None if door.context is None else _HANDSHAKE_SECONDS
            self._open.append(
                await create(
                    lambda door=door: door.connect(self),
                    sock=door.listener,
                    ssl=door.context,
                    ssl_handshake_timeout=handshake,
                    backlog=_BACKLOG,
                )
            )

    async def _drain(self) -> None:
        self._draining = True
        for server in self._open:
            server.close()
        for connection in tuple(self._connections):
            connection.finish()
        until = time.monotonic() + self.drain_seconds
        while self._connections and time.monotonic() < until:  # noqa: ASYNC110  # many events, at the end of a life
            await asyncio.sleep(0.01)
        for connection in (*self._connections, *self._refused):
            connection.abort()
        for _ in range(_LAST_ROUNDS):  # let the transports close their sockets
            await asyncio.sleep(0)

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self.loop.call_later(self.limits.sweep, self._sweep)

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in (*self._connections, *self._refused):
            if connection.deadline < now:
                connection.expire()
        self._sweeping = False
        if self._connections or self._refused:
            self._sweep_later()


def new_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop: the fast one where it is installed."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _descriptors() -> int:
    """Return how many connections there may be for the sake of descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, soft - _OTHER_DESCRIPTORS)
