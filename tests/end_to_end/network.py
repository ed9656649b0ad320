"""A stretch of network that can be cut, silenced and slowed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 65_536


class Network:
    """Passes bytes on between clients and a server, as long as it is let.

    Args:
        port: Where the server is on this machine.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._is_cut = False
        self._flows = threading.Event()
        self._flows.set()
        self.delay = 0.0

    @property
    def address(self) -> str:
        """Where clients come."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def accept(self) -> None:
        """Take connections until closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            if self._is_cut:
                raise ConnectionRefusedError
            server = socket.create_connection(("127.0.0.1", self._port))
        except OSError:
            client.close()
            return
        with self._lock:
            self._open |= {client, server}
        for source, goal in ((client, server), (server, client)):
            thread = threading.Thread(target=self._pass_on, args=(source, goal), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _pass_on(self, source: socket.socket, goal: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(CHUNK):
                self._flows.wait()
                if self.delay:
                    time.sleep(self.delay)
                goal.sendall(content)
        self._end(source, goal)

    def _end(self, *ends: socket.socket) -> None:
        with self._lock:
            self._open -= set(ends)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def cut(self) -> None:
        """End every connection, and let none begin."""
        self._is_cut = True
        self._end(*self._open)

    def silence(self) -> None:
        """Pass nothing on, and tell nobody."""
        self._flows.clear()

    def mend(self) -> None:
        """Let everything through again."""
        self._is_cut = False
        self.delay = 0.0
        self._flows.set()

    def close(self) -> None:
        """End everything."""
        self.mend()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end(*self._open)
        for thread in self._threads:
            thread.join()


@contextmanager
def network_to(port: int) -> Iterator[Network]:
    """Lay a stretch of network to a server for as long as the block lasts."""
    network = Network(port)
    accepting = threading.Thread(target=network.accept, daemon=True)
    accepting.start()
    try:
        yield network
    finally:
        network.close()
        accepting.join()
