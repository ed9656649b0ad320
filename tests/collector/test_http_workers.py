"""Threads for what may wait come into being when they are needed, and are used again."""

from __future__ import annotations

import threading

import pytest
from provtel_collector.http.workers import Workers

SECONDS = 30


@pytest.fixture
def workers() -> Workers:
    """Give workers of at most eight threads."""
    return Workers("test", limit=8, waiting=20)


def test_everything_that_waits_has_a_thread(workers: Workers) -> None:
    """As much runs at the same time as there may be threads, whatever ran just before."""
    for _ in range(200):
        meeting = threading.Barrier(9)
        for _ in range(3):
            assert workers.submit(lambda: None)
        for _ in range(8):
            assert workers.submit(lambda meeting=meeting: meeting.wait(SECONDS))  # type: ignore[misc]  # what it returns is dropped
        meeting.wait(SECONDS)
    workers.shutdown()


def test_threads_are_used_again(workers: Workers) -> None:
    """What comes after the end of what came before needs no other thread."""
    for _ in range(50):
        done = threading.Event()
        assert workers.submit(done.set)
        assert done.wait(SECONDS)
    workers.shutdown()

    assert len(workers._threads) <= 2


def test_failure_leaves_the_thread_for_the_next(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    """Work that fails is logged, and what comes after it is done."""

    def fail() -> None:
        raise ValueError("no")

    done = threading.Event()
    assert workers.submit(fail)
    assert workers.submit(done.set)
    assert done.wait(SECONDS)
    workers.shutdown()
    assert "work failed" in caplog.text


def test_too_much_is_refused(workers: Workers) -> None:
    """Where too much waits, and after the end, nothing more is taken."""
    leave = threading.Event()
    taken = [workers.submit(lambda: leave.wait(SECONDS)) for _ in range(40)]  # type: ignore[arg-type]  # as above
    leave.set()
    workers.shutdown()

    assert 20 <= taken.count(True) <= 28
    assert not workers.submit(lambda: None)
