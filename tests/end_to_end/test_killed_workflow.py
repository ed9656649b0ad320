"""A workflow that is killed loses nothing that it had begun."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.end_to_end.processes import Place

PROGRAM = """
import os
import signal

from provtel import task, workflow


@task(outputs="double")
def step(number):
    if number == 500:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


@workflow
def thousand():
    for number in range(1, 1001):
        step(number)


thousand()
"""


def test_kill_in_the_middle_of_a_task(tmp_path: Path) -> None:
    """Killed in its 500th of 1000 tasks, a workflow leaves 499 finished ones and one that is lost."""
    place = Place(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)

    place.run("program.py", expected=-signal.SIGKILL)
    tasks = place.objects("tasks", "--limit", "0", "--sort", "started_at")

    finished, (lost,) = tasks[:-1], tasks[-1:]
    assert [(task["used"], task["generated"], task["status"]) for task in finished] == [
        ({"number": number}, {"double": 2 * number}, "finished") for number in range(1, 500)
    ]
    assert (lost["name"], lost["used"], lost["generated"], lost["status"]) == ("step", {"number": 500}, {}, "lost")
    assert lost["ended_at"] is None
    assert [workflow["status"] for workflow in place.objects("workflows")] == ["lost"]
    assert len({task["workflow_id"] for task in tasks}) == 1
