"""`loop`: a record for the loop and one for each iteration that began."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from provtel import current, loop, task, workflow
from provtel_model.record import Record

from tests.instrumentation.programs import facts

Recorded = Callable[[], list[Record]]


def test_records_of_a_loop(recorded: Recorded) -> None:
    """The loop used the items, each iteration one of them, and what runs in the body is the iteration's child."""
    with workflow("sweep"):
        for lr in loop([0.1, 0.01], name="lr"):
            with task("evaluate") as t:
                t.generated(loss=lr)
    sweep, whole, *rest = recorded()
    iterations, tasks = rest[::2], rest[1::2]

    assert (whole.kind, whole.parent_id, whole.used) == ("loop", sweep.id, {"items": [0.1, 0.01]})
    assert [(one.kind, one.name, one.used) for one in iterations] == [
        ("iteration", "lr", {"lr": 0.1, "index": 0}),
        ("iteration", "lr", {"lr": 0.01, "index": 1}),
    ]
    assert {one.parent_id for one in iterations} == {whole.id}
    assert [one.parent_id for one in tasks] == [one.id for one in iterations]
    assert {record.workflow_id for record in (whole, *iterations, *tasks)} == {sweep.id}


@pytest.mark.parametrize(
    ("items", "seen"),
    [(3, [0, 1, 2]), (range(2), [0, 1]), ("ab", ["a", "b"]), (iter([1, 2]), [1, 2]), ([], []), (0, [])],
)
def test_anything_to_go_over(recorded: Recorded, items: Any, seen: list[Any]) -> None:
    """Numbers, ranges, texts, iterators and nothing at all can be gone over, and are not used up."""
    assert list(loop(items)) == seen
    assert [record.used["item"] for record in recorded()[1:]] == seen


def test_leaving_early(recorded: Recorded) -> None:
    """An iteration that began is there after `continue`, `break`, `return`, an exception; nothing stays current."""

    def leave(how: str) -> None:
        for number in loop(3, name=how):
            if how == "continue":
                continue
            if number == 1 and how == "break":
                break
            if number == 1 and how == "return":
                return
            if number == 1:
                raise ValueError(how)

    for how in ("continue", "break", "return"):
        leave(how)
    with pytest.raises(ValueError, match="raise"):
        leave("raise")
    leaf = task("after")
    with leaf:
        pass
    records = recorded()

    assert {
        name: sum(record.name == name for record in records) for name in ("continue", "break", "return", "raise")
    } == {
        "continue": 4,
        "break": 3,
        "return": 3,
        "raise": 3,
    }
    states = {(record.name, record.used.get("index", "loop")): record.status.value for record in records[:-1]}
    assert {name for name, state in states.items() if state != "finished"} == {("raise", "loop"), ("raise", 1)}
    assert records[-1].parent_id is None


def test_items_that_fail(recorded: Recorded) -> None:
    """An iterator that raises makes the loop an error."""

    def broken() -> Any:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(loop(broken(), name="n"))

    assert [facts(record)[1] for record in recorded()] == ["error", "finished"]


def test_length() -> None:
    """A loop is as long as its items."""
    assert len(loop([1, 2, 3])) == 3


def test_what_an_iteration_generated(recorded: Recorded) -> None:
    """In the body the iteration is what is current, also after a task in it; what is told to it is its own."""
    for number in loop(2, name="epoch"):
        with task("step"):
            current().generated(step=number)
        current().generated(loss=number / 2)
    assert not current().is_recording()
    by_kind = {kind: [record.generated for record in records] for kind, records in _by_kind(recorded()).items()}

    assert by_kind == {
        "loop": [{}],
        "iteration": [{"loss": 0.0}, {"loss": 0.5}],
        "task": [{"step": 0}, {"step": 1}],
    }


def test_numbers_and_arrays_of_numpy(recorded: Recorded) -> None:
    """A number of NumPy is as many integers, an array its items, also one of a single item."""
    numpy = pytest.importorskip("numpy")

    assert list(loop(numpy.int64(2))) == [0, 1]
    assert list(loop(numpy.array([5]))) == [5]
    assert [row.tolist() for row in loop(numpy.eye(2))] == [[1, 0], [0, 1]]
    assert {record.status.value for record in recorded()} == {"finished"}


def test_generator_of_the_user_is_closed_late(recorded: Recorded) -> None:
    """An endless generator can be gone over and left; it is not closed by us, because the user may go on with it."""

    def count() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    numbers = count()
    for number in loop(enumerate(numbers)):
        if number == (1, 1):
            break
    assert next(numbers) == 2
    assert [record.used.get("item") for record in recorded()][1:] == [(0, 0), (1, 1)]


def test_nothing_is_current_after_an_exception(recorded: Recorded) -> None:
    """What the handler of an exception in the body starts is outside of the loop."""
    try:
        for _ in loop(3):
            raise ValueError  # noqa: TRY301  # it is what is tested
    except ValueError:
        with task("handler"):
            pass
    assert recorded()[-1].parent_id is None


def _by_kind(records: list[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.kind, []).append(record)
    return found
