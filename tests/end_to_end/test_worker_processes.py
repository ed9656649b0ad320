"""Tasks in worker processes, however these are started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.processes import Place

PROGRAM = """
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from provtel import carry, task, workflow


@dataclass(frozen=True)
class Point:
    x: float
    y: float


@task(outputs="point")
def place():
    return Point(0.125, 0.25)


@task(outputs="moved")
def move(point, by):
    return Point(point.x + by, point.y + by)


@task(outputs="area")
def measure(corner):
    return corner.x * corner.y


@workflow
def main():
    context = multiprocessing.get_context(sys.argv[1])
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        moved = pool.submit(carry(move), place(), 1.5).result()
    measure(moved)


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_worker_is_part_of_the_workflow(tmp_path: Path, method: str) -> None:
    """A task in a worker belongs to the workflow, bears the program's own names, and passes data on both ways."""
    place = Place(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)

    place.run("program.py", method)
    tasks = place.objects("tasks", "--sort", "started_at")
    (workflow,) = place.objects("workflows")

    assert [task["plan"]["function"] for task in tasks] == ["__main__.place", "__main__.move", "__main__.measure"]
    assert {task["workflow_id"] for task in tasks} == {task["parent_id"] for task in tasks} == {workflow["id"]}
    assert len({task["pid"] for task in tasks}) == 2
    chain = place.provtel("lineage", tasks[-1]["id"], "--evidence", "same_content").splitlines()
    assert [line.split("─ ")[-1].split(" = ")[0].split()[0] for line in chain] == [
        *("measure", "moved", "move", "point", "place", "by"),
    ]
