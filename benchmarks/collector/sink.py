"""Where a collector sends to by OTLP/HTTP: takes everything, answers at once, and counts.

``python -m benchmarks.collector.sink`` prints its port; each line on its standard input is answered by the number of
requests that it took so far.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Final

_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Sink(asyncio.Protocol):
    """One connection."""

    taken = 0

    def __init__(self) -> None:
        self._head = b""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Count what is complete, and answer it."""
        while data:
            if self._missing:
                taken, data = data[: self._missing], data[self._missing :]
                self._missing -= len(taken)
            else:
                self._head += data
                head, end, data = self._head.partition(b"\r\n\r\n")
                if not end:
                    return
                self._head = b""
                length = _LENGTH.search(head)
                self._missing = int(length[1]) if length else 0
            if not self._missing:
                Sink.taken += 1
                self._transport.write(_ANSWER)


async def serve() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(Sink.taken, flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
