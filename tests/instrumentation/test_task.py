"""`task` and `workflow` as decorators and as blocks: names, roles, kinds of functions."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from provtel import Activity, task, workflow
from provtel_model.record import Record
from provtel_model.values import Reference

from tests.instrumentation.programs import facts

Recorded = Callable[[], list[Record]]


def test_decorator_without_parentheses(recorded: Recorded) -> None:
    """A bare decorator names the task after the function, the inputs after its parameters, the output `result`."""

    @task
    def add(a: int, b: int = 2, *, c: int = 3) -> int:
        """Add."""
        return a + b + c

    assert add(1) == 6
    assert add(1, c=5) == 8
    assert (add.__name__, add.__doc__) == ("add", "Add.")
    assert [facts(record) for record in recorded()] == [
        ("add", "finished", {"a": 1, "b": 2, "c": 3}, {"result": 6}),
        ("add", "finished", {"a": 1, "b": 2, "c": 5}, {"result": 8}),
    ]


def test_decorator_with_options(recorded: Recorded) -> None:
    """Name, output, tags and subtype are the user's where they are given."""

    @task(name="sum", outputs="total", tags=["math", "fast"], subtype="reduction")
    def add(a: int, b: int) -> int:
        return a + b

    add(1, 2)
    (record,) = recorded()

    assert facts(record) == ("sum", "finished", {"a": 1, "b": 2}, {"total": 3})
    assert record.tags == ("math", "fast")
    assert record.attributes == {"workflow.task.subtype": "reduction"}


def test_name_as_the_only_argument_of_a_decorator(recorded: Recorded) -> None:
    """What names a block names a decorated function too."""

    @task("sum")
    def add(a: int) -> int:
        return a

    add(1)

    assert [record.name for record in recorded()] == ["sum"]


@pytest.mark.parametrize(
    ("outputs", "result", "generated"),
    [
        (None, 1.5, {"result": 1.5}),
        (None, None, {}),
        (None, {"a": 1, "b": None}, {"a": 1, "b": None}),
        (None, {}, {}),
        (None, {1: 2}, {"result": {1: 2}}),
        (None, (1, 2), {"result": (1, 2)}),
        ("pt", (1, 2), {"pt": (1, 2)}),
        ("pt", None, {"pt": None}),
        ("pt", {"a": 1}, {"pt": {"a": 1}}),
        (["pt"], [1, 2], {"pt": [1, 2]}),
        (("p", "t"), (1, 2), {"p": 1, "t": 2}),
        (("p", "t"), [1, 2], {"p": 1, "t": 2}),
        (("p", "t"), {"t": 2, "p": 1, "x": 3}, {"p": 1, "t": 2}),
        (("p", "t"), (1, 2, 3), {"result": (1, 2, 3)}),
    ],
)
def test_roles_of_outputs(recorded: Recorded, outputs: Any, result: Any, generated: dict[str, Any]) -> None:
    """Outputs are named by `outputs=`, by the keys of a dict, by position; one name keeps the value whole."""

    @task(outputs=outputs)
    def give() -> Any:
        return result

    assert give() is result
    assert [record.generated for record in recorded()] == [generated]


def test_roles_of_inputs(recorded: Recorded) -> None:
    """Every kind of parameter gives its name to what it was called with."""

    @task
    def call(a: int, /, b: int, *args: int, c: int = 3, **kwargs: int) -> None: ...

    call(1, 2)
    call(1, 2, 4, 5, c=6, d=7)
    call(1, b=2, e=8)

    assert [record.used for record in recorded()] == [
        {"a": 1, "b": 2, "c": 3},
        {"a": 1, "b": 2, "args": (4, 5), "c": 6, "kwargs": {"d": 7}},
        {"a": 1, "b": 2, "c": 3, "kwargs": {"e": 8}},
    ]


def test_call_that_python_refuses(recorded: Recorded) -> None:
    """A call with wrong arguments fails as without us, and is an error with what it was called with."""

    @task
    def one(a: int) -> None: ...

    with pytest.raises(TypeError, match="unexpected keyword argument 'b'"):
        one(1, b=2)  # type: ignore[call-arg]  # on purpose
    (record,) = recorded()

    assert facts(record)[1:3] == ("error", {"args": (1,), "b": 2})


class Model:
    """Has tasks as methods of every kind."""

    def __init__(self, depth: int) -> None:
        """Keep a secret that no record shows."""
        self.depth = depth

    @task
    def fit(self, data: int) -> int:
        """Use an instance."""
        return self.depth + data

    @classmethod
    @task
    def make(cls, depth: int) -> Model:
        """Use a class."""
        return cls(depth)

    @task
    @staticmethod
    def double(x: int) -> int:
        """Use neither."""
        return 2 * x

    @task
    @classmethod
    def name(cls) -> str:
        """Use a class, with the decorators in the other order."""
        return cls.__name__

    @task
    def __call__(self, x: int) -> int:
        """Be callable."""
        return x


def test_methods(recorded: Recorded) -> None:
    """`self` and `cls` are kept as the name of the class, never as the content."""
    model = Model.make(3)

    assert (model.fit(1), model.double(4), model.name(), model(7)) == (4, 8, "Model", 7)
    this = Reference(f"{__name__}.Model")
    assert [record.used for record in recorded()] == [
        {"cls": this, "depth": 3},
        {"self": this, "data": 1},
        {"x": 4},
        {"cls": this},
        {"self": this, "x": 7},
    ]


def test_partials_builtins_and_callables(recorded: Recorded) -> None:
    """Anything callable can be a task."""

    def power(base: int, exponent: int) -> int:
        return int(base**exponent)

    assert task(functools.partial(power, exponent=2))(3) == 9
    assert task(len)("four") == 4
    assert task(outputs="n")(Model(1))(5) == 5
    assert [record.name for record in recorded()] == ["power", "len", "Model", "__call__"]


def test_plan(recorded: Recorded) -> None:
    """A decorated function's code is known by place and hash; other source has another hash."""

    @task
    def one() -> int:
        return 1

    @task
    def two() -> int:
        return 2

    namespace: dict[str, Any] = {}
    exec("def three(): return 3\ndef four(): return 4", namespace)  # noqa: S102  # code without a source
    one(), one(), two(), task(namespace["three"])(), task(namespace["four"])()
    plans = [record.plan for record in recorded()]

    assert plans[0] == plans[1]
    assert plans[0] is not None
    assert plans[0].function == f"{__name__}.test_plan.<locals>.one"
    assert plans[0].file == __file__
    assert plans[0].line == one.__wrapped__.__code__.co_firstlineno  # type: ignore[attr-defined]  # functools.wraps
    assert len({plan.hash for plan in plans if plan}) == 4


def test_coroutines(recorded: Recorded) -> None:
    """A coroutine function stays one, and its task lasts until it returns."""

    @task
    async def wait(x: int) -> int:
        await asyncio.sleep(0.01)
        return x

    @workflow
    async def main() -> list[int]:
        return [*await asyncio.gather(wait(1), wait(2))]

    assert inspect.iscoroutinefunction(wait)
    assert asyncio.run(main()) == [1, 2]
    top, *waits = recorded()
    assert {record.parent_id for record in waits} == {top.id}
    assert sorted(record.generated["result"] for record in waits) == [1, 2]
    assert all(record.duration is not None and record.duration.total_seconds() >= 0.01 for record in waits)
    assert {record.telemetry["cpu.scope"] for record in (top, *waits)} == {"process"}


def test_cancelled_coroutine(recorded: Recorded) -> None:
    """A coroutine that is cancelled is recorded as that."""

    @task
    async def sleep() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        running = asyncio.ensure_future(sleep())
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    (record,) = recorded()

    assert record.status.value == "cancelled"
    assert record.error is not None
    assert record.error.type == "asyncio.exceptions.CancelledError"


def test_generators(recorded: Recorded) -> None:
    """A generator's task lasts from its first step to its last; what is between its steps is not inside it."""

    @task
    def inner(x: int) -> None: ...

    @task
    def count(n: int) -> Iterator[int]:
        for number in range(n):
            inner(number)
            received = yield number
            assert received is None
        return "done"  # type: ignore[return-value]  # what a generator returns is not what its annotation says

    assert inspect.isgeneratorfunction(count)
    for number in count(2):
        inner(-number)
    records = {(record.name, record.used.get("x")): record for record in recorded()}

    generator = records["count", None]
    assert generator.generated == {"yielded": [0, 1], "result": "done"}
    assert [records["inner", 1].parent_id, records["inner", -1].parent_id] == [generator.id, None]


def test_generator_protocol(recorded: Recorded) -> None:
    """`send`, `throw` and `close` reach the generator as without us."""

    @task(outputs="echo")
    def echo() -> Any:
        received = yield "ready"
        while True:
            try:
                received = yield received
            except KeyError as error:
                received = error

    generator = echo()
    error = KeyError("k")
    assert [next(generator), generator.send(1), generator.throw(error)] == ["ready", 1, error]
    generator.close()
    with pytest.raises(StopIteration):
        next(generator)
    (record,) = recorded()

    assert record.status.value == "finished"
    assert record.generated["echo"][:2] == ["ready", 1]


def test_generator_that_fails(recorded: Recorded) -> None:
    """An exception in a generator is its task's."""

    @task
    def fail() -> Iterator[int]:
        yield 1
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(fail())

    assert [record.status.value for record in recorded()] == ["error"]


def test_generator_of_many_items(recorded: Recorded) -> None:
    """Of a generator that yields more than a record holds, the number of items is kept."""

    @task
    def many() -> Iterator[int]:
        yield from range(5000)

    assert sum(many()) == sum(range(5000))
    assert [record.generated for record in recorded()] == [{"yielded": Reference("generator", shape=(5000,))}]


def test_async_generators(recorded: Recorded) -> None:
    """An asynchronous generator is one task, also when it is left early."""

    @task
    async def count(n: int) -> AsyncIterator[int]:
        for number in range(n):
            await asyncio.sleep(0)
            yield number

    async def main() -> list[int]:
        whole = [number async for number in count(3)]
        stream = count(9)
        part = [await anext(stream)]
        await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
        return whole + part

    assert inspect.isasyncgenfunction(count)
    assert asyncio.run(main()) == [0, 1, 2, 0]
    assert [facts(record)[1:] for record in recorded()] == [
        ("finished", {"n": 3}, {"yielded": [0, 1, 2]}),
        ("finished", {"n": 9}, {"yielded": [0]}),
    ]


def test_blocks(recorded: Recorded) -> None:
    """A block has inputs from the start, outputs when they are told, and ends with its code."""
    with workflow("sweep", campaign="paper-7", tags=["w"]) as run, task("evaluate", used={"lr": 0.1}, tags=["t"]) as t:
        t.used(batch=32)
        t.generated(loss=0.5)
        t.generated(loss=0.2, score=0.9)
    outer, inner = recorded()

    assert (outer.kind, outer.id, outer.workflow_id, outer.campaign_id) == ("workflow", run.id, run.id, "paper-7")
    assert facts(inner) == ("evaluate", "finished", {"lr": 0.1, "batch": 32}, {"loss": 0.2, "score": 0.9})
    assert (inner.parent_id, inner.workflow_name, inner.campaign_id) == (run.id, "sweep", "paper-7")
    assert (outer.tags, inner.tags) == (("w",), ("t",))


def test_async_blocks(recorded: Recorded) -> None:
    """A block may be entered asynchronously."""

    async def main() -> None:
        async with workflow("outer"), task("inner") as t:
            await asyncio.sleep(0)
            t.generated(x=1)

    asyncio.run(main())

    assert [record.generated for record in recorded()] == [{}, {"x": 1}]


def test_start_and_end(recorded: Recorded) -> None:
    """In a notebook a workflow goes over several cells; what runs in between belongs to it."""
    run = workflow("notebook").start()
    with task("cell"):
        pass
    run.end()
    run.end()
    with task("after"):
        pass
    records = {record.name: record for record in recorded()}

    assert records["cell"].workflow_id == records["notebook"].id
    assert records["after"].workflow_id is None


def test_one_block_many_times(recorded: Recorded) -> None:
    """A block object can be entered again, and inside itself."""
    block = task("again")
    with block as outer, block as inner:
        assert outer is not inner
    with block:
        pass
    first, second, third = recorded()

    assert (second.parent_id, third.parent_id) == (first.id, None)


def test_a_function_can_add_to_its_own_task(recorded: Recorded) -> None:
    """Inside a task the current span is that task."""
    from opentelemetry.trace import get_current_span

    @task
    def train() -> int:
        span = get_current_span()
        assert isinstance(span, Activity)
        span.generated(loss=0.5)
        return 1

    train()

    assert [record.generated for record in recorded()] == [{"loss": 0.5, "result": 1}]


def test_values_are_those_of_the_call(recorded: Recorded) -> None:
    """What happens to a value afterwards changes nothing in the record."""

    @task(outputs="out")
    def extend(items: list[int]) -> list[int]:
        items.append(2)
        return items

    items = extend([1])
    items.append(3)

    assert [facts(record)[2:] for record in recorded()] == [({"items": [1]}, {"out": [1, 2]})]


def test_times(recorded: Recorded) -> None:
    """A task ends after it started, inside the one that it ran in."""

    @task
    def inner() -> None: ...

    with task("outer"):
        inner()
    outer, within = recorded()

    assert outer.ended_at is not None
    assert within.ended_at is not None
    assert (
        outer.plain["started_at"] <= within.plain["started_at"] <= within.plain["ended_at"] <= outer.plain["ended_at"]
    )


def test_cpu_time(recorded: Recorded) -> None:
    """A task's CPU time is that of its own thread, a fraction of a millisecond included."""

    @task
    def spin(n: int) -> int:
        return sum(range(n))

    for _ in range(20):
        spin(20_000)
    spent = [record.telemetry["cpu.user"] + record.telemetry["cpu.system"] for record in recorded()]

    assert all(0 < seconds < 1 for seconds in spent)


def test_end_in_another_thread_knows_no_cpu_time(recorded: Recorded) -> None:
    """CPU time is counted by thread; where a block ends in another one it is left out rather than wrong."""
    import threading

    block = task("moved").start()
    thread = threading.Thread(target=block.end)
    thread.start()
    thread.join()
    (record,) = recorded()

    assert record.status.value == "finished"
    assert record.telemetry == {}
