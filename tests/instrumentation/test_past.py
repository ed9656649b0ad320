"""`record`: activities that are over, told by whoever knows of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from provtel import agent, campaign, record, task, workflow
from provtel_model.record import Record

Recorded = Callable[[], list[Record]]
START = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
END = START + dt.timedelta(hours=1, microseconds=3)


def test_a_task_that_is_over(recorded: Recorded) -> None:
    """The record says what it was told, and nothing of this process's cost."""
    known = record(
        "train",
        started_at=START,
        ended_at=END,
        used={"lr": 0.1},
        generated={"loss": 0.2},
        tags=["imported"],
        attributes={"password": "x", "queue": "gpu"},
        subtype="job",
    )
    (found,) = recorded()

    assert (found.id, found.name, found.kind, found.status.value) == (known.id, "train", "task", "finished")
    assert (found.started_at, found.ended_at) == (START, END)
    assert (found.used, found.generated, found.tags) == ({"lr": 0.1}, {"loss": 0.2}, ("imported",))
    assert found.attributes == {"password": "[REDACTED]", "queue": "gpu", "workflow.task.subtype": "job"}
    assert found.telemetry == {}


@pytest.mark.parametrize(
    ("told", "status", "error"),
    [
        ({"error": "out of memory"}, "error", {"message": "out of memory"}),
        ({"error": ValueError("bad"), "status": "cancelled"}, "cancelled", {"message": "bad", "type": "ValueError"}),
        ({"status": "error"}, "error", {}),
    ],
)
def test_how_it_ended(recorded: Recorded, told: dict[str, Any], status: str, error: dict[str, str]) -> None:
    """An error, as a text or an exception, makes the status, where no other is told."""
    record("job", started_at=1, ended_at=2, **told)
    (found,) = recorded()
    known = dict(found.plain.get("error", {}))
    known.pop("stacktrace", None)

    assert (found.status.value, known) == (status, error)


def test_where_it_belongs(recorded: Recorded) -> None:
    """It belongs to what is running, to the campaign and the agent; a past workflow has past tasks."""
    with campaign("c"), agent("scheduler"), workflow("import") as running:
        record("inside", started_at=10, ended_at=20)
        past = record("nightly", kind="workflow", started_at=10, ended_at=30)
        record("step", started_at=11, ended_at=12, parent=past)
    with task("after"):
        pass
    by_name = {found.name: found for found in recorded()}

    assert by_name["inside"].parent_id == by_name["inside"].workflow_id == running.id
    assert by_name["nightly"].workflow_id == past.id
    assert (by_name["step"].parent_id, by_name["step"].workflow_id) == (past.id, past.id)
    assert by_name["step"].campaign_id == "c"
    assert by_name["step"].agent is not None
    assert by_name["after"].parent_id is None


def test_declared_flow(recorded: Recorded) -> None:
    """What a past task generated can be said to be what another one used."""
    first = record("first", started_at=1, ended_at=2, generated={"model": "m"})
    record("second", started_at=3, ended_at=4, used={"model": first.output("model")})
    _, second = recorded()

    assert second.used == {"model": "m"}
    assert second.plain["links"][0]["span_id"] == f"{first.span_id:016x}"


def test_end_before_start(recorded: Recorded) -> None:
    """What is told to have ended before it started has no duration."""
    record("odd", started_at=10, ended_at=5)

    assert [found.plain["ended_at"] for found in recorded()] == [10]


@pytest.mark.parametrize(
    "wrong",
    [
        {"started_at": START.replace(tzinfo=None)},
        {"status": "fine"},
        {"ended_at": "today"},
        {"used": 3},
        {"generated": 3},
        {"error": 3},
    ],
)
def test_what_cannot_be_recorded(recorded: Recorded, wrong: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    """A mistake is said once, with the name, and never raised."""
    given: dict[str, Any] = {"started_at": 1, "ended_at": 2, **wrong}
    record("odd", **given)
    record("odd", **given)

    assert recorded() == []
    assert capfd.readouterr().err.count("'odd' could not be recorded") == 1
