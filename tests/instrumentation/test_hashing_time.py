"""Hashes of what is large take no more than a share of the program's time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import ormsgpack
import pandas as pd
import polars as pl
import pytest
from provtel import hashing_time
from provtel.hashing_time import SMALL, HashBudget, HashingTime
from provtel.settings import Settings
from provtel.snapshot import Snapshots
from provtel_model.values import decode
from sklearn.ensemble import RandomForestClassifier

MILLISECOND = 1_000_000


class Clock:
    """A clock that a test moves."""

    now = 1

    def __call__(self) -> int:
        """Return its nanoseconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let hashes be timed by a clock of the test's."""
    made = Clock()
    monkeypatch.setattr(hashing_time, "_now", made)
    monkeypatch.setattr(hashing_time, "_worked", made)
    monkeypatch.setattr(hashing_time, "_worked_before", lambda: 0)
    return made


def _spend(time: HashingTime, clock: Clock, milliseconds: int) -> None:
    since = clock.now
    clock.now += milliseconds * MILLISECOND
    time.spend(since)


def test_time_runs_out_and_comes_back(clock: Clock) -> None:
    """A program has some at its start; then it gets its share of the time that it runs, and saves not without end."""
    time = HashingTime(0.02)

    assert time.is_left()
    _spend(time, clock, 20)
    assert not time.is_left()
    clock.now += 100 * MILLISECOND
    assert not time.is_left()
    clock.now += 500 * MILLISECOND
    assert time.is_left()
    clock.now += 3600 * 1000 * MILLISECOND
    assert time.is_left()
    _spend(time, clock, 42)
    assert not time.is_left()


def test_time_before_the_first_value_counts(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that imported for seconds has its share of them when its first task begins."""
    monkeypatch.setattr(hashing_time, "_worked_before", lambda: 1000 * MILLISECOND)
    time = HashingTime(0.02)

    assert time.is_left()
    _spend(time, clock, 28)
    assert time.is_left()
    _spend(time, clock, 10)
    assert not time.is_left()


def test_all_of_the_time_has_no_end(clock: Clock) -> None:
    """Who wants every hash gets it."""
    time = HashingTime(1.0)
    _spend(time, clock, 10_000)

    assert time.is_left()


def test_small_content_is_always_hashed(clock: Clock) -> None:
    """Where there is no time left small content is hashed all the same, to a sum that is small itself."""
    time = HashingTime(0.02)
    _spend(time, clock, 1000)
    budget = HashBudget(time)

    assert not budget.take(SMALL + 1)
    assert [budget.take(SMALL // 4) for _ in range(5)] == [True, True, True, False, False]
    assert HashBudget(time).take(SMALL // 2)


def test_all_that_a_value_takes_is_counted(clock: Clock) -> None:
    """From the first hash that may last to the end of the value, time counts."""
    time = HashingTime(0.02)
    budget = HashBudget(time)

    assert budget.take(SMALL + 1)
    clock.now += 50 * MILLISECOND
    assert budget.take(SMALL + 1)
    budget.settle()
    assert not time.is_left()


def test_largest_content_is_never_hashed() -> None:
    """What is larger than the setting says is not hashed whatever the time, and one value not without end."""
    budget = HashBudget(HashingTime(1.0), largest=100_000)

    assert not budget.take(100_001)
    assert [budget.take(99_000) for _ in range(3)] == [True, True, False]


def _hashes(snapshots: Snapshots, value: Any, times: int) -> list[str]:
    return [str(decode(snapshots.of(value)).hash).partition(":")[0] for _ in range(times)]


@pytest.mark.parametrize(
    "value", [np.zeros(2**17), "x" * 2**20, b"x" * 2**20, {str(number): number for number in range(3000)}], ids=type
)
def test_large_values_in_a_tight_loop(value: Any) -> None:
    """Of a value that is passed over and over only some are hashed, and the others sampled or not; all where wanted."""
    snapshots = Snapshots(Settings(hashing_share=0.0001))

    kinds = _hashes(snapshots, value, 200)

    assert kinds[0] == "sha256"
    assert kinds[-1] in {"fp1", "None"}
    assert kinds.count("sha256") < 100
    assert set(_hashes(Snapshots(Settings(hashing_share=1.0)), value, 10)) == {"sha256"}


def _nested(depth: int) -> list[Any]:
    return [_nested(depth - 1) for _ in range(20)] if depth else list(range(20))


@pytest.mark.parametrize(
    "value",
    [
        [[1] * 1000] * 1000,
        [{"a": number, "b": str(number), "c": 1.5} for number in range(5000)],
        {str(number): {"a": [number]} for number in range(5000)},
        set(range(8000)),
        _nested(3),
        ["é" * 1000] * 8000,
        [np.zeros(100)] * 1000,
        [np.zeros(1000)] * 1000,
        [b"x" * 100_000] * 1000,
        "é" * 10**7,
        bytes(10**8),
        np.zeros((100, 100, 1000)),
        pd.DataFrame({"a": [f"text {number}" for number in range(100_000)]}),
        pd.DataFrame(np.zeros((1000, 1000))),
        pl.DataFrame({"a": [f"text {number}" for number in range(100_000)]}),
        RandomForestClassifier(50, random_state=1).fit(np.eye(20), np.arange(20) % 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_value_takes_long(value: Any) -> None:
    """However large a value is, its snapshot takes milliseconds; the limit here is one that slow machines keep."""
    snapshots = Snapshots(Settings())
    took = []
    for _ in range(5):
        began = time.thread_time()
        form = snapshots.of(value)
        took.append(time.thread_time() - began)

    assert min(took) < 0.05
    assert len(ormsgpack.packb(form)) < 200_000


def test_small_values_in_a_tight_loop() -> None:
    """A small value has its hash every time."""
    snapshots = Snapshots(Settings(hashing_share=0.0))
    snapshots.of(np.zeros(2**17))

    assert set(_hashes(snapshots, np.zeros(8000), 100)) == {"sha256"}
    assert set(_hashes(snapshots, list(range(1500)), 100)) <= {"sha256"}
