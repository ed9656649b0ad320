"""Tasks of event loops, where OpenTelemetry's own instrumentor is not installed."""

from __future__ import annotations

import asyncio
import asyncio.base_events
import contextvars
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from provtel import task, testing, workflow
from provtel.instrumentors.asyncio import AsyncioInstrumentor
from provtel.instrumentors.concurrent_futures import ConcurrentFuturesInstrumentor

OTHER = "opentelemetry.instrumentation.asyncio"


@pytest.fixture
def instrumented(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Record event loops for one test, as where the other instrumentor is not installed."""
    monkeypatch.setitem(sys.modules, OTHER, None)
    AsyncioInstrumentor().instrument()
    yield
    AsyncioInstrumentor().uninstrument()


async def fetch(x: int, *, pause: float = 0) -> int:
    """Return twice a number, a while later."""
    await asyncio.sleep(pause)
    with task("within"):
        return 2 * x


async def fail() -> None:
    """Fail."""
    raise LookupError("no")


@task
async def decorated(x: int) -> int:
    """Be a task already."""
    return x


@pytest.mark.usefixtures("instrumented")
def test_tasks() -> None:
    """Each coroutine that becomes a task is one of ours under who made it, with inputs, output, code and end."""

    async def main() -> None:
        with workflow("top"):
            assert await asyncio.gather(fetch(1), fetch(2, pause=0.01), decorated(3)) == [2, 4, 3]  # type: ignore[comparison-overlap]  # it is a list
            async with asyncio.TaskGroup() as group:
                group.create_task(fetch(5), name="named")

    with testing.capture() as captured:
        asyncio.run(main())

    (top,) = captured.named("top")
    fetches = captured.named("fetch")
    assert [(record.used, record.generated) for record in fetches] == [
        ({"x": 1, "pause": 0}, {"result": 2}),
        ({"x": 2, "pause": 0.01}, {"result": 4}),
        ({"x": 5, "pause": 0}, {"result": 10}),
    ]
    assert {record.parent_id for record in [*fetches, *captured.named("decorated")]} == {top.id}
    assert [record.parent_id for record in captured.named("within")] == [
        fetches[0].id,
        fetches[1].id,
        fetches[2].id,
    ]
    assert fetches[0].plan is not None
    assert fetches[0].plan.function == f"{__name__}.fetch"
    assert {record.name for record in captured.records} == {"top", "fetch", "within", "decorated"}


@pytest.mark.usefixtures("instrumented")
def test_failed_and_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """A task that fails or is cancelled is recorded so, and asyncio still complains of what nobody looked at."""

    async def main() -> None:
        failing = asyncio.create_task(fail())
        cancelled = asyncio.create_task(fetch(1, pause=60))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert failing.done()
        del failing

    with testing.capture() as captured:
        asyncio.run(main())

    assert [(record.name, record.status.value) for record in captured.records] == [
        ("fail", "error"),
        ("fetch", "cancelled"),
    ]
    assert "Task exception was never retrieved" in caplog.text


@pytest.mark.usefixtures("instrumented")
def test_what_a_program_asks_a_task() -> None:
    """A task has the program's coroutine and the context that the program gave it."""

    async def main() -> None:
        coroutine = fetch(1)
        made = asyncio.create_task(coroutine)
        assert made.get_coro() is coroutine
        await made
        own = contextvars.copy_context()
        given = asyncio.create_task(fetch(2), context=own)
        await given
        assert [*own.items()] == [*contextvars.copy_context().items()]

    with testing.capture() as captured:
        asyncio.run(main())

    assert [record.used["x"] for record in captured.named("fetch")] == [1]


@pytest.mark.usefixtures("instrumented")
def test_own_task_factory() -> None:
    """A factory of the program's own, which takes no context, makes the tasks as before."""

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coroutine, loop=loop, name="made by mine")

    async def main() -> str:
        asyncio.get_running_loop().set_task_factory(factory)
        made = asyncio.create_task(fetch(1))
        await made
        return made.get_name()

    with testing.capture() as captured:
        assert asyncio.run(main()) == "made by mine"

    assert len(captured.named("fetch")) == 1


@pytest.mark.usefixtures("instrumented")
def test_functions_in_threads() -> None:
    """What `to_thread` and `run_in_executor` send to a thread is a task of who sent it."""

    async def main() -> None:
        with workflow("top"):
            assert await asyncio.to_thread(max, 1, 2) == 2
            assert await asyncio.get_running_loop().run_in_executor(None, min, 1, 2) == 1

    ConcurrentFuturesInstrumentor().instrument()
    try:
        with testing.capture() as captured:
            asyncio.run(main())
    finally:
        ConcurrentFuturesInstrumentor().uninstrument()

    (top, *sent) = captured.records
    assert [(record.name, record.parent_id) for record in sent] == [("max", top.id), ("min", top.id)]


def test_uninstrument_restores_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Afterwards the function is the very object that was there before."""
    monkeypatch.setitem(sys.modules, OTHER, None)
    before = vars(asyncio.base_events.BaseEventLoop)["create_task"]
    AsyncioInstrumentor().instrument()
    assert vars(asyncio.base_events.BaseEventLoop)["create_task"] is not before
    AsyncioInstrumentor().uninstrument()

    assert vars(asyncio.base_events.BaseEventLoop)["create_task"] is before
