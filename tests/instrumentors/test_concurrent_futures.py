"""Pools of threads and processes, recorded without a word in the program."""

from __future__ import annotations

import concurrent.futures.process
import concurrent.futures.thread
import functools
import gc
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.instrumentation.utils import suppress_instrumentation
from provtel import carry, task, testing, workflow
from provtel.instrumentors.concurrent_futures import ConcurrentFuturesInstrumentor
from provtel_model.record import Record

from tests.instrumentation.programs import Stage

PLACES = [
    (concurrent.futures.Future, "add_done_callback"),
    (concurrent.futures.thread.ThreadPoolExecutor, "submit"),
    (concurrent.futures.thread.ThreadPoolExecutor, "__init__"),
    (concurrent.futures.process.ProcessPoolExecutor, "submit"),
    (concurrent.futures.process.ProcessPoolExecutor, "map"),
    (concurrent.futures.process.ProcessPoolExecutor, "__init__"),
]

POOL = """
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from provtel import task, workflow
from provtel.instrumentors.concurrent_futures import ConcurrentFuturesInstrumentor


def begin():
    with task("begin"):
        pass


def inner(x):
    return x + 1


def outer(x):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(inner, x).result()


@task(outputs="square")
def square(x):
    return x * x


def fail(x):
    raise LookupError(x)


def main():
    ConcurrentFuturesInstrumentor().instrument()
    method = multiprocessing.get_context(sys.argv[1])
    with workflow("pool") as run, ProcessPoolExecutor(2, mp_context=method, initializer=begin) as pool:
        print([*pool.map(outer, range(4), chunksize=2)], [*pool.map(square, range(3))])
        print(repr(pool.submit(fail, "no").exception()))


if __name__ == "__main__":
    main()
"""


@pytest.fixture
def instrumented() -> Iterator[None]:
    """Record pools for one test."""
    instrumentor = ConcurrentFuturesInstrumentor()
    instrumentor.instrument()
    yield
    instrumentor.uninstrument()


def double(x: int) -> int:
    """Return twice a number."""
    return 2 * x


class Scale:
    """Scales numbers, as a method and when it is called."""

    def __init__(self, by: int) -> None:
        """Keep the factor."""
        self._function = by  # a name that carriers have too

    def apply(self, x: int) -> int:
        """Return a number, scaled."""
        return x * self._function

    def __call__(self, x: int) -> int:
        """Return a number, scaled."""
        return x * self._function


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_process_pool(stage: Stage, method: str) -> None:
    """Each call in a worker, of a chunk or alone, and in a pool within, is a task of the one that sent it."""
    outcome = stage.run(POOL, method, quiet=False)  # some Pythons warn of fork themselves
    records = stage.records()
    by_name: dict[str, list[Record]] = {}
    for record in records:
        by_name.setdefault(record.name, []).append(record)
    top = records[0]

    assert outcome.stdout == "[1, 2, 3, 4] [0, 1, 4]\nLookupError('no')\n"
    assert "provtel:" not in outcome.stderr
    assert {name: len(found) for name, found in by_name.items() if name != "begin"} == {
        "pool": 1,
        "outer": 4,
        "inner": 4,
        "square": 3,
        "fail": 1,
    }
    assert {record.trace_id for record in records} == {top.trace_id}
    assert {record.workflow_id for record in records} == {top.id}
    sent = [record for name in ("outer", "square", "fail", "begin") for record in by_name[name]]
    assert {record.parent_id for record in sent} == {top.id}
    parents = {record.id: record for record in by_name["outer"]}
    assert sorted(parents[record.parent_id or ""].used["x"] for record in by_name["inner"]) == [0, 1, 2, 3]
    assert all(record.pid == parents[record.parent_id or ""].pid != top.pid for record in by_name["inner"])
    assert all(record.telemetry["queue.wait"] >= 0 for record in sent if record.name != "begin")
    assert [record.status.value for record in by_name["fail"]] == ["error"]


@pytest.mark.usefixtures("instrumented")
def test_values_and_code_are_recorded() -> None:
    """A call in a thread is recorded as a decorated function would be: inputs by name, output, code, queue wait."""
    with testing.capture() as captured, ThreadPoolExecutor(1) as pool, workflow("run") as run:
        assert pool.submit(double, x=21).result() == 42

    (record,) = captured.named("double")
    assert (record.used, record.generated) == ({"x": 21}, {"result": 42})
    assert record.parent_id == run.id
    assert record.plan is not None
    assert record.plan.function == f"{__name__}.double"
    assert record.telemetry["queue.wait"] >= 0


@pytest.mark.usefixtures("instrumented")
def test_a_task_is_recorded_once() -> None:
    """What is a task already, decorated, carried or partial, is one record and not two, and has its queue wait."""

    @task(outputs="out")
    def decorated(x: int, y: int = 0) -> int:
        return x + y

    @functools.wraps(decorated)
    def wrapped(*args: int) -> int:
        return decorated(*args)

    with testing.capture() as captured, ThreadPoolExecutor(1) as pool:
        with workflow("first") as first:
            carried = carry(decorated)
        with workflow("second") as second:
            sent: list[Callable[..., int]] = [decorated, functools.partial(decorated, y=1), wrapped, carried]
            assert [pool.submit(function, 1).result() for function in sent] == [1, 2, 1, 1]

    records = captured.named("decorated")
    assert [record.generated for record in records] == [{"out": 1}, {"out": 2}, {"out": 1}, {"out": 1}]
    assert [record.parent_id for record in records] == [second.id, second.id, second.id, first.id]
    assert ["queue.wait" in record.telemetry for record in records] == [True, True, False, True]
    assert len(captured.records) == 6


@pytest.mark.usefixtures("instrumented")
def test_callables_of_every_kind() -> None:
    """Methods, instances, classes, partials, closures and functions in C are tasks by the names that people know."""
    scale = Scale(3)
    sent: list[tuple[Callable[..., object], tuple[object, ...]]] = [
        (scale.apply, (2,)),
        (scale, (2,)),
        (int, ("7",)),
        (functools.partial(double, x=4), ()),
        (lambda: 5, ()),
        (len, ([1, 2],)),
        (functools.partial(functools.partial(max, 1), 9), (3,)),
    ]
    with testing.capture() as captured, ThreadPoolExecutor(1) as pool:
        results = [pool.submit(function, *args).result() for function, args in sent]

    assert results == [6, 6, 7, 8, 5, 2, 9]
    assert [record.name for record in captured.records] == [
        "apply",
        "Scale",
        "int",
        "double",
        "<lambda>",
        "len",
        "max",
    ]
    assert captured.records[0].used["x"] == 2
    assert captured.records[3].used == {"x": 4}


@pytest.mark.usefixtures("instrumented")
def test_what_a_call_only_makes() -> None:
    """A function whose call makes a coroutine or a generator is no task, and what it makes comes back as it is."""

    async def coroutine() -> None: ...

    def generator() -> Iterator[int]:
        yield 1

    with testing.capture() as captured, ThreadPoolExecutor(1) as pool:
        made = pool.submit(coroutine).result()
        made.close()
        assert [*pool.submit(generator).result()] == [1]

    assert captured.records == []


@pytest.mark.usefixtures("instrumented")
def test_results_and_exceptions_are_the_same_objects() -> None:
    """A thread's future gives the very object that was returned, and raises the very exception."""
    value, error = object(), LookupError("no")

    def fail() -> None:
        raise error

    with testing.capture() as captured, ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: value).result() is value
        assert pool.submit(fail).exception() is error

    assert captured.named("fail")[0].plain["error"]["message"] == "no"


@pytest.mark.usefixtures("recorded")
def test_what_cannot_be_pickled_fails_as_before() -> None:
    """A function that cannot go to another process raises what it raised without the instrumentor."""
    outcomes = []
    instrumentor = ConcurrentFuturesInstrumentor()
    for active in (False, True):
        if active:
            instrumentor.instrument()
        with ProcessPoolExecutor(1) as pool:
            error = pool.submit(lambda: 1).exception()
        outcomes.append((type(error), str(error)))
    instrumentor.uninstrument()

    assert outcomes[0] == outcomes[1]


@pytest.mark.usefixtures("instrumented")
def test_a_cancelled_call_is_no_task() -> None:
    """A call that was cancelled in the queue never ran, and is not recorded."""
    gate = threading.Event()
    with testing.capture() as captured, ThreadPoolExecutor(1) as pool:
        first = pool.submit(gate.wait)
        second = pool.submit(double, 1)
        assert second.cancel()
        gate.set()
        assert first.result()

    assert [record.name for record in captured.records] == ["wait"]


@pytest.mark.usefixtures("instrumented")
def test_queue_wait_is_the_time_in_the_queue() -> None:
    """A call that waits for the only worker has waited as long as the call before it took, and no less."""
    gate = threading.Event()
    with testing.capture() as captured, ThreadPoolExecutor(1) as pool:
        pool.submit(gate.wait)
        pool.submit(double, 1)
        gate.wait(0.2)
        gate.set()

    assert captured.named("double")[0].telemetry["queue.wait"] >= 0.2


@pytest.mark.usefixtures("instrumented")
def test_callback() -> None:
    """What a callback of a future starts belongs to what was running where the callback was given."""

    def done(future: Future[int]) -> None:
        with task("done", used={"result": future.result()}):
            pass

    gate = threading.Event()
    with testing.capture() as captured, ThreadPoolExecutor(1) as pool:
        future = pool.submit(lambda: int(gate.wait()))
        with workflow("top") as top:
            future.add_done_callback(done)
            gate.set()
            future.result()

    assert [(record.used, record.parent_id) for record in captured.named("done")] == [({"result": 1}, top.id)]


@pytest.mark.usefixtures("instrumented")
def test_suppressed() -> None:
    """Where a program suppresses instrumentation nothing is recorded."""
    with testing.capture() as captured, ThreadPoolExecutor(1) as pool, suppress_instrumentation():
        assert pool.submit(double, 1).result() == 2

    assert captured.records == []


@pytest.mark.usefixtures("instrumented")
def test_nothing_is_current_in_the_worker() -> None:
    """A call that was submitted outside of any activity is a root, whatever the worker did before."""
    with testing.capture() as captured, ThreadPoolExecutor(1) as pool:
        with workflow("before"):
            pool.submit(double, 1).result()
        pool.submit(double, 2).result()

    assert [record.parent_id is None for record in captured.named("double")] == [False, True]


def test_killed_worker(stage: Stage) -> None:
    """Of a worker that is killed the finished calls are finished, and the one that ran is lost."""
    stage.run(
        """
        import os, signal
        from concurrent.futures import ProcessPoolExecutor
        from concurrent.futures.process import BrokenProcessPool
        from provtel import workflow
        from provtel.instrumentors.concurrent_futures import ConcurrentFuturesInstrumentor

        def work(x):
            if x == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            return x

        ConcurrentFuturesInstrumentor().instrument()
        with workflow("run"), ProcessPoolExecutor(1) as pool:
            pool.submit(work, "lives").result()
            try:
                pool.submit(work, "dies").result()
            except BrokenProcessPool:
                print("broken")
        """
    )
    top, *calls = stage.records()

    assert {record.used["x"]: record.status.value for record in calls} == {"lives": "finished", "dies": "lost"}
    assert {record.parent_id for record in calls} == {top.id}


def test_uninstrument_restores_everything() -> None:
    """Afterwards every function is the very object that was there before, also after a second time."""
    before = [vars(owner)[name] for owner, name in PLACES]
    for _ in range(2):
        ConcurrentFuturesInstrumentor().instrument()
        assert all(vars(owner)[name] is not old for (owner, name), old in zip(PLACES, before, strict=True))
        ConcurrentFuturesInstrumentor().uninstrument()
        assert all(vars(owner)[name] is old for (owner, name), old in zip(PLACES, before, strict=True))


@pytest.mark.usefixtures("instrumented")
def test_classes_stay_what_they_are() -> None:
    """Changed classes and functions are pickled by name as before, and have subclasses with methods of their own."""

    class Own(ThreadPoolExecutor):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
            return super().submit(function, *args, **kwargs)

    with testing.capture() as captured, Own(1) as pool:
        assert pool.submit(double, 3).result() == 6

    assert len(captured.records) == 1
    assert pickle.loads(pickle.dumps(ThreadPoolExecutor)) is ThreadPoolExecutor  # noqa: S301  # made here
    assert pickle.loads(pickle.dumps(ThreadPoolExecutor.submit)) is ThreadPoolExecutor.submit  # noqa: S301  # made here
    with pytest.raises(TypeError):
        ThreadPoolExecutor(1, no_such_word=1)  # type: ignore[call-overload]  # what is tested


@given(
    args=st.lists(st.integers() | st.text(max_size=5) | st.none(), max_size=4),
    kwargs=st.dictionaries(st.text("abc", min_size=1, max_size=2), st.integers(), max_size=3),
)
def test_any_call_is_the_call(args: list[object], kwargs: dict[str, int]) -> None:
    """Whatever the arguments, the function gets them, and its result or exception comes back unchanged."""

    def function(a: object, *rest: object, b: int = 1, **more: int) -> object:
        return a, rest, b, more

    def outcome(pool: ThreadPoolExecutor) -> object:
        try:
            return pool.submit(function, *args, **kwargs).result()
        except TypeError as error:
            return str(error)

    with ThreadPoolExecutor(1) as pool:
        plain = outcome(pool)
        ConcurrentFuturesInstrumentor().instrument()
        try:
            with testing.capture():
                recorded = outcome(pool)
        finally:
            ConcurrentFuturesInstrumentor().uninstrument()

    assert recorded == plain


@pytest.mark.usefixtures("instrumented")
def test_functions_are_not_kept() -> None:
    """Of thousands of functions that are made to be submitted once most are gone when they have run."""

    def submit(pool: ThreadPoolExecutor, number: int) -> weakref.ref[Callable[[], int]]:
        def function(number: int = number) -> int:
            return number

        assert pool.submit(function).result() == number
        return weakref.ref(function)

    with testing.capture(), ThreadPoolExecutor(1) as pool:
        made = [submit(pool, number) for number in range(4000)]
    gc.collect()

    assert sum(reference() is not None for reference in made) <= 2000
