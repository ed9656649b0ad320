"""Programs that nobody changed, run by ``opentelemetry-instrument``: the spans of their libraries are in the store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from opentelemetry.trace import SpanKind
from provtel_model.record import Record, State
from provtel_model.telemetry import Window
from provtel_query import connect

from tests.end_to_end.processes import PROVTEL, Place, collecting

UNUSED = "sqlalchemy,kafka,pymongo,grpc_client,grpc_server,grpc_aio_client,grpc_aio_server"
"""What is not used here, and takes a second to load in every process."""
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
    traceparent = place.run(INSTRUMENT, sys.executable, "app.py", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=UNUSED).strip()
    found = records(place)
    main, get, create = found["main"], found["GET"], found["create"]

    assert main.attributes == {"size": 2}
    assert main.parent_id == found["app"].id
    assert {get.parent_id, create.parent_id} == {main.id}
    assert traceparent == f"00-{get.id}-01"
    assert get.plain["span_kind"] == SpanKind.CLIENT.value + 1
    assert get.plain["scope"]["name"] == "opentelemetry.instrumentation.requests"
    assert create.attributes["db.statement"] == "create table results (x int)"


def test_spans_shipped_to_a_collector(tmp_path: Path) -> None:
    """With an endpoint the same spans come to a collector, and what libraries measure where that is asked for."""
    place = Place(tmp_path)
    (tmp_path / "app.py").write_text(PROGRAM)
    with collecting(place) as collector:
        place.run(
            *(INSTRUMENT, sys.executable, "app.py"),
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=UNUSED,
            OTEL_METRICS_EXPORTER="otlp",
        )
        collector.stop()

    assert {"main", "GET", "create"} <= records(place).keys()
    with connect(place.store) as store:
        (duration,) = store.points(Window(name="http.client.duration"))
    assert duration["distribution"]["count"] == 1
    assert duration["scope"]["name"] == "opentelemetry.instrumentation.requests"
    assert place.journals() == []


def test_unchanged_program(tmp_path: Path) -> None:
    """A program with joblib, a pool of processes, requests and sqlite3 is one trace: each span under its cause."""
    place = Place(tmp_path)
    program = Path(__file__).with_name("unchanged.py")
    printed = place.run(INSTRUMENT, sys.executable, program, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=UNUSED)
    with connect(place.store) as store:
        found = store.records(sort="started_at")
    (main,) = [record for record in found if record.parent_id is None]
    by_id = {record.id: record for record in found}

    assert printed == "6\n"
    assert (main.name, main.kind, main.status) == ("unchanged", "workflow", State.FINISHED)
    assert {record.trace_id for record in found} == {main.trace_id}
    assert {record.workflow_id for record in found} == {main.id}
    edges = sorted((by_id[record.parent_id].name, record.name) for record in found if record.parent_id)
    assert edges == sorted(
        4 * [("unchanged", "fetch"), ("fetch", "GET"), ("unchanged", "store")]
        + 4 * [("store", "create"), ("store", "insert"), ("store", "select")]
    )
    assert sorted(record.generated["result"] for record in found if record.name == "store") == [0, 1, 2, 3]


def test_program_that_fails(tmp_path: Path) -> None:
    """The workflow of a program that an exception ends is an error; with ``PROVTEL_PROGRAM=false`` there is none."""
    place = Place(tmp_path)
    (tmp_path / "app.py").write_text("import provtel\nwith provtel.task('t'):\n    raise ValueError('too high')\n")
    quiet: dict[str, Any] = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*", "expected": 1}
    place.run(INSTRUMENT, sys.executable, "app.py", **quiet)
    place.run(INSTRUMENT, sys.executable, "app.py", PROVTEL_PROGRAM="false", **quiet)
    with connect(place.store) as store:
        alone, inside, program = store.records(sort="-started_at")

    assert (program.name, program.status) == ("app", State.ERROR)
    assert program.error is not None
    assert (program.error.type, program.error.message) == ("ValueError", "too high")
    assert (inside.parent_id, alone.parent_id) == (program.id, None)


def test_variables_of_opentelemetry(tmp_path: Path) -> None:
    """A console beside the journal, no traces at all, and a disabled SDK, as the variables say."""
    place = Place(tmp_path)
    (tmp_path / "app.py").write_text(
        "from opentelemetry import trace\n"
        "import provtel\n"
        "with provtel.task('ours'), trace.get_tracer('t').start_as_current_span('theirs'):\n"
        "    pass\n"
    )
    run = (INSTRUMENT, sys.executable, "app.py")
    quiet: dict[str, Any] = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*", "PROVTEL_PROGRAM": "false"}
    console = place.run(*run, OTEL_TRACES_EXPORTER="console,otlp", OTEL_SERVICE_NAME="mine", **quiet)
    both = records(place)
    none = place.run(*run, OTEL_TRACES_EXPORTER="none", **quiet)
    place.run(*run, OTEL_SDK_DISABLED="true", **quiet)
    with connect(place.store) as store:
        later = [record.name for record in store.records(sort="started_at")][2:]

    assert both.keys() == {"ours", "theirs"}
    assert both["theirs"].parent_id == both["ours"].id
    assert [console.count(f'"name": "{name}"') for name in ("ours", "theirs")] == [1, 1]
    assert '"service.name": "mine"' in console
    assert none == ""
    assert later == ["ours"]


MEASURING = """
from opentelemetry import metrics
from opentelemetry.metrics import Observation

meter = metrics.get_meter("mine", "1.0")
meter.create_counter("read", "By").add(3, {"disk": "a", "password": "hidden"})
meter.create_up_down_counter("open").add(-1)
meter.create_histogram("took", "s", "How long it took").record(0.5)
meter.create_observable_gauge("level", [lambda _: [Observation(1.5)]])
"""


def test_metrics_of_libraries(tmp_path: Path) -> None:
    """What a library measures is in the store only where the variable asks for it; other exporters get it too."""
    place = Place(tmp_path)
    (tmp_path / "app.py").write_text(MEASURING)
    run = (INSTRUMENT, sys.executable, "app.py")
    quiet: dict[str, Any] = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"}
    place.run(*run, **quiet)
    place.run(*run, OTEL_METRICS_EXPORTER="none", **quiet)
    console = place.run(*run, OTEL_METRICS_EXPORTER="otlp,console", OTEL_SERVICE_NAME="mine", **quiet)
    with connect(place.store) as store:
        points = {point["name"]: point for point in store.points(Window())}

    assert {name: point.get("value") for name, point in points.items()} == {
        "read": 3,
        "open": -1,
        "level": 1.5,
        "took": None,
    }
    assert {name: point["kind"] for name, point in points.items()} == {
        "read": "sum",
        "open": "sum",
        "level": "gauge",
        "took": "histogram",
    }
    assert points["read"]["attributes"] == {"disk": "a", "password": "[REDACTED]"}
    assert (points["read"]["unit"], points["read"]["monotonic"]) == ("By", True)
    assert points["read"]["temporality"] == "cumulative"
    assert points["read"]["started_at"] <= points["read"]["time"]
    assert points["took"]["description"] == "How long it took"
    distribution: dict[str, Any] = points["took"]["distribution"]
    assert [distribution[key] for key in ("count", "sum", "min", "max")] == [1, 0.5, 0.5, 0.5]
    assert len(distribution["counts"]) == len(distribution["bounds"]) + 1
    assert points["took"]["scope"] == {"name": "mine", "version": "1.0"}
    assert points["took"]["resource"]["service.name"] == "mine"
    assert '"name": "took"' in console
