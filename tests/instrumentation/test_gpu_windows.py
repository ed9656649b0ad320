"""The rule by which tasks share what their process takes of GPUs: nothing is lost, and nothing is counted twice."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel.telemetry.gpu import windows as module
from provtel.telemetry.gpu.windows import Taken, Window, Windows

POWER = 100.0
IDS = ("GPU-a",)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the windows a clock that stands still."""
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def taken(power: float = POWER) -> Taken:
    """Return a sample of one GPU."""
    return Taken(power, 0.5, 7, IDS)


def energy(figures: Any) -> float:
    """Return the joules."""
    return float(figures["gpu.energy"])


def test_one_task(clock: Clock) -> None:
    """A task has the power of the samples in it, and after the last one the power of that."""
    windows = Windows()
    windows.take(taken(1000.0))
    clock.now = 1.0
    window = windows.open(None, 1)
    clock.now = 2.0
    windows.take(taken(10.0))
    clock.now = 2.5
    figures = windows.close(window)

    assert figures == {
        "gpu.energy": 15.0,
        "gpu.utilization": 0.5,
        "gpu.memory": 7,
        "gpu.samples": 1,
        "gpu.ids": ["GPU-a"],
    }
    assert windows.close(window) is None


def test_task_between_samples(clock: Clock) -> None:
    """A task without a sample in it is told what the one before said, and that there was none."""
    windows = Windows()
    nothing = windows.close(windows.open(None, 1))
    windows.take(taken())
    window = windows.open(None, 1)
    clock.now = 0.25
    figures = windows.close(window)

    assert nothing is None
    assert figures is not None
    assert (figures["gpu.samples"], figures["gpu.energy"], figures["gpu.memory"]) == (0, 25.0, 7)


def test_nested_and_concurrent(clock: Clock) -> None:
    """While a task runs inside, the one around takes no part beside it, and gets its figures; others share equally."""
    windows = Windows()
    windows.take(taken())
    outer, other = windows.open(None, 1), windows.open(None, 2)
    clock.now = 1.0
    inner = windows.open(outer, 3)
    clock.now = 2.0
    of_inner = energy(windows.close(inner))
    clock.now = 3.0
    of_outer, of_other = energy(windows.close(outer)), energy(windows.close(other))

    assert of_inner == pytest.approx(50.0)
    assert [of_outer, of_other] == pytest.approx([150.0, 150.0])


def test_window_that_is_forgotten(clock: Clock) -> None:
    """A window whose task is gone without an end takes no part any more."""
    windows = Windows()
    windows.take(taken())
    left: Window | None = windows.open(None, 1)
    assert left is not None
    del left
    gc.collect()
    window = windows.open(None, 2)
    clock.now = 1.0

    assert energy(windows.close(window)) == pytest.approx(100.0)


STEPS = st.lists(
    st.tuples(st.sampled_from(["open", "inside", "close", "sample"]), st.integers(0, 5), st.floats(0, 3)), max_size=40
)


@given(STEPS)
def test_parts_add_up_to_the_whole(steps: list[tuple[str, int, float]]) -> None:
    """Whatever starts, ends and nests: tasks that are in no other have together what was taken while any ran."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", clock)
        windows = Windows()
        windows.take(taken())
        running: list[tuple[Window, bool]] = []
        told = expected = 0.0
        for step, which, seconds in [*steps, *[("close", 0, 1.0)] * 41]:
            clock.now += seconds
            expected += POWER * seconds if running else 0.0
            if step == "sample":
                windows.take(taken())
            elif step == "close" and running:
                # The innermost of one: what ends before what is inside of it gives that no part.
                place = max(place for place, _ in enumerate(running) if place <= which or place == 0)
                leaf = next(
                    number
                    for number, (window, _) in enumerate(running)
                    if number >= place and not any(other.parent is window for other, _ in running)
                )
                window, is_outermost = running.pop(leaf)
                of_window = energy(windows.close(window))
                told += of_window if is_outermost else 0.0
            elif step == "open":
                running.append((windows.open(None, len(running)), True))
            elif step == "inside" and running:
                running.append((windows.open(running[which % len(running)][0], len(running)), False))

    assert not running
    assert told == pytest.approx(expected, abs=1e-3)
