"""The batch processor joins what waits, and answers a sender when all that it sent was taken."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from provtel_collector.processors.batch.config import BatchConfig
from provtel_collector_config.dataclass_loading import load_dataclass
from provtel_model.components import Batch, Signal
from provtel_model.errors import PermanentError, RetryableError
from provtel_model.otlp import check, decode

from tests.collector.parts import Recorder, batch, raising, traces
from tests.collector.processors.made import Made

LONG = "1h"


def spans(first: int, count: int = 1) -> Batch:
    """Return a batch of spans whose ids count up."""
    return check(Signal.TRACES, traces(count, first))


def ids(taken: list[Batch]) -> list[list[int]]:
    """Return the span ids of batches."""
    return [[int(record["span_id"], 16) for record in decode(one)] for one in taken]


def send(component: Any, *batches: Batch) -> list[Future[None]]:
    """Give batches from a thread each, one after the other; return what becomes of them."""
    pool = ThreadPoolExecutor(len(batches))
    futures = []
    for number, one in enumerate(batches, 1):
        futures.append(pool.submit(component.consume, one))
        deadline = time.monotonic() + 5
        while number < len(batches) and sum(map(len, component._pending.values())) < number:
            assert time.monotonic() < deadline
            time.sleep(0.001)
    pool.shutdown(wait=False)
    return futures


def test_joined_by_size() -> None:
    """When there is enough, everything that waits goes on as one batch, and every sender is answered."""
    made = Made("batch", {"send_batch_size": 5, "timeout": LONG})
    with made as component:
        for future in send(component, spans(1, 2), spans(3, 2), spans(5)):
            future.result(5)

    assert ids(made.recorder.batches) == [[1, 2, 3, 4, 5]]
    assert made.counts["processor_batch_batch_size_trigger_send",] == 1
    assert made.counts["processor_batch_batch_send_size",] == 5


def test_joined_by_time() -> None:
    """What is not enough goes on after the timeout."""
    made = Made("batch", {"send_batch_size": 100, "timeout": "50ms"})
    with made as component:
        for future in send(component, spans(1), spans(2)):
            future.result(5)

    assert sorted(one for taken in ids(made.recorder.batches) for one in taken) == [1, 2]
    assert made.counts["processor_batch_timeout_trigger_send",] >= 1


@pytest.mark.parametrize("config", [{"timeout": "0s"}, {"send_batch_size": 0}])
def test_at_once(config: dict[str, Any]) -> None:
    """Without a timeout or a size nothing waits."""
    made = Made("batch", config)
    with made as component:
        component.consume(spans(1))

    assert ids(made.recorder.batches) == [[1]]


def test_split() -> None:
    """No batch is larger than the largest that is allowed, and nothing is lost by splitting."""
    made = Made("batch", {"send_batch_size": 4, "send_batch_max_size": 4, "timeout": LONG})
    with made as component:
        for future in send(component, spans(1, 3), spans(4, 7)):
            future.result(5)

    assert ids(made.recorder.batches) == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert [one.items for one in made.recorder.batches] == [4, 4, 2]


def test_answer_comes_after_what_follows() -> None:
    """A sender waits until what follows has taken its data."""
    taken = threading.Event()
    made = Made("batch", {"send_batch_size": 2, "timeout": LONG}, Recorder(lambda _: (taken.wait(5), None)[1]))
    with made as component:
        futures = send(component, spans(1), spans(2))
        time.sleep(0.05)
        assert not any(future.done() for future in futures)
        taken.set()
        for future in futures:
            future.result(5)


def test_refusal_for_now_reaches_whose_data_it_was() -> None:
    """Of a batch that was split, only those are refused who had data in the refused piece."""

    def refuse(given: Batch) -> None:
        if 6 in ids([given])[0]:
            raise RetryableError("later", 3.0)

    made = Made("batch", {"send_batch_size": 5, "send_batch_max_size": 5, "timeout": LONG}, Recorder(refuse))
    with made as component:
        first, second = send(component, spans(1, 4), spans(5, 3))
        first.result(5)
        with pytest.raises(RetryableError, match="later") as raised:
            second.result(5)

    assert raised.value.retry_after == 3.0


def test_refusal_for_good_harms_nobody_else() -> None:
    """After a refusal for good each request is tried alone, and only the bad one is refused."""

    def refuse(given: Batch) -> None:
        if 2 in ids([given])[0]:
            raise PermanentError("bad")

    made = Made("batch", {"send_batch_size": 3, "timeout": LONG}, Recorder(refuse))
    with made as component:
        one, two, three = send(component, spans(1), spans(2), spans(3))
        one.result(5)
        three.result(5)
        with pytest.raises(PermanentError, match="bad"):
            two.result(5)

    assert ids(made.recorder.batches) == [[1], [3]]


def test_defect_is_told() -> None:
    """A failure that is no refusal is told to whoever waits, who may send again."""
    made = Made("batch", {"send_batch_size": 1}, Recorder(raising(KeyError("gone"))))
    with made as component, pytest.raises(RetryableError, match="KeyError: 'gone'"):
        component.consume(spans(1))


def test_stop_gives_on_what_waits() -> None:
    """Whoever waits when the collector stops is answered."""
    made = Made("batch", {"timeout": LONG})
    with made as component:
        (future,) = send(component, spans(1))
        time.sleep(0.05)
    future.result(5)

    assert ids(made.recorder.batches) == [[1]]


def test_nobody_waits_for_a_batch_at_the_end() -> None:
    """When the collector is about to stop, what waits goes on at once, and so does what still comes."""
    made = Made("batch", {"timeout": LONG})
    with made as component:
        (future,) = send(component, spans(1))
        time.sleep(0.05)
        component.not_ready()
        future.result(5)
        component.consume(spans(2))

        assert ids(made.recorder.batches) == [[1], [2]]


def test_signals_are_kept_apart() -> None:
    """Traces and logs are never put into one batch."""
    made = Made("batch", {"send_batch_size": 2, "timeout": LONG})
    with made as component:
        for future in send(component, spans(1), batch(1, Signal.LOGS)):
            future.result(5)

    assert sorted(one.signal for one in made.recorder.batches) == [Signal.LOGS, Signal.TRACES]


def test_tenants_are_kept_apart() -> None:
    """Only what has the same metadata is put together, where that is asked for, and it keeps them."""
    made = Made("batch", {"send_batch_size": 4, "timeout": LONG, "metadata_keys": ["Tenant"]})
    given = [replace(spans(number), metadata={"tenant": f"t{number % 2}"}) for number in range(1, 5)]
    with made as component:
        pool = ThreadPoolExecutor(4)
        for future in [pool.submit(component.consume, one) for one in given]:
            future.result(5)

    assert sorted((one.metadata["tenant"], one.items) for one in made.recorder.batches) == [("t0", 2), ("t1", 2)]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"send_batch_max_size": 10}, "send_batch_max_size must be greater or equal to send_batch_size"),
        ({"send_batch_size": -1}, "must not be negative"),
        ({"metadata_keys": ["Tenant", "tenant"]}, 'duplicate entry in metadata_keys: "tenant"'),
    ],
)
def test_refused_configuration(config: dict[str, Any], message: str) -> None:
    """Sizes that contradict each other, and what is not available, are refused."""
    _, (problem,) = load_dataclass(BatchConfig, config)

    assert message in str(problem)
