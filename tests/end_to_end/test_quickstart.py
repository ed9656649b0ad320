"""The quickstart, as somebody runs it who has just come."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from tests.end_to_end.processes import Place
from tests.house.project import ROOT

RUNS = 10
QUICKSTART = ROOT / "examples" / "quickstart.py"


def test_each_run_shows_its_own_two_tasks(tmp_path: Path) -> None:
    """After each of ten runs, `provtel tasks` shows that run's two tasks, with all that is asked of them right."""
    place = Place(tmp_path)
    workflows = []
    for _ in range(RUNS):
        before = dt.datetime.now(dt.UTC)
        printed = place.run(QUICKSTART).splitlines()
        after = dt.datetime.now(dt.UTC)

        tasks = sorted(place.objects("tasks"), key=lambda task: task["started_at"])

        assert printed[0] == "Final output 8"
        assert sorted(printed[1:]) == ["mult_two {'o1': 4} -> {'o2': 8}", "sum_one {'i1': 3} -> {'o1': 4}"]
        assert [(task["name"], task["used"], task["generated"], task["status"]) for task in tasks] == [
            ("sum_one", {"i1": 3}, {"o1": 4}, "finished"),
            ("mult_two", {"o1": 4}, {"o2": 8}, "finished"),
        ]
        assert before <= _start(tasks[0]) <= _end(tasks[0]) <= _start(tasks[1]) <= _end(tasks[1]) <= after
        workflows.append({task["workflow_id"] for task in tasks})

    recorded = {workflow["id"]: workflow["name"] for workflow in place.objects("workflows")}
    assert set().union(*workflows) == recorded.keys()
    assert [len(ids) for ids in workflows] == [1] * RUNS
    assert list(recorded.values()) == ["main"] * RUNS


def test_lineage_of_the_result_is_the_chain(tmp_path: Path) -> None:
    """The lineage of 8 leads to the input, also where earlier runs gave the same numbers."""
    place = Place(tmp_path)
    for _ in range(3):
        place.run(QUICKSTART)

    for target in ("8", "o2=8"):
        assert "o2 <- mult_two <- o1 <- sum_one <- i1" in place.provtel("lineage", target).splitlines()


def _start(task: dict[str, Any]) -> dt.datetime:
    return dt.datetime.fromisoformat(task["started_at"])


def _end(task: dict[str, Any]) -> dt.datetime:
    return dt.datetime.fromisoformat(task["ended_at"])
