"""`provtel status --collector`: what a collector took, and what became of it, adds up."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_cli.ledger import Ledger, Sample, parsed
from provtel_collector.counters import Counters
from provtel_collector.telemetry import exposed
from provtel_collector.telemetry.descriptions import MetricLevel

from tests.cli.conftest import Ask
from tests.collector.parts import logs, traces
from tests.collector.running import Collector, provtel, running
from tests.services.otelcol.processing import post


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Run a collector that filters, queues on the disk, and cannot reach one of its destinations."""
    otlp, metrics, nowhere = free_port(), free_port(), free_port()
    document = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "processors": {"filter": {"trace_conditions": ['span.name == "span 1"']}},
        "exporters": {
            "lmdb": {"store": str(tmp_path / "store")},
            "otlp_http": {
                "endpoint": f"http://127.0.0.1:{nowhere}",
                "sending_queue": {"storage": "file_storage"},
                "retry_on_failure": {"initial_interval": "50ms"},
            },
        },
        "extensions": {"file_storage": {"directory": str(tmp_path / "queue"), "create_directory": True}},
        "service": {
            "extensions": ["file_storage"],
            "telemetry": {
                "metrics": {"readers": [{"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": metrics}}}}]}
            },
            "pipelines": {
                "traces": {"receivers": ["otlp"], "processors": ["filter"], "exporters": ["lmdb", "otlp_http"]},
                "logs": {"receivers": ["otlp"], "exporters": ["lmdb"]},
            },
        },
    }
    (tmp_path / "collector.yaml").write_text(json.dumps(document))
    with running(provtel("collector", "--config", "collector.yaml"), tmp_path) as started:
        started.addresses = {**started.addresses, "port": str(otlp), "metrics": f"127.0.0.1:{metrics}"}
        yield started


def test_ledger_adds_up(collector: Collector, ask: Ask) -> None:
    """What was accepted, less what was filtered, is what each exporter got; and that is sent, queued or put aside."""
    port = int(collector.addresses["port"])
    post(port, "traces", traces(5))
    post(port, "traces", traces(5))
    post(port, "logs", logs(3))

    (found,) = ask("status", "--collector", collector.addresses["metrics"], "--json").objects
    shown = ask("status", "--collector", f"http://{collector.addresses['metrics']}/metrics").out

    assert found["received"] == [
        {"signal": "traces", "accepted": 10, "refused": 0, "filtered": 2},
        {"signal": "logs", "accepted": 3, "refused": 0, "filtered": 0},
    ]
    rows = {(row["exporter"], row["signal"]): row for row in found["exporters"]}
    assert {key: row["underway"] for key, row in rows.items()} == dict.fromkeys(rows, 0)
    assert [rows["lmdb", "traces"][name] for name in ("received", "sent", "queued", "dead_lettered")] == [8, 8, 0, 0]
    assert [rows["otlp_http", "traces"][name] for name in ("received", "sent", "queued")] == [8, 0, 8]
    assert found["stores"] == {"lmdb": {"stored": 4, "duplicate": 4, "skipped": 3}}
    assert "otlp_http" in shown
    assert "dead letters" in shown


def test_nobody_there(ask: Ask) -> None:
    """Where no collector is, that is said, and how to say where one is."""
    answer = ask("status", "--collector", f"127.0.0.1:{free_port()}")

    assert answer.code == 1
    assert "no collector shows its metrics at" in answer.err
    assert "--collector ADDRESS" in answer.err


def test_something_else_is_there(collector: Collector, ask: Ask) -> None:
    """A page that is no metrics is told from a collector."""
    answer = ask("status", "--collector", f"http://{collector.addresses['metrics']}/other")

    assert answer.code == 1
    assert "answers 404" in answer.err


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["a", "b"]), st.text(st.characters(exclude_categories=["Cs"]))), st.integers(0, 99)
    )
)
def test_what_is_shown_can_be_read(counts: dict[tuple[str, str], int]) -> None:
    """Whatever a collector shows is read as it was counted."""
    counters = Counters()
    for (name, exporter), count in counts.items():
        counters.add(name, count, {"exporter": exporter})

    samples = [
        one for one in parsed(exposed(counters, MetricLevel.DETAILED, {})) if one.name in {"otelcol_a", "otelcol_b"}
    ]

    assert sorted(samples, key=str) == sorted(
        (Sample(f"otelcol_{name}", {"exporter": exporter}, float(count)) for (name, exporter), count in counts.items()),
        key=str,
    )


def test_empty() -> None:
    """A collector that took nothing has an empty ledger."""
    assert Ledger([]).as_json() == {"received": [], "exporters": [], "stores": {}}
