"""What is built of a configuration, in which order it starts and stops, and what happens where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from provtel_model.components import Signal
from provtel_model.errors import ConfigError, RetryableError, UserError

from tests.collector.parts import Workshop, batch

DOCUMENT = """
receivers: {part/r1: , part/r2: , part/unused: }
processors: {part/p: }
exporters: {part/e1: , part/e2: , part/unused: }
extensions: {part/x: , part/unused: }
service:
  extensions: [part/x]
  pipelines:
    traces: {receivers: [part/r1], processors: [part/p], exporters: [part/e1, part/e2]}
    traces/two: {receivers: [part/r1, part/r1, part/r2], processors: [part/p], exporters: [part/e1]}
    logs: {receivers: [part/r1], exporters: [part/e2, part/e2]}
"""


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Make parts in a folder of the test."""
    return Workshop(tmp_path)


def test_one_instance_of_each_id_that_is_used(workshop: Workshop) -> None:
    """Receivers and exporters are shared, each pipeline has processors of its own, what is unused is not made."""
    workshop.service(DOCUMENT)

    made = {id_: len(parts) for id_, parts in workshop.parts.items()}
    assert made == {"part/x": 1, "part/e1": 1, "part/e2": 1, "part/p": 2, "part/r1": 1, "part/r2": 1}


def test_order_of_life(workshop: Workshop) -> None:
    """Extensions start first and stop last; whoever gives data on starts after, and stops before, whoever takes it."""
    with workshop.service(DOCUMENT):
        started = [line.removeprefix("start ") for line in workshop.diary]
        workshop.diary.clear()
    stopped = [line.removeprefix("shutdown ") for line in workshop.diary]

    assert started == ["part/x", "part/e1", "part/e2", "part/p", "part/p", "part/r1", "part/r2"]
    assert stopped == started[::-1]


def test_flow(workshop: Workshop) -> None:
    """A batch reaches each exporter once for each pipeline that leads there, and everything is counted by id."""
    with workshop.service(DOCUMENT) as service:
        workshop.part("part/r1").context.next[Signal.TRACES].consume(batch(3))
        workshop.part("part/r1").context.next[Signal.LOGS].consume(batch(2, Signal.LOGS))

    assert [one.items for one in workshop.part("part/e1").batches] == [3, 3]
    assert [one.items for one in workshop.part("part/e2").batches] == [3, 2]
    assert set(workshop.part("part/r2").context.next) == {Signal.TRACES}
    assert service.counters.sums() == {
        ("otelcol_receiver_accepted_spans", (("receiver", "part/r1"),)): 3,
        ("otelcol_receiver_accepted_log_records", (("receiver", "part/r1"),)): 2,
        ("otelcol_processor_incoming_items", (("otel.signal", "traces"), ("processor", "part/p"))): 6,
        ("otelcol_processor_outgoing_items", (("otel.signal", "traces"), ("processor", "part/p"))): 6,
        ("otelcol_exporter_received_spans", (("exporter", "part/e1"),)): 6,
        ("otelcol_exporter_received_spans", (("exporter", "part/e2"),)): 3,
        ("otelcol_exporter_received_log_records", (("exporter", "part/e2"),)): 2,
        ("otelcol_exporter_sent_spans", (("exporter", "part/e1"),)): 6,
        ("otelcol_exporter_sent_spans", (("exporter", "part/e2"),)): 3,
        ("otelcol_exporter_sent_log_records", (("exporter", "part/e2"),)): 2,
    }


def test_refusal_reaches_the_receiver(workshop: Workshop) -> None:
    """An exporter's refusal comes back to the receiver after the other exporters took the batch."""
    workshop.failing = {"part/e1": {"consume": RetryableError("no"), "shutdown": RuntimeError("late")}}

    with workshop.service(DOCUMENT) as service, pytest.raises(RetryableError, match="no"):
        workshop.part("part/r1").context.next[Signal.TRACES].consume(batch(3))

    assert len(workshop.part("part/e2").batches) == 1
    assert service.counters.total("otelcol_receiver_refused_spans") == 3
    assert service.counters.total("otelcol_receiver_accepted_spans") == 0
    assert service.counters.total("otelcol_exporter_send_failed_spans") == 6


def test_defect_is_a_retryable_refusal(workshop: Workshop) -> None:
    """A component that breaks breaks neither the service nor the data: the sender may send again."""
    workshop.failing = {"part/p": {"consume": ZeroDivisionError("oops")}}

    with workshop.service(DOCUMENT), pytest.raises(RetryableError, match="ZeroDivisionError: oops"):
        workshop.part("part/r2").context.next[Signal.TRACES].consume(batch())


@pytest.mark.parametrize("id_", ["part/x", "part/e2", "part/r1"])
def test_start_that_fails(workshop: Workshop, id_: str) -> None:
    """Where one cannot start, the error names its path, the later ones never start, and all are told to stop."""
    workshop.failing = {id_: {"start": UserError("cannot")}}
    service = workshop.service(DOCUMENT)

    with pytest.raises(ConfigError) as raised:
        service.start()

    kind = {"x": "extensions", "e2": "exporters", "r1": "receivers"}[id_.removeprefix("part/")]
    assert str(raised.value) == f"{kind}::{id_}: cannot"
    started = [line for line in workshop.diary if line.startswith("start")]
    assert started[-1] == f"start {id_}"
    assert len([line for line in workshop.diary if line.startswith("shutdown")]) == 7


def test_shutdown_goes_on_where_one_fails(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    """A component that fails to stop is logged, and the others are stopped all the same; twice does no harm."""
    workshop.failing = {"part/p": {"shutdown": RuntimeError("stuck")}}
    service = workshop.service(DOCUMENT)
    service.start()

    service.shutdown()
    service.shutdown()

    assert workshop.diary[-1] == "shutdown part/x"
    assert "processors::part/p did not stop as it should" in caplog.text


def test_ready_line(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    """One line says that the collector is ready, and where each component listens."""
    document = """
receivers: {otlp: {protocols: {http: {endpoint: "localhost:0"}}}}
exporters: {part: }
extensions: {health_check: {endpoint: "localhost:0"}}
service: {extensions: [health_check], pipelines: {traces: {receivers: [otlp], exporters: [part]}}}
"""
    caplog.set_level("INFO")

    with workshop.service(document) as service:
        otlp, health = service.addresses("otlp")[0], service.addresses("health_check")[0]

    assert f"ready: otlp on {otlp}, part, health_check on {health}" in caplog.text
    assert otlp.startswith("http://127.0.0.1:")


def test_component_that_cannot_be_made(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A component that refuses its configuration does so with its path, before anything has started."""

    def refuse(*_: object) -> None:
        raise UserError("does not fit")

    monkeypatch.setattr(Workshop, "_make", refuse)
    with pytest.raises(ConfigError, match=r"^extensions::part/x: does not fit$"):
        workshop.service(DOCUMENT)
