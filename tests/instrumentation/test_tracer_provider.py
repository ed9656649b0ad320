"""Spans of our tracer provider: on the disk when they start, in forked children, without the SDK; and its flush."""

from __future__ import annotations

import pytest

from tests.instrumentation.otlp_server import serving
from tests.instrumentation.programs import Stage

BEGIN = """
from opentelemetry import trace
from provtel.otel.provider import TracerProvider
trace.set_tracer_provider(TracerProvider())
tracer = trace.get_tracer("t")
"""


@pytest.mark.parametrize("name", ["fixed", "{number}"])
def test_spans_survive_a_kill(stage: Stage, name: str) -> None:
    """After SIGKILL every span that ended is there, and each that started is lost, with what was known of it."""
    stage.run(
        BEGIN
        + f"""
import os, signal
with tracer.start_as_current_span("outer", attributes={{"a": 1}}) as outer:
    outer.set_attribute("later", 2)
    for number in range(1500):
        tracer.start_span(f"{name}").end()
    os.kill(os.getpid(), signal.SIGKILL)
""",
        code=-9,
    )
    records = stage.records()
    (outer,) = [record for record in records if record.name == "outer"]
    ended = [record for record in records if record.status.value == "finished"]

    assert (outer.status.value, outer.attributes, outer.plain["scope"]["name"]) == ("lost", {"a": 1}, "t")
    assert len(ended) == 1500
    assert len({record.name for record in ended}) == (1 if name == "fixed" else 1500)
    assert {record.parent_id for record in ended} == {outer.id}


def test_a_forked_child_has_its_own(stage: Stage) -> None:
    """A forked child ends its own spans, and neither ends nor loses what is open in its parent."""
    stage.run(
        BEGIN
        + """
import os
with tracer.start_as_current_span("parents") as parents:
    child = os.fork()
    if not child:
        with tracer.start_as_current_span("childs"):
            pass
        parents.end()
        os._exit(0)
    os.waitpid(child, 0)
"""
    )
    records = {record.name: record for record in stage.records()}

    assert {name: record.status.value for name, record in records.items()} == {
        "parents": "finished",
        "childs": "finished",
    }
    assert records["childs"].parent_id == records["parents"].id
    assert records["childs"].pid != records["parents"].pid


def test_the_sdk_is_not_loaded(stage: Stage) -> None:
    """A program whose spans go to the journal loads neither the SDK nor protobuf."""
    said = stage.run(
        BEGIN
        + """
import sys
with tracer.start_as_current_span("s", attributes={"a": (1, 2)}) as span:
    span.add_event("e")
print([name for name in ("opentelemetry.sdk", "google.protobuf", "opentelemetry.proto") if name in sys.modules])
"""
    ).stdout

    assert said == "[]\n"


def test_a_flush_ships_what_ended(stage: Stage) -> None:
    """When a flush returns, what had ended is at the endpoint; where that is away, it says so in time."""
    with serving() as server:
        stage.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.endpoint
        stage.environment["PROVTEL_EXIT_TIMEOUT"] = "1s"
        with stage.start(
            BEGIN
            + """
import sys
tracer.start_span("first").end()
print(trace.get_tracer_provider().force_flush(20_000), flush=True)
sys.stdin.readline()
tracer.start_span("second").end()
print(trace.get_tracer_provider().force_flush(300), flush=True)
"""
        ) as program:
            assert program.stdout is not None
            assert program.stdin is not None
            assert program.stdout.readline() == "True\n"
            arrived = [record.name for record in server.records]
            server.answer = lambda _signal: (503, {}, b"")
            program.stdin.write("\n")
            program.stdin.flush()
            assert program.stdout.readline() == "False\n"
            program.communicate(timeout=60)

    assert arrived == ["first"]
