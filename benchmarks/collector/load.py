"""Sends a file again and again on several connections, as cheaply as can be; a process beside the measured one.

``python -m benchmarks.collector.load PROTOCOL PORT FILE CONNECTIONS REQUESTS`` prints one JSON object when all requests
are answered.
"""

from __future__ import annotations

import json
import selectors
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.collector.clients import Client, GrpcClient, HttpClient

PROTOCOLS: Final[dict[str, Callable[[int, bytes], Client]]] = {"http": HttpClient, "grpc": GrpcClient}
_READ: Final = 65536
_PATIENCE: Final = 60.0


class Load:
    """Requests that are under way.

    Args:
        clients: The connections.
        requests: How many requests in all.
    """

    def __init__(self, clients: list[Client], requests: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._left = requests
        self._under_way = 0
        self._begun: dict[int, float] = {}
        self.seconds: deque[float] = deque()
        for client in clients:
            self._selector.register(client.socket, selectors.EVENT_READ, client)
        self._clients = clients

    def run(self) -> None:
        """Send, and return when the last request is answered.

        Raises:
            TimeoutError: No answer came for long.
        """
        for client in self._clients:
            self._begin(client)
        while self._under_way:
            events = self._selector.select(_PATIENCE)
            if not events:
                raise TimeoutError(f"{self._under_way} requests have no answer")
            for key, event in events:
                self._serve(key.data, event)

    def _serve(self, client: Client, event: int) -> None:
        if event & selectors.EVENT_READ:
            data = client.socket.recv(_READ)
            if not data:
                raise ConnectionError("the server closed a connection")
            if client.incoming(data):
                self.seconds.append(time.perf_counter() - self._begun[id(client)])
                self._under_way -= 1
                self._begin(client)
        self._send(client)

    def _begin(self, client: Client) -> None:
        if not self._left:
            return
        self._left -= 1
        self._under_way += 1
        self._begun[id(client)] = time.perf_counter()
        client.begin()
        self._send(client)

    def _send(self, client: Client) -> None:
        """Send what the socket takes; be told when it takes more."""
        full = False
        while (data := client.outgoing()) and not full:
            try:
                client.sent(client.socket.send(data))
            except BlockingIOError:
                full = True
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if full else 0)
        if self._selector.get_key(client.socket).events != wanted:
            self._selector.modify(client.socket, wanted, client)


def main(arguments: list[str]) -> None:
    """Send what the arguments say."""
    protocol, port, file, connections, requests = arguments
    payload = Path(file).read_bytes()
    load = Load([PROTOCOLS[protocol](int(port), payload) for _ in range(int(connections))], int(requests))
    begun = time.perf_counter()
    load.run()
    wall = time.perf_counter() - begun
    times = sorted(load.seconds)
    print(json.dumps({"wall": wall, "median": times[len(times) // 2], "slowest": times[-1]}))


if __name__ == "__main__":
    main(sys.argv[1:])
