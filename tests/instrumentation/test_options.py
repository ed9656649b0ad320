"""What a task may be told to leave out, or to say of itself: `attempt`, `telemetry`, `capture_values`."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from provtel import task
from provtel_model.record import Record
from provtel_model.values import Reference

from tests.instrumentation.programs import Stage

Recorded = Callable[[], list[Record]]
INT, TEXT = Reference("int"), Reference("str")


def test_program_without_telemetry(stage: Stage) -> None:
    """A setting leaves out what anything costs, also of what was decorated before the setting was read."""
    program = """
        import asyncio
        from provtel import loop, task, workflow

        @task
        def function(): pass

        @task
        async def coroutine(): pass

        @workflow
        def main():
            function()
            asyncio.run(coroutine())
            with task("block"): pass
            for n in loop(1, name="n"): pass

        main()
        """
    stage.run(program)
    assert all("cpu.user" in record.telemetry for record in stage.records())
    stage.environment["PROVTEL_TELEMETRY"] = "off"
    stage.run(program)
    records = stage.records()
    assert len(records) == 6
    assert not [record.telemetry for record in records if record.telemetry]


def test_attempt(recorded: Recorded) -> None:
    """The number of the attempt is in the record, of a block and of a decorated function."""
    for attempt in (1, 2):
        with task("fetch", attempt=attempt):
            pass
    task(attempt=3, subtype="io")(lambda: None)()
    records = recorded()

    assert [record.attributes["workflow.task.attempt"] for record in records] == [1, 2, 3]
    assert records[2].attributes["workflow.task.subtype"] == "io"


def test_without_telemetry(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither clock of CPU time is read, and the record says nothing of cost; times are there all the same."""

    def refuse(*_: object) -> None:
        pytest.fail("a clock was read")

    @task(telemetry=False)
    def plain(x: int) -> int:
        return x

    @task(telemetry=False)
    async def coroutine(x: int) -> int:
        with task("inside", telemetry=False):
            return x

    @task(telemetry=False)
    def generator() -> Iterator[int]:
        yield 1

    for module, name in ((time, "thread_time_ns"), (resource, "getrusage")):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr("provtel.telemetry.meters._thread_time", refuse)
    plain(1)
    with task("block", telemetry=False):
        pass
    asyncio.run(coroutine(1))
    list(generator())
    records = recorded()

    assert [record.name for record in records] == ["plain", "block", "coroutine", "inside", "generator"]
    assert all(record.telemetry == {} for record in records)
    assert all(record.ended_at is not None and record.ended_at >= record.started_at for record in records)


class Data:
    """Something that flows."""


def test_without_values(recorded: Recorded) -> None:
    """Of inputs and outputs only the types are kept, whichever way they are told."""

    @task(capture_values=False)
    def join(left: str, *rest: str, number: int = 1) -> str:
        return left + "".join(rest) * number

    @task(capture_values=False)
    def count() -> Iterator[int]:
        yield 1

    join("patient", "name")
    join("patient")
    list(count())
    with task("block", used={"x": 1}, capture_values=False) as block:
        block.used(y="two")
        block.generated(z="three")
    text = repr(records := recorded())

    assert [(record.used, record.generated) for record in records] == [
        ({"number": INT, "left": TEXT, "rest": Reference("tuple")}, {"result": TEXT}),
        ({"number": INT, "left": TEXT}, {"result": TEXT}),
        ({}, {"yielded": [INT]}),
        ({"x": INT, "y": TEXT}, {"z": TEXT}),
    ]
    assert "patient" not in text
    assert "three" not in text


def test_flow_without_values(recorded: Recorded) -> None:
    """Where an instance comes from is known all the same, and a declared output shows no content."""

    @task(capture_values=False)
    def make() -> Any:
        return Data()

    @task(capture_values=False)
    def use(data: Any) -> None:
        """Use it."""

    use(make())
    with task("source") as source:
        source.generated(password="content")  # noqa: S106  # a role
    with task("declared", used={"x": source.output("password")}, capture_values=False):
        pass
    made, used, source_record, declared = recorded()

    assert [link.attributes["prov.relation"] for link in (*used.links, *declared.links)] == ["same_object", "declared"]
    assert used.plain["links"][0]["span_id"] == made.span_id
    assert source_record.generated == {"password": "[REDACTED]"}
    assert declared.used == {"x": TEXT}
