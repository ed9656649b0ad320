"""Programs that nobody changed, run by ``opentelemetry-instrument``: the spans of their libraries are in the store."""

from __future__ import annotations

import sys
from pathlib import Path

from opentelemetry.trace import SpanKind
from provtel_model.record import Record
from provtel_query import connect

from tests.end_to_end.processes import PROVTEL, Place, collecting

INSTRUMENT = PROVTEL.with_name("opentelemetry-instrument")
PROGRAM = """
import http.server, sqlite3, threading
import requests
from opentelemetry import trace

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers.get("traceparent", "").encode())

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with trace.get_tracer("program").start_as_current_span("main", attributes={"size": 2}):
    print(requests.get(f"http://127.0.0.1:{server.server_port}/data").text)
    cursor = sqlite3.connect(":memory:").cursor()
    cursor.execute("create table results (x int)")
server.shutdown()
"""


def records(place: Place) -> dict[str, Record]:
    """Return what is in the store, by name."""
    with connect(place.store) as store:
        return {record.name: record for record in store.records()}


def test_spans_of_libraries(tmp_path: Path) -> None:
    """Spans of every library are in the store, in one trace, under the span around them, with their own scope."""
    place = Place(tmp_path)
    (tmp_path / "app.py").write_text(PROGRAM)
    traceparent = place.run(INSTRUMENT, sys.executable, "app.py").strip()
    found = records(place)
    main, get, create = found["main"], found["GET"], found["create"]

    assert main.attributes == {"size": 2}
    assert main.parent_id is None
    assert {get.parent_id, create.parent_id} == {main.id}
    assert traceparent == f"00-{get.id}-01"
    assert get.plain["span_kind"] == SpanKind.CLIENT.value + 1
    assert get.plain["scope"]["name"] == "opentelemetry.instrumentation.requests"
    assert create.attributes["db.statement"] == "create table results (x int)"


def test_spans_shipped_to_a_collector(tmp_path: Path) -> None:
    """With an endpoint the same spans come to a collector."""
    place = Place(tmp_path)
    (tmp_path / "app.py").write_text(PROGRAM)
    with collecting(place) as collector:
        place.run(INSTRUMENT, sys.executable, "app.py", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
        collector.stop()

    assert {"main", "GET", "create"} <= records(place).keys()
    assert place.journals() == []
