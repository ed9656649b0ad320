"""Threads run in the context of who started them, where OpenTelemetry's own instrumentor is not installed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest
from provtel import task, testing, workflow
from provtel.instrumentors.threading import ThreadingInstrumentor

OTHER = "opentelemetry.instrumentation.threading"


@pytest.fixture
def instrumented(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Change threads for one test, as where the other instrumentor is not installed."""
    monkeypatch.setitem(sys.modules, OTHER, None)
    ThreadingInstrumentor().instrument()
    yield
    ThreadingInstrumentor().uninstrument()


def work(name: str) -> None:
    """Run a task."""
    with task(name):
        pass


class Own(threading.Thread):
    """A thread with a `run` of its own."""

    def run(self) -> None:
        """Run a task."""
        work("own")


@pytest.mark.usefixtures("instrumented")
def test_threads() -> None:
    """What runs in a thread is the child of what was running where it was started, and only that."""
    with testing.capture() as captured:
        waiting = threading.Thread(target=work, args=("outside",))
        with workflow("top") as top:
            threads = [threading.Thread(target=work, args=("target",)), Own(), threading.Timer(0, work, ("timer",))]
            for thread in threads:
                thread.start()
                thread.join()
                assert "run" not in vars(thread)
        waiting.start()
        waiting.join()

    assert [(record.name, record.parent_id) for record in captured.records[1:]] == [
        ("target", top.id),
        ("own", top.id),
        ("timer", top.id),
        ("outside", None),
    ]


@pytest.mark.usefixtures("instrumented")
def test_thread_whose_run_was_replaced() -> None:
    """A `run` that a program puts into one thread is what runs, once, and stays there."""
    thread = threading.Thread()
    ran: list[int] = []

    def own() -> None:
        ran.append(1)

    thread.run = own  # type: ignore[method-assign]  # what some programs do
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError):
        thread.start()

    assert ran == [1]
    assert vars(thread)["run"] is own


def test_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the instrumentor of OpenTelemetry's own is installed ours changes nothing."""
    before = vars(threading.Thread)["start"]
    ThreadingInstrumentor().instrument()
    assert vars(threading.Thread)["start"] is before
    ThreadingInstrumentor().uninstrument()

    monkeypatch.setitem(sys.modules, OTHER, None)
    ThreadingInstrumentor().instrument()
    assert vars(threading.Thread)["start"] is not before
    ThreadingInstrumentor().uninstrument()
    assert vars(threading.Thread)["start"] is before
