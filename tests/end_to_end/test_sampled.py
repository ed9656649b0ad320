"""What the sampler measures is in the store beside the tasks, without a collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_query import connect

from tests.end_to_end.processes import Place

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import logging, time
from provtel import logs, task

with task("measured"):
    logs.emit("half way", severity=9)
    time.sleep(0.7)
"""


def test_metrics_and_logs_of_a_task(tmp_path: Path) -> None:
    """Data points that fall into a task, and log lines that it wrote, are found by it."""
    place = Place(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    place.run("program.py", PROVTEL_SAMPLER="200ms")

    with connect(place.store) as store:
        (measured,) = store.tasks()
        points = store.points(measured, "process.cpu.time")
        (line,) = store.logs(measured)

    assert points
    assert all(point["pid"] == measured.pid for point in points)
    assert line["body"] == "half way"
