"""`current`: the running activity, to say more of it from anywhere in the code that it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

from opentelemetry.sdk.trace import TracerProvider
from provtel import carry, current, reference, task, workflow
from provtel_model.record import Record
from provtel_model.values import Reference

Recorded = Callable[[], list[Record]]


def helper() -> None:
    """Say more of whatever task calls it."""
    running = current()
    running.generated(loss=0.5)
    running.used(seed=7)
    running.tag("slow", "gpu")
    running.set_attribute("batch.size", 32)
    running.add_event("cache miss")


def test_saying_more(recorded: Recorded) -> None:
    """Outputs, inputs, tags, attributes and events that are told to it are the running task's."""

    @task(tags=["first"])
    def train() -> int:
        helper()
        return 1

    with workflow("main"):
        train()
        current().tag("done")
    main, trained = recorded()

    assert trained.generated == {"loss": 0.5, "result": 1}
    assert (trained.used, trained.tags) == ({"seed": 7}, ("first", "slow", "gpu"))
    assert trained.attributes["batch.size"] == 32
    assert [event.name for event in trained.events] == ["cache miss"]
    assert (main.tags, main.generated) == (("done",), {})


def test_outside_of_any(recorded: Recorded) -> None:
    """Outside of any activity, and after the end of one, all that can be said is ignored."""
    helper()
    with task("over") as over:
        pass
    helper()
    over.tag("late")
    assert not current().is_recording()
    (record,) = recorded()

    assert (record.tags, record.generated) == ((), {})


def test_in_a_foreign_span(recorded: Recorded) -> None:
    """While a span of another library is current it is the activity around that span."""
    tracer = TracerProvider().get_tracer("foreign")
    with task("around") as around, tracer.start_as_current_span("foreign"):
        assert current() is around
    recorded()


def test_in_a_carried_thread(recorded: Recorded) -> None:
    """In a thread it is the activity that was running where the function was carried from, and none otherwise."""
    with task("main"):
        for function in (carry(helper), helper):
            thread = threading.Thread(target=function)
            thread.start()
            thread.join()
    (record,) = recorded()

    assert record.tags == ("slow", "gpu")


def test_reference(recorded: Recorded) -> None:
    """Data elsewhere is known by its address, without the password in it, and by what else is said of it."""
    with task("read", used={"table": reference("postgres://me:pass@db/x", type="table")}):
        current().generated(model=reference("s3://bucket/model", hash="sha256:00", nbytes=10))
    (record,) = recorded()

    assert record.used == {"table": Reference("table", uri="postgres://me:[REDACTED]@db/x")}
    assert record.generated == {"model": Reference("data", hash="sha256:00", nbytes=10, uri="s3://bucket/model")}


def test_output_of_what_is_not_recorded(recorded: Recorded) -> None:
    """An output of an activity that is not recorded is an input without a source."""
    with task("fed", used={"x": current().output("y")}):
        pass
    (record,) = recorded()

    assert (record.used, record.links) == ({"x": None}, ())
