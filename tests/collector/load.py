"""Senders that do what senders of OTLP do: they send a request again until it is acknowledged."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field

from tests.collector.parts import traces

HEADERS = {"Content-Type": "application/x-protobuf"}
ANSWER_SECONDS = 20


def free_port() -> int:
    """Return a port on which nothing listens, so that a collector can come back where it was."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Load:
    """Spans that are sent by several senders at once, each request until it is acknowledged.

    Args:
        port: Where to send.
        spans: How many spans a request has.
        pause: Seconds between two requests of a sender.
    """

    port: int
    spans: int = 3
    pause: float = 0.0
    acknowledged: set[str] = field(default_factory=set)
    refused: int = 0

    def __post_init__(self) -> None:
        """Count from one."""
        self._numbers = itertools.count(1, self.spans)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self, senders: int) -> None:
        """Begin to send."""
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(senders)]
        for thread in self._threads:
            thread.start()

    def end(self, seconds: float = 60) -> None:
        """Begin no more requests, and wait until the last ones are acknowledged."""
        self._stop.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
            assert not thread.is_alive(), "a request was not acknowledged"

    def _send(self) -> None:
        while not self._stop.is_set():
            first = next(self._numbers)
            body = traces(self.spans, first)
            while not self._posted(body):
                self.refused += 1
                time.sleep(0.05)
            self.acknowledged.update(f"{number:016x}" for number in range(first, first + self.spans))
            time.sleep(self.pause)

    def _posted(self, body: bytes) -> bool:
        """Post a request; return whether it was acknowledged."""
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)) as connection:
                connection.request("POST", "/v1/traces", body, HEADERS)
                return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
