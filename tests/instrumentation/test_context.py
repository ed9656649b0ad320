"""Who runs inside whom: parents, runs, threads, and the spans of other OpenTelemetry libraries."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from provtel import carry, task, workflow
from provtel_model.record import Record

from tests.instrumentation.programs import Stage

Recorded = Callable[[], list[Record]]


@task
def leaf(x: int) -> int:
    """Do nothing."""
    return x


def test_concurrent_workflows_never_mix(recorded: Recorded) -> None:
    """Tasks of workflows that run at the same time, in threads and in coroutines, each belong to their own."""

    def in_thread(number: int) -> None:
        with workflow(f"thread {number}"):
            for _ in range(20):
                leaf(number)

    async def in_coroutine(number: int) -> None:
        with workflow(f"coroutine {number}"):
            for _ in range(20):
                leaf(number)
                await asyncio.sleep(0)

    async def coroutines() -> None:
        await asyncio.gather(*map(in_coroutine, range(10, 14)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(in_thread, range(4)))
    asyncio.run(coroutines())
    records = recorded()
    names = {record.id: record.name for record in records if record.kind == "workflow"}

    assert len(names) == 8
    for record in records:
        if record.kind == "task":
            assert record.workflow_id is not None
            assert names[record.workflow_id].endswith(f" {record.used['x']}")
            assert record.parent_id == record.workflow_id


def test_nested_workflows(recorded: Recorded) -> None:
    """A workflow inside another one is a run of its own, in the same trace and campaign."""
    with workflow("outer", campaign="c"):
        with workflow("inner"):
            leaf(1)
        leaf(2)
    outer, inner, first, second = recorded()

    assert (inner.parent_id, inner.workflow_id, inner.campaign_id) == (outer.id, inner.id, "c")
    assert [first.workflow_id, second.workflow_id] == [inner.id, outer.id]
    assert len({record.trace_id for record in (outer, inner, first, second)}) == 1


def test_carry_into_a_thread(recorded: Recorded) -> None:
    """A carried function runs inside the task that carried it; a bare one starts anew."""
    with workflow("main"):
        threads = [threading.Thread(target=carry(leaf), args=(1,)), threading.Thread(target=leaf, args=(2,))]
        for thread in threads:
            thread.start()
            thread.join()
    main, carried, bare = recorded()

    assert (carried.parent_id, carried.workflow_id) == (main.id, main.id)
    assert (bare.parent_id, bare.workflow_id) == (None, None)


def test_foreign_spans_join(recorded: Recorded) -> None:
    """A foreign span inside a task is its child, and a task inside that span is the span's child and of our run."""
    tracer = TracerProvider().get_tracer("foreign")
    with workflow("main") as run, tracer.start_as_current_span("foreign") as span, task("inner"):
        pass
    context = span.get_span_context()
    foreign_id = f"{context.trace_id:032x}-{context.span_id:016x}"
    parent = span.parent  # type: ignore[attr-defined]  # it is the SDK's span
    _, inner = recorded()

    assert f"{parent.trace_id:032x}-{parent.span_id:016x}" == run.id
    assert (inner.parent_id, inner.workflow_id) == (foreign_id, run.id)


def test_task_inside_a_foreign_trace(recorded: Recorded) -> None:
    """Without a workflow a task in a foreign span has that span's trace."""
    tracer = TracerProvider().get_tracer("foreign")
    with tracer.start_as_current_span("foreign") as span:
        leaf(1)
    (record,) = recorded()

    assert record.trace_id == f"{span.get_span_context().trace_id:032x}"
    assert record.parent_id == f"{record.trace_id}-{span.get_span_context().span_id:016x}"


def test_span_interface(recorded: Recorded) -> None:
    """What other libraries tell the current span is in the record; what is told after the end is not."""
    with task("spoken to"):
        span = trace.get_current_span()
        assert span.is_recording()
        span.set_attribute("a", 1)
        span.set_attributes({"b": [1, 2], "password": "x"})
        span.add_event("saved", {"path": "/x"}, timestamp=1_700_000_000_000_000_000)
        span.add_link(trace.SpanContext(1, 2, is_remote=True), {"why": "because"})
        span.record_exception(ValueError("handled"))
        span.update_name("renamed")
    span.set_attribute("late", 1)
    assert not span.is_recording()
    (record,) = recorded()

    assert (record.name, record.status.value) == ("renamed", "finished")
    assert record.attributes == {"a": 1, "b": [1, 2], "password": "[REDACTED]"}
    assert [(event.name, event.attributes.get("path")) for event in record.events] == [
        ("saved", "/x"),
        ("exception", None),
    ]
    assert [(link.id, link.attributes) for link in record.links] == [(f"{1:032x}-{2:016x}", {"why": "because"})]


def test_context_is_as_before(recorded: Recorded) -> None:
    """After a task nothing is current that was not before, also when it failed or a generator was dropped."""

    @task
    def stream() -> Iterator[int]:
        yield 1
        yield 2

    @task
    def fail() -> None:
        raise ValueError

    for action in (lambda: leaf(1), lambda: next(stream()), fail):
        with contextlib.suppress(ValueError):
            action()
        assert trace.get_current_span() is trace.INVALID_SPAN
    recorded()


def test_generator_dropped_in_another_context(stage: Stage) -> None:
    """A generator that is closed by another coroutine than the one that began it complains of nothing."""
    stage.run(
        """
        import asyncio
        from provtel import task, loop

        async def stream():
            with task("inside"):
                yield 1
                yield 2

        async def begin(generator):
            return await anext(generator)

        async def main():
            generator = stream()
            await asyncio.create_task(begin(generator))
            await asyncio.create_task(generator.aclose())

        asyncio.run(main())
        """
    )

    assert [record.status.value for record in stage.records()] == ["cancelled"]


def test_seeded_programs_draw_the_same_numbers_and_get_new_ids(stage: Stage) -> None:
    """The global random generator is neither used nor moved."""
    program = """
        import random
        random.seed(42)
        from provtel import task, workflow

        @task
        def draw():
            return random.random()

        @workflow
        def main():
            return [draw() for _ in range(3)]

        print(main())
        """
    drawn = [stage.run(program).stdout for _ in range(2)]
    random.seed(42)

    assert drawn == [f"{[random.random() for _ in range(3)]}\n"] * 2  # noqa: S311  # no secret
    assert len({record.id for record in stage.records()}) == 8


def test_many_threads_lose_nothing(recorded: Recorded) -> None:
    """Eight threads that write at once, over changes of segments, lose and mix up nothing."""

    def work(number: int) -> None:
        for index in range(500):
            leaf(number * 1000 + index)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = recorded()

    assert sorted(record.used["x"] for record in records) == [n * 1000 + i for n in range(8) for i in range(500)]
    assert all(record.used["x"] == record.generated["result"] for record in records)
    assert len({record.id for record in records}) == 4000
