"""`provtel.testing.capture`: records in memory, the same in every run."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from provtel import campaign, carry, current, loop, record, task, workflow
from provtel.testing import capture
from provtel_model.record import PlainRecord, Record

from tests.instrumentation.programs import Stage, facts

Recorded = Callable[[], list[Record]]


@task
def double(x: int) -> int:
    """Be captured."""
    if x < 0:
        raise ValueError(x)
    return 2 * x


def run() -> list[PlainRecord]:
    """Run something of everything, and return what was captured."""
    with capture() as captured:
        with campaign("c"), workflow("main", tags=["t"]):
            for number in loop([1, 2], name="n"):
                double(number)
                current().add_event("seen")
                current().generated(half=number / 2)
        with pytest.raises(ValueError, match="-1"):
            double(-1)
        record("past", started_at=1, ended_at=2)
    return [found.plain for found in captured.records]


def test_the_same_every_time(recorded: Recorded) -> None:
    """Two runs give equal records, to the last id and time; nothing goes to the journal."""
    first, second = run(), run()

    assert first == second
    assert [plain["name"] for plain in first] == ["main", "n", "n", "double", "n", "double", "double", "past"]
    assert all("pid" not in plain and "telemetry" not in plain for plain in first)
    assert recorded() == []


def test_clock(recorded: Recorded) -> None:
    """Starts and ends are a millisecond apart, from midnight of the year 2000; past times are kept."""
    with capture() as captured, task("outer"):
        double(1)
        current().add_event("now")
        current().add_event("then", timestamp=5)
        record("past", started_at=1, ended_at=2)
    outer, inner, past = captured.records
    midnight = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)

    assert [(one.started_at - midnight).microseconds for one in (outer, inner)] == [0, 1000]
    assert inner.ended_at == midnight + dt.timedelta(milliseconds=2)
    assert [event["time"] for event in outer.plain["events"]] == [outer.plain["started_at"], 5]
    assert (past.plain["started_at"], past.plain["ended_at"]) == (1, 2)
    recorded()


def test_open_and_named() -> None:
    """What has not ended is running; records can be asked for by name."""
    with capture() as captured, task("outer", used={"x": 1}):
        double(2)
        (outer,) = captured.named("outer")
        assert (outer.status.value, outer.used) == ("running", {"x": 1})
        assert [facts(one) for one in captured.named("double")] == [("double", "finished", {"x": 2}, {"result": 4})]
    assert [one.status.value for one in captured.records] == ["finished", "finished"]


def test_around_it_all_goes_on(recorded: Recorded) -> None:
    """Inside nothing of what is around is current; afterwards records go where they went before, with new ids."""
    with workflow("around") as around:
        with capture() as captured:
            double(1)
        double(2)
    inner = captured.records[0]
    outside = recorded()

    assert (inner.parent_id, inner.workflow_id) == (None, None)
    assert [one.used for one in outside] == [{}, {"x": 2}]
    assert outside[1].parent_id == around.id
    assert len({inner.trace_id, outside[0].trace_id}) == 2


def test_threads() -> None:
    """What runs in threads is captured too."""
    with capture() as captured, workflow("main"):
        threads = [threading.Thread(target=carry(double), args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(one.used["x"] for one in captured.named("double")) == [0, 1, 2, 3]


def test_where_capture_is_disabled(monkeypatch: pytest.MonkeyPatch, recorded: Recorded) -> None:
    """A test may ask for records where capture is off; settings of the environment change nothing."""
    environment: dict[str, Any] = {"PROVTEL_DISABLED": "true", "PROVTEL_MAX_ITEMS": "1"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with capture() as captured, task("list", used={"x": [1, 2, 3]}):
        pass
    assert captured.records[0].used == {"x": [1, 2, 3]}
    assert recorded() == []


def test_it_is_opt_in(stage: Stage) -> None:
    """A program that does not ask for it does not load it."""
    assert stage.run("import provtel, sys; print('provtel.testing' in sys.modules)").stdout == "False\n"
