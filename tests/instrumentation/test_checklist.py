"""The checklist of a capture library, one test for each point, from outside: what is written, what is recorded.

Points 1 to 8; those on values, bad times and ids are in ``test_checklist_data.py``.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from provtel import agent, campaign, carry, current, loop, task, workflow
from provtel.testing import capture
from provtel_model.record import Record
from provtel_model.values import Reference

from tests.instrumentation.programs import Stage, facts
from tests.instrumentation.twins import failing_ids

Recorded = Callable[[], list[Record]]


@task(outputs="o1")
def sum_one(i1: int) -> int:
    """Take the first step of the quickstart."""
    return i1 + 1


@task(outputs="o2")
def mult_two(o1: int) -> int:
    """Take the second step of the quickstart."""
    return o1 * 2


class Estimator:
    """Has a method that is a task."""

    @task(outputs="score")
    def fit(self, data: list[int], *, rate: float = 0.1) -> float:
        """Use an instance."""
        return rate * len(data)


@task
def anything(first: Any, second: Any = 2, *rest: Any, key: Any = None, **others: Any) -> Any:
    """Take arguments of every kind."""
    return {"second": second, "rest": rest, "key": key, "others": others} if first is None else first


def test_1_quickstart(recorded: Recorded) -> None:
    """Two chained calls give exactly two tasks with named inputs and outputs, from the journal and from memory."""
    expected = [
        ("sum_one", "finished", {"i1": 3}, {"o1": 4}),
        ("mult_two", "finished", {"o1": 4}, {"o2": 8}),
    ]
    with capture() as captured, workflow("in memory"):
        assert mult_two(sum_one(3)) == 8
    with workflow("in the journal"):
        assert mult_two(sum_one(3)) == 8
    assert [facts(record) for record in captured.records if record.kind == "task"] == expected
    assert [facts(record) for record in recorded() if record.kind == "task"] == expected


def test_2_names_of_inputs_and_outputs(recorded: Recorded) -> None:
    """Inputs bear the parameters' names however they are given; outputs are named by position, key or `outputs=`."""
    anything(1)
    anything(1, 3, 4, 5, key="k", more=6)
    anything(second=1, first=0)
    Estimator().fit([1, 2], rate=0.5)
    task(outputs=("a", "b"))(lambda: (1, 2))()
    task(outputs=["a", "b"])(lambda: [1, 2])()
    task(lambda: {"a": 1, "b": 2})()
    task(lambda: 7)()
    task(lambda: None)()
    task(outputs="pair")(lambda: (1, 2))()
    records = recorded()

    assert [record.used for record in records[:4]] == [
        {"first": 1, "second": 2, "key": None},
        {"first": 1, "second": 3, "rest": (4, 5), "key": "k", "others": {"more": 6}},
        {"first": 0, "second": 1, "key": None},
        {"self": Reference(f"{__name__}.Estimator"), "data": [1, 2], "rate": 0.5},
    ]
    assert records[3].generated == {"score": 1.0}
    assert [record.generated for record in records[4:]] == [
        {"a": 1, "b": 2},
        {"a": 1, "b": 2},
        {"a": 1, "b": 2},
        {"result": 7},
        {},
        {"pair": (1, 2)},
    ]


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_3_exceptions(recorded: Recorded, error: BaseException) -> None:
    """Every kind of exception comes out as the same object and is recorded, of calls, blocks and the workflow."""

    @task
    def call() -> None:
        raise error

    @workflow
    def main() -> None:
        with task("block"):
            call()

    with pytest.raises(type(error)) as caught:
        main()
    assert caught.value is error
    records = recorded()
    expected = "cancelled" if isinstance(error, asyncio.CancelledError) else "error"

    assert [(record.name, record.status.value) for record in records] == [
        ("main", expected),
        ("block", expected),
        ("call", expected),
    ]
    for record in records:
        assert record.error is not None
        assert record.error.type is not None
        assert record.error.type.endswith(type(error).__name__)
        assert (record.error.message or "") == str(error)
        assert "in call" in (record.error.stacktrace or "")


def test_4_coroutines_and_generators(recorded: Recorded) -> None:
    """Coroutines, cancelled ones, generators and asynchronous generators have their duration, outcome and items."""

    @task
    async def wait(x: float) -> float:
        await asyncio.sleep(x)
        return x

    @task
    def count() -> Iterator[int]:
        yield 1
        yield 2

    @task
    async def count_async() -> AsyncIterator[int]:
        yield 3
        await asyncio.sleep(0.01)
        yield 4

    async def main() -> list[int]:
        await asyncio.gather(wait(0.02), wait(0.01))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait(9.0), 0.02)
        return [item async for item in count_async()]

    assert [*asyncio.run(main()), *count()] == [3, 4, 1, 2]
    short, shorter, cancelled, async_items, items = recorded()

    assert [record.status.value for record in (short, shorter, cancelled)] == ["finished", "finished", "cancelled"]
    for record, least in ((short, 0.02), (shorter, 0.01), (cancelled, 0.02), (async_items, 0.01)):
        assert record.ended_at is not None
        assert (record.ended_at - record.started_at).total_seconds() >= least * 0.9
    assert async_items.generated == {"yielded": [3, 4]}
    assert items.generated == {"yielded": [1, 2]}


def test_4_threads_and_nesting(recorded: Recorded) -> None:
    """Nested tasks have their parents; workflows, nested or in threads at the same time, keep their own tasks."""

    @task
    def outer(x: int) -> int:
        return sum_one(x)

    def run(number: int) -> None:
        with workflow(f"concurrent {number}"):
            for _ in range(5):
                outer(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    with workflow("main"):
        thread = threading.Thread(target=carry(outer), args=(9,))
        thread.start()
        thread.join()
        with workflow("nested"):
            outer(10)
        outer(9)
    records = recorded()
    by_id = {record.id: record for record in records}

    for record in records:
        if record.kind == "task":
            number: int = record.used["x" if "x" in record.used else "i1"]
            expected = {9: "main", 10: "nested"}.get(number, f"concurrent {number}")
            assert record.workflow_name == expected
            parent = by_id[record.parent_id or ""]
            assert parent.name == ("outer" if record.name == "sum_one" else expected)
    assert Counter(record.kind for record in records) == {"workflow": 6, "task": 46}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_4_processes(stage: Stage, method: str) -> None:
    """Processes that are forked or spawned record for themselves, inside the workflow that they were started from."""
    stage.run(
        """
        import sys
        from multiprocessing import get_context
        from provtel import carry, task, workflow

        @task
        def work(x):
            return 2 * x

        if __name__ == "__main__":
            context = get_context(sys.argv[1])
            with workflow("main"):
                processes = [context.Process(target=carry(work), args=(number,)) for number in range(2)]
                for process in processes:
                    process.start()
                for process in processes:
                    process.join()
                work(2)
        """,
        method,
    )
    main, *tasks = stage.records()

    assert sorted(record.used["x"] for record in tasks) == [0, 1, 2]
    assert {(record.parent_id, record.workflow_id, record.status.value) for record in tasks} == {
        (main.id, main.id, "finished")
    }
    assert len({record.pid for record in tasks}) == 3


def test_5_outside_of_any_workflow(recorded: Recorded) -> None:
    """Decorated code works before, between and after workflows, and each call is recorded."""
    sum_one(1)
    with workflow("main"):
        sum_one(2)
    sum_one(3)
    records = recorded()

    assert [record.used for record in records if record.kind == "task"] == [{"i1": 1}, {"i1": 2}, {"i1": 3}]
    assert [record.workflow_name for record in records if record.kind == "task"] == [None, "main", None]


def test_5_disabled(stage: Stage) -> None:
    """Switched off, a program runs as without the decorators and leaves nothing behind."""
    stage.environment = {"PROVTEL_DISABLED": "true"}
    outcome = stage.run(
        "from provtel import task, workflow\n"
        "with workflow('w'), task('t') as t:\n    t.generated(x=1)\n    print(task(lambda x: x + 1)(1))"
    )

    assert outcome.stdout == "2\n"
    assert [path.name for path in stage.folder.iterdir()] == ["program.py"]


class Hostile:
    """Fails whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        """Refuse."""
        raise RuntimeError(name)

    def __repr__(self) -> str:
        """Refuse."""
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        """Refuse."""
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]  # as of any class with __eq__ alone


def test_5_failures_of_the_capture(recorded: Recorded) -> None:
    """Neither a hostile value nor a failure of ours reaches the program."""
    hostile = Hostile()
    assert anything(hostile) is hostile

    def broken(*_: object) -> None:
        raise MemoryError

    with failing_ids(broken):
        assert anything(1) == 1
        with workflow("w"), task("t") as t:
            t.generated(x=1)
    assert [record.name for record in recorded()] == ["anything"]


def test_6_workflows(recorded: Recorded) -> None:
    """A workflow says when it ran, what it was given, its words, campaign, agent and parent, and who ran it on what."""

    @workflow(name="sweep", subtype="hpo", tags=["night"], agent=agent("anna", on_behalf_of="lab"))
    def main(rate: float, *, steps: int = 3) -> dict[str, float]:
        current().set_attribute("description", "finds the rate")
        with workflow("inner"):
            sum_one(1)
        return {"best": rate / steps * 3}

    with campaign("paper-7"):
        main(0.1)
    sweep, inner, step = recorded()

    assert facts(sweep) == ("sweep", "finished", {"rate": 0.1, "steps": 3}, {"best": 0.1})
    assert sweep.ended_at is not None
    assert sweep.ended_at > sweep.started_at
    assert sweep.tags == ("night",)
    assert sweep.attributes == {"workflow.task.subtype": "hpo", "description": "finds the rate"}
    assert (inner.parent_id, step.workflow_id) == (sweep.id, inner.id)
    for record in (sweep, inner, step):
        assert record.campaign_id == "paper-7"
        assert record.agent is not None
        assert (record.agent.id, record.agent.acted_on_behalf_of) == ("anna", "lab")
        known = record.plain["resource"]
        assert {"host.name", "process.pid", "process.owner", "process.runtime.version"} <= set(known)
        assert {"process.command_args", "process.working_directory"} <= set(known)
        assert record.plain["scope"]["version"]


def test_6_code_settings_and_environment(stage: Stage) -> None:
    """A record tells the version of the code and the settings that ran, and no variable of the environment."""
    program = stage.folder / "program.py"
    program.write_text("from provtel import task\nwith task('t'): pass\n")
    git = ("git", "-c", "user.name=A", "-c", "user.email=a@example.org")
    for command in (("init", "--quiet", "-b", "main"), ("add", "program.py"), ("commit", "--quiet", "-m", "first")):
        subprocess.run([*git, *command], cwd=stage.folder, check=True)
    stage.environment |= {"PROVTEL_MAX_ITEMS": "77", "MY_SECRET": "hunter2", "HARMLESS": "harmless"}
    stage.run(program.read_text())
    (record,) = stage.records()
    known = record.plain["resource"]

    assert re.fullmatch("[0-9a-f]{40}", str(known["vcs.ref.head.revision"]))
    assert (known["vcs.ref.head.name"], known["provtel.vcs.modified"]) == ("main", False)
    assert "77" in str(known["provtel.settings"])
    assert "hunter2" not in str(record.plain)
    assert "harmless" not in str(record.plain)


def items_of_loops() -> list[tuple[Any, list[Any]]]:
    """Return what can be gone over, and what comes out."""
    numpy = pytest.importorskip("numpy")
    return [
        (range(2), [0, 1]),
        ([7, 8], [7, 8]),
        ("ab", ["a", "b"]),
        (numpy.array([1, 2]), [1, 2]),
        (2, [0, 1]),
        (iter([1, 2]), [1, 2]),
        ((number for number in (3, 4)), [3, 4]),
        (enumerate("ab"), [(0, "a"), (1, "b")]),
        ([], []),
    ]


@pytest.mark.parametrize("case", range(9))
def test_7_loops(recorded: Recorded, case: int) -> None:
    """Whatever is gone over, the loop and each iteration have a record, with outputs and duration."""
    items, expected = items_of_loops()[case]
    with workflow("main"):
        steps = loop(items, name="x")
        for item in steps:
            current().generated(seen=item)
            with task("inside"):
                steps.generated(told=item)
    main, whole, *inside = recorded()
    iterations = [record for record in inside if record.kind == "iteration"]

    assert (whole.kind, whole.parent_id) == ("loop", main.id)
    assert [record.used["x"] for record in iterations] == expected
    assert [record.generated for record in iterations] == [{"seen": item, "told": item} for item in expected]
    for record in (whole, *iterations):
        assert record.ended_at is not None
        assert main.ended_at is not None
        assert main.started_at <= record.started_at <= record.ended_at <= main.ended_at
    assert {record.parent_id for record in iterations} <= {whole.id}


@pytest.mark.parametrize(("leaving", "begun"), [("break", 2), ("continue", 3), ("exception", 2)])
def test_7_leaving_loops(recorded: Recorded, leaving: str, begun: int) -> None:
    """Every iteration that began is there, however the loop is left."""

    def run() -> None:
        for number in loop(3):
            if number == 1 and leaving == "break":
                break
            if number == 1 and leaving == "exception":
                raise ValueError
            if leaving == "continue":
                continue

    try:
        run()
    except ValueError:
        assert leaving == "exception"
    whole, *iterations = recorded()

    assert [record.used["index"] for record in iterations] == [*range(begun)]
    last = "error" if leaving == "exception" else "finished"
    assert [record.status.value for record in (*iterations, whole)] == [*["finished"] * (begun - 1), last, last]


def test_8_explicit_tasks(recorded: Recorded) -> None:
    """A task that is begun and ended by hand takes inputs, outputs and data as they come, and tells its id."""
    with workflow("main"):
        with task("block", used={"a": 1}, telemetry=False) as block:
            block.generated(b=2, data=b"\x00\xff")
        started = task("by hand", used={"a": 1}).start()
        started.used(c=3)
        started.generated(b=2)
        assert started.is_recording()
        started.end()
        started.end()
        started.generated(late=1)
        with task("status only"):
            pass
        task("never ended").start()
    _, first, second, third, fourth = recorded()

    assert facts(first) == ("block", "finished", {"a": 1}, {"b": 2, "data": b"\x00\xff"})
    assert first.telemetry == {}
    assert (first.id, second.id) == (block.id, started.id)
    assert facts(second) == ("by hand", "finished", {"a": 1, "c": 3}, {"b": 2})
    assert second.telemetry
    assert facts(third) == ("status only", "finished", {}, {})
    assert (fourth.name, fourth.status.value) == ("never ended", "lost")
