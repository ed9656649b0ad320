"""`provtel status --collector`: what a collector took, and what became of it, adds up."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from tests.services.otelcol.server import free_ports


@dataclass
class Place:
    """A collector that filters, queues on the disk, and cannot reach one of its destinations.

    Args:
        folder: Where it runs.
    """

    folder: Path

    def __post_init__(self) -> None:
        """Write its configuration."""
        self.otlp, metrics, nowhere = free_ports(3)
        self.metrics = f"127.0.0.1:{metrics}"
        (self.folder / "collector.yaml").write_text(json.dumps(self.document(metrics, nowhere)))

    def document(self, metrics: int, nowhere: int) -> dict[str, Any]:
        """Return its configuration."""
        return {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.otlp}"}}}},
            "processors": {"filter": {"trace_conditions": ['span.name == "span 1"']}},
            "exporters": {
                "lmdb": {"store": str(self.folder / "store")},
                "otlp_http": {
                    "endpoint": f"http://127.0.0.1:{nowhere}",
                    "sending_queue": {"storage": "file_storage"},
                    "retry_on_failure": {"initial_interval": "50ms"},
                },
            },
            "extensions": {"file_storage": {"directory": str(self.folder / "queue"), "create_directory": True}},
            "service": {
                "extensions": ["file_storage"],
                "telemetry": {
                    "metrics": {
                        "readers": [{"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": metrics}}}}]
                    }
                },
                "pipelines": {
                    "traces": {"receivers": ["otlp"], "processors": ["filter"], "exporters": ["lmdb", "otlp_http"]},
                    "logs": {"receivers": ["otlp"], "exporters": ["lmdb"]},
                },
            },
        }

    def running(self) -> AbstractContextManager[Collector]:
        """Run it; it is killed at the end of the block."""
        return running(provtel("collector", "--config", "collector.yaml"), self.folder)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Prepare a collector in a folder of the test."""
    return Place(tmp_path)


def test_ledger_adds_up(place: Place, ask: Ask) -> None:
    """What was accepted, less what was filtered, is what each exporter got; and that is sent, queued or put aside."""
    with place.running():
        post(place.otlp, "traces", traces(5))
        post(place.otlp, "traces", traces(5))
        post(place.otlp, "logs", logs(3))
        (found,) = ask("status", "--collector", place.metrics, "--json").objects
        shown = ask("status", "--collector", f"http://{place.metrics}/metrics").out

    assert found["received"] == [
        {"signal": "traces", "accepted": 10, "refused": 0, "filtered": 2, "dead_lettered": 0},
        {"signal": "logs", "accepted": 3, "refused": 0, "filtered": 0, "dead_lettered": 0},
    ]
    rows = {(row["exporter"], row["signal"]): row for row in found["exporters"]}
    assert {key: row["underway"] for key, row in rows.items()} == dict.fromkeys(rows, 0)
    assert [rows["lmdb", "traces"][name] for name in ("received", "sent", "queued", "dead_lettered")] == [8, 8, 0, 0]
    assert [rows["otlp_http", "traces"][name] for name in ("received", "sent", "queued")] == [8, 0, 8]
    assert found["stores"] == {"lmdb": {"stored": 7, "duplicate": 4}}
    assert "otlp_http" in shown
    assert "dead letters" in shown


def test_ledger_goes_on_after_a_kill(place: Place, ask: Ask) -> None:
    """What a killed collector left in its queue is in the ledger of the next."""
    with place.running():
        post(place.otlp, "traces", traces(5))
    with place.running():
        post(place.otlp, "traces", traces(5, 10))
        (found,) = ask("status", "--collector", place.metrics, "--json").objects

    (row,) = (row for row in found["exporters"] if row["exporter"] == "otlp_http")
    assert [row[name] for name in ("received", "restored", "queued", "underway")] == [5, 4, 9, 0]


def test_nobody_there(ask: Ask) -> None:
    """Where no collector is, that is said, and how to say where one is."""
    answer = ask("status", "--collector", f"127.0.0.1:{free_ports(1)[0]}")

    assert answer.code == 1
    assert "no collector shows its metrics at" in answer.err
    assert "--collector ADDRESS" in answer.err


def test_something_else_is_there(place: Place, ask: Ask) -> None:
    """A page that is no metrics is told from a collector."""
    with place.running():
        answer = ask("status", "--collector", f"http://{place.metrics}/other")

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


def test_what_receivers_put_aside() -> None:
    """Records that a receiver could not give on are in the ledger."""
    (row,) = Ledger([Sample("otelcol_receiver_dead_lettered_spans", {"receiver": "kafka"}, 3.0)]).received()

    assert (row.signal, row.dead_lettered) == ("traces", 3)


def test_empty() -> None:
    """A collector that took nothing has an empty ledger."""
    assert Ledger([]).as_json() == {"received": [], "exporters": [], "stores": {}}
