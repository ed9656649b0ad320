"""`PROVTEL_DISABLED=true`: every part of the interface works and does nothing."""

from __future__ import annotations

import provtel

from tests.instrumentation.programs import Stage

PROGRAM = """
import asyncio, os, pickle, threading
from provtel import (
    Activity, Agent, Output, agent, campaign, carry, configure, current, file, loop, record, reference, task, workflow
)

@task(outputs="y", tags=["t"], subtype="s", attempt=1, agent="robot", telemetry=False, capture_values=False)
def double(x):
    current().generated(half=x / 2)
    current().tag("seen")
    return 2 * x

@task
async def coroutine(x):
    return x

@task
def generator(n):
    yield from range(n)

@task
async def async_generator(n):
    for number in range(n):
        yield number

class Model:
    @task
    def fit(self, x):
        return x

    @task
    @staticmethod
    def static(x):
        return x

    @classmethod
    @task
    def make(cls):
        return cls()

async def collect():
    async with task("async block") as block:
        block.generated(x=1)
    steps, seen = loop(async_generator(2), name="async steps"), []
    async for item in steps:
        steps.generated(x=item)
        seen.append(item)
    return seen

@workflow(campaign="c", agent=agent("anna", name="A", type="person", on_behalf_of=agent("lab")))
def main():
    with campaign("paper"), agent("robot"):
        assert double(2) == 4
        assert asyncio.run(coroutine(3)) == 3
        assert list(generator(2)) == [0, 1]
        assert asyncio.run(collect()) == [0, 1]
        assert Model.make().fit(5) == 5 and Model.static(6) == 6
    steps = loop(2, name="n")
    for number in steps:
        current().generated(x=number)
        steps.generated(y=number)
    try:
        for letter in loop("ab", name="left"):
            raise LookupError(letter)
    except LookupError as error:
        assert error.args == ("a",)
    assert len(loop([1, 2])) == 2

if __name__ == "__main__":
    configure(max_items=10)
    main()
    with workflow("block", used={"x": 1}) as run, task("inner", used={"f": file(__file__)}) as inner:
        assert isinstance(run, Activity)
        inner.generated(y=reference("s3://b/k"))
        inner.used(z=1)
        inner.tag("a")
        inner.set_attribute("a", 1)
        inner.set_attributes({"b": 2})
        inner.add_event("e")
        inner.add_link(inner.get_span_context())
        inner.update_name("other")
        inner.record_exception(ValueError())
        assert isinstance(inner.output("y"), Output) and isinstance(inner.id, str)
        assert inner.is_recording() is ("PROVTEL_DISABLED" not in os.environ)
        with task("fed", used={"y": inner.output("y")}):
            pass
    started = workflow("notebook").start()
    started.end()
    try:
        with task("failing"):
            raise KeyError("mine")
    except KeyError as error:
        assert error.args == ("mine",)
    past = record("past", kind="workflow", started_at=1, ended_at=2, error="e")
    record("step", started_at=1, ended_at=2, parent=past, generated={"x": past.output("y")})
    with past:
        pass
    carried = pickle.loads(pickle.dumps(carry(double)))
    assert carried(4) == 8
    thread = threading.Thread(target=carry(double), args=(1,))
    thread.start()
    thread.join()
"""


def test_every_part_of_the_interface_does_nothing(stage: Stage) -> None:
    """A program that uses all of it runs as without it: nothing is printed, written or recorded."""
    stage.environment = {"PROVTEL_DISABLED": "true"}

    assert stage.run(PROGRAM).stdout == ""
    assert sorted(path.name for path in stage.folder.iterdir()) == ["program.py"]
    assert [name for name in provtel.__all__ if name not in PROGRAM] == ["__version__", "connect"]


def test_the_same_program_records(stage: Stage) -> None:
    """The same program with capture on records all of it, and complains of nothing either."""
    stage.run(PROGRAM)
    names = [record.name for record in stage.records()]

    assert names.count("double") == 3
    assert {"main", "coroutine", "generator", "async_generator", "fit", "static", "make", "n"} <= set(names)
    assert {"block", "other", "fed", "notebook", "failing", "past", "step", "async block"} <= set(names)
