"""Lines of logs: in the journal when they are written, with the span that was current, and shipped beside records."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from provtel import logs, recording
from provtel_model import attributes as names
from provtel_model.components import Batch
from provtel_model.journal import drain_journal, find_journals
from provtel_model.otlp import decode
from provtel_model.otlp.observations import decode_logs
from provtel_model.telemetry import PlainLog

from tests.instrumentation.hostile import Box, hostile_values
from tests.instrumentation.otlp_server import serving
from tests.instrumentation.programs import Stage
from tests.model.strategies import PYTHON_VALUES


def drained(store: Path) -> list[Batch]:
    """Return all that the journals of a store hold."""
    batches: list[Batch] = []
    for journal in find_journals(store):
        assert drain_journal(journal, batches.append).skipped is None
    return batches


def lines_in(batches: list[Batch]) -> list[PlainLog]:
    """Return the lines of a program in batches, without what is told of its environment."""
    found = [line for batch in batches for line in decode_logs(batch)]
    return [line for line in found if line.get("name") != names.EVENT_PYTHON_ENVIRONMENT]


def lines(store: Path) -> list[PlainLog]:
    """Return the lines that the journals of a store hold."""
    return lines_in(drained(store))


def test_a_line_has_the_ids_of_what_is_current(stage: Stage) -> None:
    """A line inside a task has the task's ids, one outside of any none, and neither keeps secrets."""
    stage.run(
        """
        from provtel import logs, task
        with task("t"):
            logs.emit("inside", severity=13, severity_text="WARN", attributes={"password": "hunter", "pair": (1, 2)})
        logs.emit({"event": "outside"}, name="done", at=5, scope={"name": "mine"})
        """
    )
    batches = drained(stage.store)
    (task,) = [record for batch in batches for record in decode(batch)]
    inside, outside = lines_in(batches)

    assert (inside["trace_id"], inside["span_id"]) == (task["trace_id"], task["span_id"])
    assert (inside["body"], inside["severity"], inside["severity_text"]) == ("inside", 13, "WARN")
    assert inside["attributes"] == {"password": "[REDACTED]", "pair": [1, 2]}
    assert inside["pid"] == task["pid"]
    assert inside["scope"]["name"] == "provtel"
    assert "span_id" not in outside
    assert (outside["body"], outside["name"], outside["time"]) == ({"event": "outside"}, "done", 5)
    assert outside["scope"] == {"name": "mine"}


def test_lines_survive_a_kill(stage: Stage) -> None:
    """What was written before SIGKILL is there, over a change of segments, beside tasks that are open."""
    stage.run(
        """
        import os, signal
        from provtel import logs, task
        with task("open"):
            for number in range(3000):
                logs.emit("x" * 3000, attributes={"number": number})
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        code=-9,
    )
    batches = drained(stage.store)

    assert [line["attributes"]["number"] for line in lines_in(batches)] == [*range(3000)]
    assert [record["status"] for batch in batches for record in decode(batch)] == ["lost"]


def test_a_line_of_a_signal_handler_that_interrupts_the_making_of_the_journal(stage: Stage) -> None:
    """A line that a signal handler writes while another makes the journal is there too, and in the task around it."""
    stage.run(
        """
        import os, signal
        from provtel import logs, task
        def interrupt(*_):
            logs.emit("interrupt")
            with task("t"):
                logs.emit("inside")
        signal.signal(signal.SIGALRM, interrupt)
        allocate = os.posix_fallocate

        def allocate_interrupted(*arguments):
            os.posix_fallocate = allocate
            signal.raise_signal(signal.SIGALRM)
            allocate(*arguments)

        os.posix_fallocate = allocate_interrupted
        logs.emit("interrupted")
        """
    )
    batches = drained(stage.store)
    (task,) = [record for batch in batches for record in decode(batch)]
    found = {line["body"]: line.get("span_id") for line in lines_in(batches)}

    assert found == {"interrupt": None, "inside": task["span_id"], "interrupted": None}


def test_an_endpoint_that_takes_no_logs_gets_the_spans(stage: Stage) -> None:
    """Where an endpoint refuses logs, the lines are left out and the tasks are acknowledged."""
    with serving() as server:
        server.answer = lambda signal: (404 if signal == "logs" else 200, {}, b"")
        stage.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.endpoint
        stage.run(
            """
            from provtel import logs, task
            with task("t"):
                logs.emit("said")
            """
        )
        records = [*server.records]

    assert [(record.name, record.status.value) for record in records] == [("t", "finished")]
    assert find_journals(stage.store) == []


@pytest.mark.usefixtures("recorded")
@given(hostile_values(), st.dictionaries(st.text(), PYTHON_VALUES, max_size=3))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_line_harms_the_program(body: Box, attributes: dict[str, object]) -> None:
    """Whatever a line holds, it is written, and the program goes on."""
    recorder = recording.recorder()
    assert recorder is not None
    logs.emit("before", attributes={})
    assert recorder._writer is not None
    written = recorder._writer.appended
    logs.emit(body.value, attributes=attributes)

    assert recorder._writer.appended == written + 1
