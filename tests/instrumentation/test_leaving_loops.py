"""How a loop is left: by `break`, `return` or an exception, which Python does not tell the iterator."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from provtel import current, loop, task, workflow
from provtel_model.record import Record

Recorded = Callable[[], list[Record]]


class Whole:
    """What the loop in a test went over; can be waited for."""

    def __init__(self, *items: object) -> None:
        """Keep the items."""
        self.items = items

    async def __aiter__(self) -> AsyncIterator[object]:
        """Give each after a moment."""
        for item in self.items:
            await asyncio.sleep(0)
            yield item


def fail(*_: object) -> None:
    """Raise."""
    raise LookupError("told to")


def breaking(items: Any) -> None:
    """Leave by `break`."""
    for _ in items:
        break


def breaking_inside(items: Any) -> None:
    """Leave by `break` out of a `with` and a `try`."""
    for _ in items:
        with contextlib.ExitStack():
            try:
                break
            finally:
                contextlib.ExitStack()


def returning(items: Any) -> object:
    """Leave by `return`."""
    for item in items:
        return item
    return None


def giving_up(items: Any) -> object:
    """Leave by `break` when an exception was handled whose traceback is kept, with the frame in it."""
    last = None
    for _ in items:
        try:
            fail()
        except LookupError as error:
            last = error
            break
    return last


def watched(items: Any) -> object:
    """Leave by `break` with a reference to the frame at hand."""
    frame = sys._getframe()
    for _ in items:
        break
    return frame


def stopping(items: Any) -> None:
    """Leave because the other iterator has no more."""
    for _ in zip(items, range(1), strict=False):
        pass


def asking(items: Any) -> bool:
    """Leave because the answer is known."""
    return any(item == 0 for item in items)


def yielding(items: Any) -> None:
    """Leave because the generator around the loop is given up."""

    def generator() -> Iterator[object]:
        for item in items:  # noqa: UP028  # it is the `for` that is tested
            yield item

    for _ in generator():
        break


def stepping(items: Any) -> None:
    """Leave by forgetting the iterator."""
    iterator = iter(items)
    next(iterator)
    del iterator


LEFT_WELL = (breaking, breaking_inside, returning, giving_up, watched, stopping, asking, yielding, stepping)


def raising(items: Any) -> None:
    """Leave by an exception of the body."""
    for _ in items:
        raise LookupError("told to")


def calling(items: Any) -> None:
    """Leave by an exception of what the body calls."""
    for _ in items:
        fail()


def handled(items: Any) -> None:
    """Leave by an exception that the same function handles."""
    with contextlib.suppress(LookupError):
        for _ in items:
            fail()
    fail()


def through_blocks(items: Any) -> None:
    """Leave by an exception through a `with` and a `finally`."""
    for _ in items:
        with contextlib.ExitStack():
            try:
                fail()
            finally:
                contextlib.ExitStack()


def again(items: Any) -> None:
    """Leave by an exception that was handled and raised again."""
    for _ in items:
        try:
            fail()
        except LookupError as error:
            raise ValueError from error


def inner_items(items: Any) -> None:
    """Leave by an exception of the items of a loop inside."""
    for _ in items:
        for _ in map(fail, range(2)):
            pass


def exiting(items: Any) -> None:
    """Leave by the end of the program."""
    for _ in items:
        sys.exit(3)


def assigning(items: Any) -> None:
    """Leave by an exception of an assignment."""
    for _ in items:
        fail.__name__ = 1  # type: ignore[assignment]  # it is to fail


def unpacking(items: Any) -> None:
    """Leave by an exception between the item and its variables."""
    for _, _ in items:
        pass


def mapping(items: Any) -> None:
    """Leave by an exception of what the items are mapped by."""
    for _ in map(fail, items):
        pass


LEFT_BY_EXCEPTION = (
    *(raising, calling, handled, through_blocks, again, inner_items, exiting, assigning, unpacking, mapping),
)


async def break_async(items: Any) -> None:
    """Leave by `break`."""
    async for _ in items:
        break


async def return_async(items: Any) -> object:
    """Leave by `return`."""
    async for item in items:
        return item
    return None


async def yield_async(items: Any) -> None:
    """Leave because the generator around the loop is given up."""

    async def generator() -> AsyncIterator[object]:
        async for item in items:
            yield item

    going = generator()
    await anext(going)
    await going.aclose()  # type: ignore[attr-defined]  # it is a generator


async def raise_async(items: Any) -> None:
    """Leave by an exception."""
    async for _ in items:
        fail()


async def await_async(items: Any) -> None:
    """Leave by an exception of what is awaited."""

    async def wait() -> None:
        await asyncio.sleep(0)
        fail()

    async for _ in items:
        await wait()


async def cancel_async(items: Any) -> None:
    """Leave because the task is cancelled."""

    async def wait() -> None:
        async for _ in items:
            await asyncio.sleep(60)

    await asyncio.wait_for(wait(), 0.02)


def _states(records: list[Record]) -> list[str]:
    """Return the states of the loop, its iterations and a task that ran behind it, which must belong to neither."""
    assert records[-1].name == "behind"
    assert records[-1].parent_id is None
    return [record.status.value for record in records[:-1]]


@pytest.mark.parametrize("leave", LEFT_WELL)
def test_left_well(recorded: Recorded, leave: Callable[[Any], object]) -> None:
    """What is left because enough was done is finished, and nothing stays current."""
    leave(loop([0, 1]))
    with task("behind"):
        pass
    states = _states(recorded())

    assert states == ["finished"] * len(states)
    assert len(states) in {2, 3}


@pytest.mark.parametrize("leave", LEFT_BY_EXCEPTION)
def test_left_by_an_exception(recorded: Recorded, leave: Callable[[Any], object]) -> None:
    """What an exception left is an error that tells the line, in loop and iteration, and nothing stays current."""
    with pytest.raises((Exception, SystemExit)):
        leave(loop([0, 1], name="x"))
    with task("behind"):
        pass
    records = recorded()

    assert _states(records) == ["error", "error"]
    for record in records[:2]:
        assert record.error is not None
        assert (record.error.message or "").startswith("an exception left the loop in line ")
        assert (record.error.message or "").endswith(__file__)


@pytest.mark.parametrize("leave", [break_async, return_async, yield_async])
def test_asynchronous_loop_left_well(recorded: Recorded, leave: Any) -> None:
    """An `async for` that is left because enough was done is finished."""
    asyncio.run(leave(loop(Whole(0, 1))))
    with task("behind"):
        pass
    assert _states(recorded()) == ["finished", "finished"]


@pytest.mark.parametrize("leave", [raise_async, await_async, cancel_async])
def test_asynchronous_loop_left_by_an_exception(recorded: Recorded, leave: Any) -> None:
    """An `async for` that an exception left is an error."""
    with pytest.raises((LookupError, TimeoutError)):
        asyncio.run(leave(loop(Whole(0, 1))))
    with task("behind"):
        pass
    assert _states(recorded()) == ["error", "error"]


def test_waiting_in_the_body_of_a_loop(recorded: Recorded) -> None:
    """A `for` in a coroutine that is cancelled while its body waits is an error."""

    async def wait() -> None:
        for _ in loop(2):
            await asyncio.sleep(60)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait(), 0.02)

    asyncio.run(main())
    assert [record.status.value for record in recorded()] == ["error", "error"]


def test_asynchronous_items(recorded: Recorded) -> None:
    """An `async for` has its loop and its iterations, with outputs, beside others in the same event loop."""

    async def one(name: str) -> None:
        steps = loop(Whole(1, 2), name=name)
        async for item in steps:
            await asyncio.sleep(0)
            current().generated(seen=item)
            with task("step"):
                steps.generated(told=item)

    async def main() -> None:
        with workflow("main"):
            await asyncio.gather(one("a"), one("b"))

    asyncio.run(main())
    main_record, *records = recorded()

    for name in ("a", "b"):
        whole, *iterations = [record for record in records if record.name == name]
        assert (whole.kind, whole.parent_id, whole.status.value) == ("loop", main_record.id, "finished")
        assert [(one.used[name], one.generated) for one in iterations] == [
            (1, {"seen": 1, "told": 1}),
            (2, {"seen": 2, "told": 2}),
        ]
        assert {one.parent_id for one in iterations} == {whole.id}


def test_outputs_of_the_right_iteration(recorded: Recorded) -> None:
    """What is told to a loop is its iteration's, also from inside of another loop, a task, or after the end."""
    outer = loop(2, name="outer")
    for number in outer:
        inner = loop(1, name="inner")
        for _ in inner:
            with task("step"):
                outer.generated(o=number)
                inner.generated(i=number)
        inner.generated(late=True)
    outer.generated(late=True)
    records = recorded()

    assert [record.generated for record in records if record.kind == "iteration" and record.name == "outer"] == [
        {"o": 0},
        {"o": 1},
    ]
    assert [record.generated for record in records if record.kind == "iteration" and record.name == "inner"] == [
        {"i": 0},
        {"i": 1},
    ]
    assert {record.name for record in records if "late" in record.generated} == set()


def test_two_loops_side_by_side(recorded: Recorded) -> None:
    """Loops in step have their own iterations, and nothing of them is current afterwards."""
    for a, b in zip(loop("ab", name="a"), loop([1, 2], name="b"), strict=True):
        with task("step", used={"a": a, "b": b}):
            pass
    with task("behind"):
        pass
    records = recorded()
    parents = {record.id: record for record in records}

    for record in records:
        if record.kind == "iteration":
            parent = parents[record.parent_id or ""]
            assert (parent.kind, parent.name) == ("loop", record.name)
    assert len(records) == 9
    assert _states(records) == ["finished"] * 8


def test_iterator_that_outlives_the_activity_around_it(recorded: Recorded) -> None:
    """An iterator that is let go late ends what it has begun, and changes nothing of what is current by then."""
    iterator = iter(loop(2))
    with task("around"):
        next(iterator)
    with task("later"):
        del iterator
        assert current().is_recording()
        current().generated(x=1)
    with task("behind"):
        pass
    by_name = {record.name if record.kind == "task" else record.kind: record for record in recorded()}

    assert {record.status.value for record in by_name.values()} == {"finished"}
    assert by_name["later"].generated == {"x": 1}
    assert by_name["behind"].parent_id is None


def test_items_are_let_go(recorded: Recorded) -> None:
    """When a loop is over, nothing of ours keeps the items, also where an activity of it is kept."""

    class Item:
        pass

    kept: list[object] = []

    def run() -> weakref.ref[Item]:
        item = Item()
        kept.extend(current() for _ in loop([item]))
        return weakref.ref(item)

    reference = run()
    gc.collect()
    assert reference() is None
    assert len(recorded()) == 2


def test_comprehension_left_by_an_exception(recorded: Recorded) -> None:
    """A comprehension that an exception left is an error too, where Python makes no function of it."""
    expected = "error" if sys.version_info >= (3, 12) else "finished"
    with pytest.raises(ZeroDivisionError):
        [1 // item for item in loop([1, 0])]
    assert [record.status.value for record in recorded()] == [expected, "finished", expected]
