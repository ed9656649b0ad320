"""What is sent ends here: an OTLP/HTTP endpoint that answers, and a subscriber of a Redis channel.

Run as a module, with the port of a Redis server where there is one, it prints its address.
"""

from __future__ import annotations

import gzip
import http.server
import json
import os
import socket
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, BinaryIO

CHANNEL = b"interception"
"""Flowcept's."""

_taken: defaultdict[str, list[bytes]] = defaultdict(list)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.path.rpartition("/")[2]
        _taken[kind].append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        kind, _, what = self.path[1:].partition("/")
        bodies = _taken[kind]
        answer = sum(map(len, bodies)) if what == "bytes" else [body.hex() for body in bodies]
        self._answer(json.dumps(answer).encode(), "application/json")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing for each request."""


def taken(kind: str) -> int:
    """Return how many bytes of ``traces``, ``logs`` or ``messages`` the sink took, when no more come."""
    before, now = -1, int(_ask(f"{kind}/bytes"))
    while now > before:
        time.sleep(0.1)  # what is published waits for no answer
        before, now = now, int(_ask(f"{kind}/bytes"))
    return now


def bodies(kind: str) -> Iterator[bytes]:
    """Yield every request of ``traces`` or ``logs``, or every message, that the sink took."""
    taken(kind)
    yield from map(bytes.fromhex, _ask(kind))


def _ask(path: str) -> Any:
    with urllib.request.urlopen(f"{os.environ['BENCHMARK_SINK']}/{path}") as answer:  # noqa: S310  # on this machine
        return json.load(answer)


def _subscribe(port: int, ready: threading.Event) -> None:
    """Keep every message that is published, in Redis's own protocol."""
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as answers:
        connection.sendall(b"SUBSCRIBE " + CHANNEL + b"\r\n")
        while words := _words(answers):
            ready.set()
            if words[0] == b"message":
                _taken["messages"].append(words[2])


def _words(answers: BinaryIO) -> list[bytes]:
    count = int(answers.readline()[1:] or 0)
    words = []
    for _ in range(count):
        head = answers.readline()
        words.append(answers.read(int(head[1:]) + 2)[:-2] if head.startswith(b"$") else head[1:-2])
    return words


def main(arguments: list[str]) -> None:
    """Serve until the process is ended."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    if arguments:
        ready = threading.Event()
        threading.Thread(target=_subscribe, args=(int(arguments[0]), ready), daemon=True).start()
        ready.wait(10)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
