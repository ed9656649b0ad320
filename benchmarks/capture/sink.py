"""An OTLP/HTTP endpoint that answers and keeps what it took; run as a module it prints its address."""

from __future__ import annotations

import gzip
import http.server
import json
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies: list[bytes] = []  # noqa: RUF012  # one sink a process

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        answer = {"bytes": sum(map(len, self.bodies)), "bodies": [body.hex() for body in self.bodies]}
        self._answer(json.dumps(answer).encode(), "application/json")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing for each request."""


def taken(address: str) -> int:
    """Return how many bytes a sink took."""
    return int(_ask(address)["bytes"])


def calls(address: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield name and numeric arguments of every span that a sink took."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # not in every environment
        ExportTraceServiceRequest,
    )

    for body in _ask(address)["bodies"]:
        for group in ExportTraceServiceRequest.FromString(bytes.fromhex(body)).resource_spans:
            for scope in group.scope_spans:
                yield from map(_call, scope.spans)


def _call(span: Any) -> tuple[str, tuple[Any, ...]]:
    pairs = list(span.attributes)
    for pair in span.attributes:
        if pair.key == "prov.used":
            pairs = list(pair.value.kvlist_value.values)
    numbers = (_number(pair.value) for pair in pairs if pair.key != "o")
    return span.name, tuple(number for number in numbers if number is not None)


def _number(value: Any) -> int | float | None:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind in {"int_value", "double_value"} else None


def _ask(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(address) as answer:  # noqa: S310  # an address on this machine that we started
        result: dict[str, Any] = json.load(answer)
    return result


def main() -> None:
    """Serve until the process is ended."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
