"""Whoever waits for an exporter does not wait for ever."""

from __future__ import annotations

import threading
import time

import pytest
from provtel_collector.delivery import attempts
from provtel_collector.delivery import timeout as module
from provtel_collector.delivery.timeout import Timeout
from provtel_model.components import Batch
from provtel_model.errors import PermanentError, RetryableError

from tests.collector.delivering import waiting_for
from tests.collector.parts import Recorder, batch, raising


def test_answer_in_time() -> None:
    """What the exporter does in time is what happens: it takes the batch, or refuses it."""
    recorder = Recorder()
    Timeout(recorder, 10).consume(batch(3))

    assert [one.items for one in recorder.batches] == [3]
    with pytest.raises(PermanentError, match="no"):
        Timeout(Recorder(raising(PermanentError("no"))), 10).consume(batch())


def test_no_answer_in_time() -> None:
    """An exporter that hangs is not waited for, and what it takes later it has taken."""
    release = threading.Event()
    recorder = Recorder(waiting_for(release))

    begun = time.monotonic()
    with pytest.raises(RetryableError, match=r"no answer within 0\.05 s"):
        Timeout(recorder, 0.05).consume(batch())
    assert time.monotonic() - begun < 5
    release.set()
    while not recorder.batches:
        time.sleep(0.01)


def test_exporter_that_watches_the_time_is_heard() -> None:
    """What an exporter says itself when the time is over is what is told."""

    def watch(_batch: Batch) -> None:
        time.sleep(0.1)
        raise RetryableError("the broker did not answer")

    with pytest.raises(RetryableError, match="the broker did not answer"):
        Timeout(Recorder(watch), 0.1).consume(batch())


def test_threads_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter that hangs time and again does not use up all threads: it is refused what it will not answer."""
    monkeypatch.setattr(module, "_MOST_ATTEMPTS", 3)
    release = threading.Event()
    timeout = Timeout(Recorder(waiting_for(release)), 0.01)

    for _ in range(3):
        with pytest.raises(RetryableError, match="no answer"):
            timeout.consume(batch())
    with pytest.raises(RetryableError, match=r"3 attempts hang, each for more than 0\.01 s"):
        timeout.consume(batch())
    release.set()


def test_threads_are_used_again_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread makes all attempts that come one after the other, and ends when there are no more."""
    monkeypatch.setattr(attempts, "_IDLE_SECONDS", 0.05)
    used: list[threading.Thread] = []

    def note(_batch: Batch) -> None:
        used.append(threading.current_thread())

    timeout = Timeout(Recorder(note), 10)
    for _ in range(50):
        timeout.consume(batch())
    (thread,) = set(used)
    thread.join(10)

    assert not thread.is_alive()
    timeout.consume(batch())
    assert used[-1] is not thread
