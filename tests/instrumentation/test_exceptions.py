"""Exceptions go through unchanged, and the record says what they were."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import Status, StatusCode, get_current_span
from provtel import task, workflow
from provtel_model.record import Record

from tests.instrumentation.programs import Stage

Recorded = Callable[[], list[Record]]


class HostileError(Exception):
    """Fails whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


EXCEPTIONS = [ValueError("no"), KeyError(1), HostileError("h"), SystemExit(3), KeyboardInterrupt(), StopIteration(4)]


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("form", ["function", "block"])
def test_same_object_comes_out(recorded: Recorded, error: BaseException, form: str) -> None:
    """The very exception that was raised is raised on, and the record is an error of its type."""

    @task
    def fail() -> None:
        raise error

    def fail_in_block() -> None:
        with task("fail"):
            raise error

    with pytest.raises(type(error)) as caught:
        (fail if form == "function" else fail_in_block)()
    (record,) = recorded()

    assert caught.value is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert record.status.value == "error"
    assert record.error is not None
    assert record.error.type in {type(error).__name__, f"{__name__}.HostileError"}
    assert record.error.stacktrace is not None
    assert "raise error" in record.error.stacktrace


def test_message_and_trace(recorded: Recorded) -> None:
    """An error has the message, and a stack trace with its cause."""

    @task
    def fail() -> None:
        try:
            os.environ["INNER"]
        except KeyError as error:
            raise ValueError("outer") from error

    with pytest.raises(ValueError, match="outer"):
        fail()
    (record,) = recorded()

    assert record.error is not None
    assert record.error.message == "outer"
    assert record.error.stacktrace is not None
    assert "KeyError: 'INNER'" in record.error.stacktrace
    assert [event.name for event in record.events] == ["exception"]


@pytest.mark.parametrize("code", [None, 0])
def test_ordinary_exit_is_no_failure(recorded: Recorded, code: int | None) -> None:
    """A program that leaves its workflow by `sys.exit()` has finished; the exit is kept as an event."""

    @workflow
    def main() -> None:
        sys.exit(code)

    with pytest.raises(SystemExit):
        main()
    (record,) = recorded()

    assert record.status.value == "finished"
    assert record.error is None
    assert [event.attributes["exception.type"] for event in record.events] == ["SystemExit"]


def test_swallowed_exception_is_no_failure(recorded: Recorded) -> None:
    """What a task handles itself is not its failure."""

    @task
    def handle() -> int:
        try:
            return int("no")
        except ValueError:
            return 1

    assert handle() == 1
    assert [record.status.value for record in recorded()] == ["finished"]


def test_status_that_is_told(recorded: Recorded) -> None:
    """A task can be told to be an error, as any span."""
    with task("told"):
        get_current_span().set_status(Status(StatusCode.ERROR, "bad data"))
    with task("taken back"):
        get_current_span().set_status(StatusCode.ERROR)
        get_current_span().set_status(StatusCode.OK)
    told, taken_back = recorded()

    assert (told.status.value, told.error and told.error.message) == ("error", "bad data")
    assert taken_back.status.value == "finished"


def test_secrets_in_messages(recorded: Recorded) -> None:
    """A password in an address does not get into a record by an error's message."""
    with pytest.raises(OSError, match="hunter2"), task("connect"):
        raise OSError("cannot reach postgres://me:hunter2@db/x")
    (record,) = recorded()

    assert "hunter2" not in str(record.plain)


@pytest.mark.usefixtures("recorded")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_results_are_identical(data: Any) -> None:
    """Whatever goes in and comes out, the caller gets the same objects as from the bare function."""
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
        max_leaves=10,
    )
    argument, result = data.draw(values), data.draw(values | st.builds(object) | st.just(HostileError("x")))
    seen: list[Any] = []

    @task
    def bare(x: Any) -> Any:
        seen.append(x)
        return result

    assert bare(argument) is result
    assert seen[0] is argument


def test_unhandled_exception_ends_the_program_as_without_us(stage: Stage) -> None:
    """The interpreter prints the traceback and exits with 1; what ran is recorded."""
    outcome = stage.run(
        """
        from provtel import task, workflow

        @task
        def fail():
            raise ValueError("no")

        @workflow
        def main():
            fail()

        main()
        """,
        code=1,
        quiet=False,
    )

    assert outcome.stderr.endswith("ValueError: no\n")
    assert "provtel:" not in outcome.stderr
    assert [(record.name, record.status.value) for record in stage.records()] == [("main", "error"), ("fail", "error")]
