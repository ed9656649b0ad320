"""Whatever a destination does, and however often the collector stops, what was acknowledged is somewhere."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest
from provtel_collector.delivery import persistent_queue, timeout
from provtel_collector.delivery.delivered import Delivered
from provtel_model.components import Batch, Consumer, Signal
from provtel_model.delivery import QueueBatch, RetryOnFailure, SendingQueue
from provtel_model.errors import DeliveryError, PermanentError, RetryableError
from provtel_model.otlp import decode
from provtel_model.settings import Duration

from tests.collector.delivering import Config, Stage, batch_of, wait_for
from tests.collector.parts import Recorder, traces

HASTY = RetryOnFailure(initial_interval=Duration(0.002), max_interval=Duration(0.01))


class Moody:
    """Takes some, refuses some for now and some for good, is slow, hangs, or fails by a defect.

    Args:
        seed: Decides about all of it.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311  # the same in every run
        self._lock = threading.Lock()

    def __call__(self, batch: Batch) -> None:
        """Do what comes to mind; spans whose number can be divided by 37 are never taken."""
        if bad := [record["span_id"] for record in decode(batch) if int(record["span_id"], 16) % 37 == 0]:
            raise PermanentError(f"never {bad}")
        with self._lock:
            mood = self._chance.random()
        if mood < 0.2:
            raise RetryableError("not now")
        if mood < 0.25:
            raise KeyError("a defect")
        if mood < 0.3:
            time.sleep(0.02)
        elif mood < 0.32:
            time.sleep(0.2)  # longer than the timeout


class Senders:
    """Send spans in requests of any size, again until they are acknowledged."""

    def __init__(self, seed: int) -> None:
        self.acknowledged: set[int] = set()
        self._chance = random.Random(seed)  # noqa: S311  # the same in every run
        self._next = 1

    def send(self, delivered: Delivered, requests: int) -> None:
        """Send some requests, from several threads."""
        sizes = [self._chance.choice([1, 1, 3, 20]) for _ in range(requests)]
        firsts = [self._next + sum(sizes[:index]) for index in range(requests)]
        self._next += sum(sizes)
        work = list(zip(firsts, sizes, strict=True))
        threads = [threading.Thread(target=self._work, args=(delivered, work[one::4])) for one in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, delivered: Delivered, work: list[tuple[int, int]]) -> None:
        for first, size in work:
            while True:
                try:
                    delivered.consume(Batch(Signal.TRACES, traces(size, first), size))
                    break
                except DeliveryError:
                    time.sleep(0.005)
            self.acknowledged.update(range(first, first + size))


def send_again_and_again(consumer: Consumer, batch: Batch) -> None:
    """Give a batch to a consumer as senders do: again where its queue is full."""
    deadline = time.monotonic() + 30
    while True:
        try:
            consumer.consume(batch)
        except RetryableError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


@pytest.mark.parametrize("batch", [None, QueueBatch(Duration(0.01), 30, 40)], ids=["single", "batched"])
@pytest.mark.parametrize(
    ("storage", "line"), [(None, 0), ("file_storage", 10_000), ("file_storage", 6)], ids=["memory", "disk", "short"]
)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long), pytest.param(3, marks=pytest.mark.long)])
def test_nothing_is_lost(
    tmp_path: Path, seed: int, storage: str | None, line: int, batch: QueueBatch | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each span that was acknowledged was delivered, or is a dead letter if it is bad or if it met too many defects."""
    monkeypatch.setattr(persistent_queue, "_MOST_IN_LINE", line)
    monkeypatch.setattr(timeout, "_GRACE_SECONDS", 0)
    monkeypatch.setattr("os.fsync", lambda _: None)  # hundreds of letters
    stage = Stage(tmp_path)
    stage.destination.doing = Moody(seed)
    senders = Senders(seed)
    queue = SendingQueue(storage=storage, num_consumers=4, queue_size=200, batch=batch)
    config = Config(queue, HASTY, Duration(0.1))

    for _ in range(3):
        with stage.delivering(config) as delivered:
            senders.send(delivered, 100)
    stage.destination.doing = refuse_bad
    with stage.delivering(config) as delivered:
        send_again_and_again(delivered, batch_of(10**9))
        wait_for(lambda: stage.gauge("size") == 0)

    arrived = {int(span, 16) for span in stage.destination.spans()} - {10**9}
    letters = Recorder()
    delivered.dead_letters.replay(letters.consume)
    put_aside = {int(record["span_id"], 16) for one in letters.batches for record in decode(one)}
    assert arrived | put_aside == senders.acknowledged
    assert {span for span in senders.acknowledged if span % 37 == 0} <= put_aside


def refuse_bad(batch: Batch) -> None:
    """Refuse what is never taken."""
    if any(int(record["span_id"], 16) % 37 == 0 for record in decode(batch)):
        raise PermanentError("never")
