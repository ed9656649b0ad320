"""A relay before a collector, which remembers the spans that the collector accepted."""

from __future__ import annotations

import gzip
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

OK = 200


class Relay(ThreadingHTTPServer):
    """Passes requests on to a collector, and its answers back.

    Args:
        collector: The collector's address, ``host:port``.
    """

    daemon_threads = True

    def __init__(self, collector: str) -> None:
        """Listen at a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.collector = collector
        self.accepted: list[tuple[str, bytes]] = []

    @property
    def endpoint(self) -> str:
        """The address as programs are told it."""
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> list[Any]:
        """Return every span that the collector accepted, in the order of acceptance."""
        requests = [ExportTraceServiceRequest.FromString(body) for path, body in self.accepted if path == "/v1/traces"]
        resources = [resource for request in requests for resource in request.resource_spans]
        return [span for resource in resources for scope in resource.scope_spans for span in scope.spans]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Relay

    def do_POST(self) -> None:
        """Pass a request on."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        connection = http.client.HTTPConnection(self.server.collector, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        connection.request("POST", self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status == OK:
            zipped = self.headers.get("Content-Encoding") == "gzip"
            self.server.accepted.append((self.path, gzip.decompress(body) if zipped else body))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/x-protobuf"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def relaying(collector: str) -> Iterator[Relay]:
    """Run a relay for as long as the block lasts."""
    with Relay(collector) as relay:
        thread = threading.Thread(target=relay.serve_forever, daemon=True)
        thread.start()
        try:
            yield relay
        finally:
            relay.shutdown()
            thread.join()
