"""What is refused for now is sent again, after waits that grow, and only as long as is worth it."""

from __future__ import annotations

import threading
from typing import cast

import pytest
from provtel_collector.delivery import retry as module
from provtel_collector.delivery.defects import DefectError
from provtel_collector.delivery.retry import Retry, StoppingError
from provtel_model.components import Batch
from provtel_model.delivery import RetryOnFailure
from provtel_model.errors import PermanentError, RetryableError
from provtel_model.settings import Duration

from tests.collector.clock import Clock
from tests.collector.parts import Recorder, batch, raising

STEADY = RetryOnFailure(initial_interval=Duration(2), max_interval=Duration(10), multiplier=2, randomization_factor=0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let waits take no time."""
    clock = Clock()
    monkeypatch.setattr(module, "time", type("time", (), {"monotonic": clock}))
    return clock


def retry(recorder: Recorder, clock: Clock, settings: RetryOnFailure = STEADY, patience: float | None = None) -> Retry:
    """Return what is tested, by a clock."""
    return Retry(recorder, settings, cast("threading.Event", clock), patience)


class Failing:
    """Fails as often as told, then takes what it is given."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self, _batch: Batch) -> None:
        """Fail, or not any more."""
        if self.errors:
            raise self.errors.pop(0)


def test_waits_grow_up_to_a_limit(clock: Clock) -> None:
    """Each wait is longer than the one before by the multiplier, and none is longer than the longest."""
    recorder = Recorder(Failing(*[RetryableError("later")] * 5))

    retry(recorder, clock).consume(batch())

    assert clock.waits == [2, 4, 8, 10, 10]
    assert len(recorder.batches) == 1


def test_waits_vary(clock: Clock) -> None:
    """Waits differ by as much as is allowed, so that those who failed together do not come back together."""
    settings = RetryOnFailure(initial_interval=Duration(4), multiplier=1, randomization_factor=0.5)

    retry(Recorder(Failing(*[RetryableError("later")] * 200)), clock, settings).consume(batch())

    assert all(2 <= wait <= 6 for wait in clock.waits)
    assert min(clock.waits) < 2.5
    assert max(clock.waits) > 5.5


def test_wish_of_the_destination_is_granted(clock: Clock) -> None:
    """A destination that asks for a longer wait gets it; a shorter one changes nothing."""
    errors = [RetryableError("throttled", 30.0), RetryableError("throttled", 0.1)]

    retry(Recorder(Failing(*errors)), clock).consume(batch())

    assert clock.waits == [30, 4]


def test_waits_are_neither_none_nor_endless(clock: Clock) -> None:
    """Whatever is configured, and whatever a destination asks for, is between a millisecond and a day."""
    settings = RetryOnFailure(initial_interval=Duration(0), multiplier=0)

    retry(Recorder(Failing(RetryableError("now"), RetryableError("never", 1e12))), clock, settings).consume(batch())

    assert clock.waits == [0.001, 86_400]


def test_refused_for_good_is_not_sent_again(clock: Clock) -> None:
    """What will never be taken is told at once."""
    with pytest.raises(PermanentError, match="never"):
        retry(Recorder(raising(PermanentError("never"))), clock).consume(batch())

    assert clock.waits == []


def test_for_ever_by_default(clock: Clock) -> None:
    """Without a limit a destination may be away for days."""
    recorder = Recorder(Failing(*[RetryableError("away")] * 20_000))

    retry(recorder, clock, RetryOnFailure()).consume(batch())

    assert clock.now > 86_400
    assert len(recorder.batches) == 1


@pytest.mark.parametrize(("limit", "patience"), [(15.0, None), (0.0, 15.0), (60.0, 15.0), (15.0, 60.0)])
def test_gives_up_in_time(clock: Clock, limit: float, patience: float | None) -> None:
    """A try that would come after the time is over is not waited for, and its wait is told to the sender."""
    settings = RetryOnFailure(
        initial_interval=Duration(2),
        max_interval=Duration(10),
        multiplier=2,
        randomization_factor=0,
        max_elapsed_time=Duration(limit),
    )

    with pytest.raises(RetryableError, match="no more retries left: later") as raised:
        retry(Recorder(raising(RetryableError("later"))), clock, settings, patience).consume(batch())

    assert clock.waits == [2, 4, 8]
    assert raised.value.retry_after == 10


def test_stop_ends_the_wait(clock: Clock) -> None:
    """A collector that stops waits no longer."""
    clock.stopped = True

    with pytest.raises(StoppingError, match="away"):
        retry(Recorder(raising(RetryableError("away"))), clock).consume(batch())

    assert len(clock.waits) == 1


def test_defect_is_given_up(clock: Clock) -> None:
    """A batch that makes the exporter fail by a defect each time is refused for good, so that it is put aside."""
    with pytest.raises(PermanentError, match="failed 9 times by a defect: KeyError"):
        retry(Recorder(raising(DefectError("KeyError"))), clock).consume(batch())

    assert sum(clock.waits) >= 60


def test_defect_of_some_seconds_is_outlived(clock: Clock) -> None:
    """What fails like a defect for less than a minute is not given up, however often it is tried."""
    recorder = Recorder(Failing(*[DefectError("FileNotFoundError")] * 6))

    retry(recorder, clock).consume(batch())

    assert len(recorder.batches) == 1


def test_stepping_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set to another day neither ends the tries nor makes them last."""
    monkeypatch.setattr("time.time", lambda: 0.0)
    settings = RetryOnFailure(initial_interval=Duration(0.01), randomization_factor=0)
    recorder = Recorder(Failing(*[RetryableError("later")] * 3))

    Retry(recorder, settings, threading.Event(), 5).consume(batch())

    assert len(recorder.batches) == 1
