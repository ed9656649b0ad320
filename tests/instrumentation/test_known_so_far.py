"""What an activity said before its process was killed is not lost with it."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from provtel import current, loop, task
from provtel_model.record import Record
from provtel_model.values import Reference

from tests.instrumentation.programs import Stage

PROGRAM = """
import os, signal
from provtel import current, loop, task, workflow

@task
def function(x):
    current().generated(half=x / 2)
    current().used(more=[1, 2])
    with task("block", used={"a": 1}, tags=["t"]) as block:
        block.generated(loss=0.5)
        block.generated(loss=0.25, steps=[1])
        block.used(b=2)
        block.set_attribute("k", "v")
        block.generated(last={"password": "hunter2"})
        for n in loop(2, name="n"):
            current().generated(square=n * n)
        os.kill(os.getpid(), signal.SIGKILL)

function(3)
"""


@pytest.mark.parametrize("pure", [False, True])
def test_killed_process(stage: Stage, pure: bool) -> None:
    """A killed process leaves what its open activities had generated and used until then; what ended is as ever."""
    if pure:
        stage.environment["PROVTEL_PURE_PYTHON"] = "1"
    stage.run(PROGRAM, code=-signal.SIGKILL)
    found = {record.name + str(record.used.get("n", "")): record for record in stage.records()}

    function, block = found["function"], found["block"]
    assert (function.status, function.used, function.generated) == ("lost", {"x": 3, "more": [1, 2]}, {"half": 1.5})
    assert block.used == {"a": 1, "b": 2}
    assert block.generated == {"loss": 0.25, "steps": [1], "last": {"password": "[REDACTED]"}}
    assert (block.status, block.tags, block.attributes) == ("lost", ("t",), {"k": "v"})
    assert [found[f"n{number}"].status for number in (0, 1)] == ["finished", "finished"]
    assert [found[f"n{number}"].generated for number in (0, 1)] == [{"square": 0}, {"square": 1}]


@pytest.mark.parametrize("pure", [False, True])
def test_process_that_ends(stage: Stage, pure: bool) -> None:
    """Of what ends nothing is there twice."""
    if pure:
        stage.environment["PROVTEL_PURE_PYTHON"] = "1"
    stage.run(PROGRAM.replace("os.kill(os.getpid(), signal.SIGKILL)", "block.tag('u')"))
    records = stage.records()

    assert len(records) == 5
    assert {record.status for record in records} == {"finished"}
    (block,) = (record for record in records if record.name == "block")
    assert block.generated == {"loss": 0.25, "steps": [1], "last": {"password": "[REDACTED]"}}
    assert (block.used, block.tags, block.attributes) == ({"a": 1, "b": 2}, ("t", "u"), {"k": "v"})


def test_very_many_words(stage: Stage) -> None:
    """Who says more ten thousand times does not fill the disk with it; the end has all."""
    stage.run(
        """
        from provtel import task
        with task("t", used={"x": "x" * 1000}) as t:
            for n in range(10_000):
                t.generated(**{f"n{n % 100}": n})
        """
    )

    assert sum(len(path.read_bytes().rstrip(b"\0")) for path in stage.store.glob("journal/*/*.seg")) < 200_000
    (record,) = stage.records()
    assert record.generated == {f"n{n}": 9900 + n for n in range(100)}


def test_segment_that_is_full(stage: Stage) -> None:
    """What was said goes along to the next segment."""
    stage.run(
        """
        import os, signal
        from provtel import task
        with task("long") as long:
            long.generated(early=1)
            for n in range(30_000):
                with task("short", used={"x": "x" * 500}): pass
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        code=-signal.SIGKILL,
    )

    assert len([*stage.store.glob("journal/*/*.seg")]) > 1
    (lost,) = (record for record in stage.records() if record.name == "long")
    assert lost.generated == {"early": 1}


def test_objects_are_known_by_reference(recorded: Callable[[], list[Record]]) -> None:
    """What goes with the start again has the same form as in the end."""
    with task("t") as t:
        t.generated(array=Reference("data", uri="s3://b/k"))
        for n in loop(1, name="n"):
            current().generated(n=n)

    assert recorded()[0].generated["array"].uri == "s3://b/k"
