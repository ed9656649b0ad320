"""What requests become when they are unpacked is bounded, however many come at once."""

from __future__ import annotations

import gzip
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from provtel_collector.receivers.otlp.budget import Budget
from provtel_collector.receivers.otlp.config import HttpConfig, OtlpConfig, ProtocolsConfig
from provtel_collector.receivers.otlp.receiver import limits_of
from provtel_collector.receivers.otlp.verdicts import Code, Route
from provtel_model.components import Batch, Signal
from provtel_model.errors import RetryableError
from provtel_model.otlp import to_json

from tests.collector.parts import Recorder, batch, traces


def test_shares_are_given_back() -> None:
    """A share is there while its block lasts, and what it does not need is there for others at once."""
    budget = Budget(100, wait=0.01)
    with budget.reserve(80) as share:
        with pytest.raises(RetryableError, match="no memory left"), budget.reserve(30):
            pass
        share.shrink(10)
        with budget.reserve(90):
            pass
    with budget.reserve(100), pytest.raises(RetryableError), budget.reserve(1):
        pass


def test_one_that_is_too_large_is_alone() -> None:
    """Who needs more than there is waits until it has everything."""
    budget = Budget(100, wait=5)
    inside, leave = threading.Event(), threading.Event()

    def small() -> None:
        with budget.reserve(1):
            inside.set()
            assert leave.wait(10)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(small)
        assert inside.wait(10)
        threading.Timer(0.05, leave.set).start()
        with budget.reserve(1000):
            assert done.done() or leave.is_set()


@pytest.mark.parametrize("packing", ["gzip", ""])
def test_request_keeps_only_what_it_is(packing: str) -> None:
    """While a request is being taken it holds its own size and no more, packed or in JSON; afterwards nothing."""
    budget = Budget(10_000_000, wait=0.01)
    free: list[int] = []

    def look(_batch: Batch) -> None:
        free.append(budget._left)

    recorder = Recorder(look)
    route = Route(Signal.TRACES, recorder, 1_000_000, "limit", budget=budget)
    content = traces(3) if packing else to_json(Signal.TRACES, traces(3))

    verdict = route.take({}, gzip.compress(content) if packing else content, packing, json=not packing)

    assert verdict.code is Code.OK
    assert recorder.batches == [batch(3)]
    assert free == [10_000_000 - len(traces(3))]
    assert budget._left == 10_000_000


def test_json_beside_others() -> None:
    """A packed request in JSON needs not all memory for itself, and keeps none of its objects while it is taken."""
    budget, objects = Budget(30_000_000, wait=0.01), Budget(15_000_000, wait=0.01)
    free: list[int] = []
    route = Route(
        Signal.TRACES,
        Recorder(lambda _: free.append(objects._left)),
        20_000_000,
        "limit",
        budget=budget,
        objects=objects,
    )
    body = gzip.compress(to_json(Signal.TRACES, traces(500)), 1)
    assert len(body) * 1032 * 30 > 30_000_000

    with budget.reserve(5_000_000):
        assert route.take({}, body, "gzip", json=True).code is Code.OK

    assert free == [15_000_000]


def test_who_came_first_is_first() -> None:
    """A small request does not overtake a large one that waits already."""
    budget = Budget(100, wait=10)
    order: list[int] = []

    def take(size: int) -> None:
        with budget.reserve(size):
            order.append(size)

    waiting: list[threading.Thread] = []
    with budget.reserve(50):
        for size in (100, 10):
            waiting.append(threading.Thread(target=take, args=(size,)))
            waiting[-1].start()
            deadline = time.monotonic() + 10
            while len(budget._line) < len(waiting) and time.monotonic() < deadline:
                time.sleep(0.01)
        assert order == []
    for thread in waiting:
        thread.join(10)

    assert order == [100, 10]


def test_no_memory_left_is_for_now() -> None:
    """A request that there is no memory for is to be sent again."""
    budget = Budget(1000, wait=0.01)
    route = Route(Signal.TRACES, Recorder(), 1_000_000, "limit", budget=budget)
    with budget.reserve(1000):
        verdict = route.take({}, gzip.compress(traces()), "gzip")

    assert (verdict.code, verdict.wait) == (Code.UNAVAILABLE, 1.0)


def test_requests_take_no_more_than_a_share_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a control group leaves little, requests wait for less, but two of the largest always fit."""
    config = OtlpConfig(ProtocolsConfig(http=HttpConfig()))
    assert config.protocols.http is not None
    for there, held in (
        (2**36, 128 * 2**20),
        (400 * 2**20, 100 * 2**20),
        (2**20, 2 * config.protocols.http.size_limit),
    ):
        monkeypatch.setattr("provtel_collector.memory.available", lambda there=there: there)
        assert limits_of(config).held == held
