"""A real OTLP/HTTP server for the tests of the shipper: it can answer anything, go away and come back."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from provtel_model.components import Signal
from provtel_model.otlp import check, decode
from provtel_model.otlp.observations import decode_points
from provtel_model.record import Record
from provtel_model.telemetry import PlainPoint

WAIT = 15.0
_SIGNALS = {"/v1/traces": Signal.TRACES, "/v1/logs": Signal.LOGS, "/v1/metrics": Signal.METRICS}


class OtlpServer:
    """Takes traces, logs and metrics, or answers what it is told.

    Args:
        port: Where it listens; 0 for any free port.
        tls: How it speaks TLS, where it does.
    """

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Begin to listen."""
        self._scheme = "http" if tls is None else "https"
        self.records: list[Record] = []
        self.points: list[PlainPoint] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answer: Callable[[Signal], tuple[int, dict[str, str], bytes]] = lambda _signal: (200, {}, b"")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                outer.requests.append((self.path, dict(self.headers)))
                status, headers, answer = outer.take(_SIGNALS[self.path], body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"{self._scheme}://{'127.0.0.1' if self._scheme == 'http' else 'localhost'}:{self.port}"

    def take(self, signal: Signal, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Keep what a request carries where the answer is a success."""
        status, headers, answer = self.answer(signal)
        batch = check(signal, body)
        if status < 300:
            self.records.extend(map(Record, decode(batch)))
            self.points.extend(decode_points(batch))
        return status, headers, answer

    def wait_for(self, condition: Callable[[list[Record]], bool]) -> None:
        """Wait until what was taken is as it should be."""
        give_up_at = time.monotonic() + WAIT
        while not condition(self.records):
            assert time.monotonic() < give_up_at, [(record.name, record.status.value) for record in self.records]
            time.sleep(0.02)

    def stop(self) -> None:
        """Go away."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[OtlpServer]:
    """Run a server for as long as the block runs."""
    server = OtlpServer(port, tls)
    try:
        yield server
    finally:
        server.stop()
