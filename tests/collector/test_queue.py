"""Queues: who is answered when, what is sent together, and what is left when all ends."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from provtel_collector.delivery import memory_queue, persistent_queue
from provtel_collector.delivery.delivered import Delivered
from provtel_collector.delivery.sending import Sending
from provtel_collector.extensions.file_storage import extension
from provtel_model.components import Batch, Context, Signal
from provtel_model.delivery import QueueBatch, QueuePartition, RetryOnFailure, SendingQueue
from provtel_model.errors import ConfigError, PermanentError, RetryableError
from provtel_model.settings import Duration

from tests.collector.delivering import (
    QUICK,
    SECONDS,
    Config,
    Cupboard,
    Stage,
    batch_of,
    sending,
    wait_for,
    waiting_for,
)
from tests.collector.parts import batch, raising


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Have a folder of the test."""
    return Stage(tmp_path)


ON_DISK = SendingQueue(storage="file_storage")


def test_answer_of_the_destination_is_the_sender_s(stage: Stage) -> None:
    """Without a storage a sender is answered when the destination has answered, and not before."""
    release = threading.Event()
    stage.destination.doing = waiting_for(release)

    with stage.delivering(Config()) as delivered:
        outcomes = sending(delivered, batch(3))
        wait_for(lambda: stage.gauge("size") == 1)
        wait_for(lambda: stage.gauge("in_flight_requests") == 1)
        time.sleep(0.05)
        assert outcomes == []
        release.set()
        wait_for(lambda: outcomes == [None])

    assert stage.gauge("in_flight_requests") == 0
    assert stage.gauge("size") == 0
    assert stage.gauge("capacity") == 1000
    assert stage.counters.total("otelcol_exporter_sent_spans") == 3


def test_what_is_refused_for_now_stays_the_sender_s(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a storage nobody waits longer than senders do; who is told to try again finds nothing left behind."""
    monkeypatch.setattr("provtel_collector.delivery.delivered.PATIENCE_SECONDS", 0.05)
    stage.destination.doing = raising(RetryableError("away"))

    with stage.delivering(Config()) as delivered:
        with pytest.raises(RetryableError, match="no more retries left: away"):
            delivered.consume(batch(3))
        stage.destination.doing = lambda _: None

    assert stage.destination.batches == []
    assert stage.counters.total("otelcol_exporter_send_failed_spans") == 3


def test_turn_that_does_not_come(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender whose turn does not come is told to try again, and what it sent is not sent later."""
    monkeypatch.setattr(memory_queue, "PATIENCE_SECONDS", 0.05)
    release = threading.Event()
    stage.destination.doing = waiting_for(release)

    with stage.delivering(Config(SendingQueue(num_consumers=1))) as delivered:
        sending(delivered, batch(1))
        wait_for(lambda: stage.gauge("size") == 1)
        with pytest.raises(RetryableError, match=r"it was not its turn within 0\.05 s"):
            delivered.consume(batch(2))
        release.set()

    assert [one.items for one in stage.destination.batches] == [1]


def test_destination_that_hangs_holds_few_senders(stage: Stage) -> None:
    """While a destination hangs most senders are refused at once, so that their threads can serve other exporters."""
    release = threading.Event()
    stage.destination.doing = waiting_for(release)

    with stage.delivering(Config(SendingQueue(num_consumers=4))) as delivered:
        sending(delivered, *[batch()] * 8)
        wait_for(lambda: stage.gauge("size") == 8)
        time.sleep(1.1)
        begun = time.monotonic()
        with pytest.raises(RetryableError, match="does not answer, and others wait for it already"):
            delivered.consume(batch(5))
        assert time.monotonic() - begun < 5
        release.set()
        wait_for(lambda: stage.gauge("size") == 0)
        delivered.consume(batch())

    assert stage.counters.total("otelcol_exporter_enqueue_failed_spans") == 5


@pytest.mark.parametrize("storage", [None, "file_storage"])
def test_full_queue_refuses(stage: Stage, storage: str | None) -> None:
    """Where there is no room a sender is told to try again, at once, and it is counted."""
    release = threading.Event()
    stage.destination.doing = waiting_for(release)
    queue = SendingQueue(storage=storage, queue_size=5, sizer="items", num_consumers=1)

    with stage.delivering(Config(queue)) as delivered:
        sending(delivered, batch(2))
        sending(delivered, batch(2))
        wait_for(lambda: stage.gauge("size") == 4)
        with pytest.raises(RetryableError, match="sending queue is full"):
            delivered.consume(batch(2))
        with pytest.raises(PermanentError, match="element size too large"):
            delivered.consume(batch(6))
        release.set()
        wait_for(lambda: stage.gauge("size") == 0)

    assert stage.counters.total("otelcol_exporter_enqueue_failed_spans") == 8
    assert stage.counters.total("otelcol_exporter_sent_spans") == 4


def test_full_queue_makes_wait_where_that_is_wished(stage: Stage) -> None:
    """With `block_on_overflow` a sender waits for room."""
    release = threading.Event()
    stage.destination.doing = waiting_for(release)
    queue = SendingQueue(storage="file_storage", queue_size=1, block_on_overflow=True)

    with stage.delivering(Config(queue)) as delivered:
        delivered.consume(batch(2))
        outcomes = sending(delivered, batch(3))
        time.sleep(0.1)
        assert outcomes == []
        release.set()
        wait_for(lambda: outcomes == [None])
        wait_for(lambda: stage.gauge("size") == 0)

    assert [one.items for one in stage.destination.batches] == [2, 3]


@pytest.mark.parametrize("sizer", ["requests", "items", "bytes"])
def test_what_a_size_counts(stage: Stage, sizer: str) -> None:
    """The size of a queue counts requests, items or bytes."""
    release = threading.Event()
    stage.destination.doing = waiting_for(release)
    one = batch(3)
    queue = SendingQueue(sizer=sizer, queue_size=10_000, storage="file_storage")  # type: ignore[arg-type]  # one of them

    with stage.delivering(Config(queue)) as delivered:
        delivered.consume(one)
        assert stage.gauge("size") == {"requests": 1, "items": 3, "bytes": len(one.payload)}[sizer]
        release.set()


def test_requests_are_sent_together(stage: Stage) -> None:
    """Requests that wait become one batch once they are large enough."""
    queue = SendingQueue(storage="file_storage", batch=QueueBatch(flush_timeout=Duration(30), min_size=6))

    with stage.delivering(Config(queue)) as delivered:
        for number in range(6):
            delivered.consume(batch_of(number))
        wait_for(lambda: len(stage.destination.batches) == 1)

    assert [one.items for one in stage.destination.batches] == [6]
    assert stage.destination.spans() == [f"{number:016x}" for number in range(6)]


def test_small_batch_is_sent_when_its_time_is_over(stage: Stage) -> None:
    """What does not become large enough is sent after the flush timeout, and not before."""
    settings = QueueBatch(flush_timeout=Duration(0.3), min_size=100)

    with stage.delivering(Config(SendingQueue(storage="file_storage", batch=settings))) as delivered:
        begun = time.monotonic()
        delivered.consume(batch(3))
        delivered.consume(batch(4))
        wait_for(lambda: len(stage.destination.batches) == 1)
        assert 0.29 < time.monotonic() - begun < 5

    assert [one.items for one in stage.destination.batches] == [7]


def test_batch_that_does_not_grow_is_sent_early_where_senders_wait(stage: Stage) -> None:
    """Without a storage a sender does not wait for others who do not come; while they come it does."""
    settings = QueueBatch(flush_timeout=Duration(8), min_size=100)

    with stage.delivering(Config(SendingQueue(batch=settings))) as delivered:
        begun = time.monotonic()
        delivered.consume(batch(3))
        assert 0.9 < time.monotonic() - begun < 7
        outcomes = sending(delivered, batch(4))
        for _ in range(3):
            time.sleep(0.1)
            sending(delivered, batch(4))
        wait_for(lambda: outcomes == [None])

    assert [one.items for one in stage.destination.batches] == [3, 16]


def test_large_requests_are_split(stage: Stage) -> None:
    """No batch is larger than the largest that is allowed, and whole requests stay whole where they fit."""
    settings = QueueBatch(flush_timeout=Duration(0.01), min_size=4, max_size=4)

    with stage.delivering(Config(SendingQueue(batch=settings))) as delivered:
        delivered.consume(batch(10))
        outcomes = sending(delivered, batch(3), batch(3))
        wait_for(lambda: len(outcomes) == 2)

    assert [one.items for one in stage.destination.batches] == [4, 4, 2, 3, 3]


def test_answer_when_on_the_disk(stage: Stage) -> None:
    """With a storage a sender is answered while the destination is away, and the data comes there later, in order."""
    away = threading.Event()

    def refuse(_batch: Batch) -> None:
        if not away.is_set():
            raise RetryableError("away")

    stage.destination.doing = refuse
    with stage.delivering(Config(SendingQueue(storage="file_storage", num_consumers=1))) as delivered:
        for number in range(20):
            delivered.consume(batch_of(number))
        assert stage.gauge("size") == 20
        away.set()
        wait_for(lambda: stage.gauge("size") == 0)

    assert stage.destination.spans() == [f"{number:016x}" for number in range(20)]
    assert stage.counters.total("otelcol_exporter_send_failed_spans") == 0


def test_next_run_goes_on(stage: Stage) -> None:
    """What was not delivered, in the line or under way, is delivered by the next run, in order, and then it is gone."""
    stage.destination.doing = raising(RetryableError("away"))
    with stage.delivering(Config(ON_DISK)) as delivered:
        for number in range(30):
            delivered.consume(batch_of(number))
    stage.destination.doing = lambda _: None

    with stage.delivering(Config(SendingQueue(storage="file_storage", num_consumers=1))) as delivered:
        wait_for(lambda: stage.gauge("size") == 0)
        delivered.consume(batch_of(30))
    assert stage.destination.spans() == [f"{number:016x}" for number in range(31)]
    with stage.delivering(Config(ON_DISK)):
        assert stage.gauge("size") == 0


def test_what_waits_is_sent_before_the_end(stage: Stage) -> None:
    """A collector that stops sends what waits, as long as the destination takes it."""
    release = threading.Event()
    stage.destination.doing = waiting_for(release)

    with stage.delivering(Config(SendingQueue(storage="file_storage", num_consumers=1))) as delivered:
        for number in range(10):
            delivered.consume(batch_of(number))
        threading.Timer(0.1, release.set).start()

    assert len(stage.destination.spans()) == 10


def test_stop_is_quick_while_the_destination_is_away(stage: Stage) -> None:
    """A collector that stops does not wait for a destination that is away."""
    stage.destination.doing = raising(RetryableError("away"))
    patient = RetryOnFailure(initial_interval=Duration(60), max_interval=Duration(60))

    with stage.delivering(Config(ON_DISK, patient)) as delivered:
        for number in range(30):
            delivered.consume(batch_of(number))
        begun = time.monotonic()

    assert time.monotonic() - begun < 5


def test_little_is_held_in_memory(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits on the disk is read from there when its turn comes."""
    monkeypatch.setattr(persistent_queue, "_MOST_IN_MEMORY", 200)
    release = threading.Event()
    stage.destination.doing = waiting_for(release)

    with stage.delivering(Config(SendingQueue(storage="file_storage", num_consumers=1))) as delivered:
        for number in range(20):
            delivered.consume(batch_of(number))
        release.set()
        wait_for(lambda: stage.gauge("size") == 0)

    assert stage.destination.spans() == [f"{number:016x}" for number in range(20)]


def test_long_queue_is_on_the_disk(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long queue only the beginning is in memory; the rest comes in order, over a restart too, each once."""
    monkeypatch.setattr(persistent_queue, "_MOST_IN_LINE", 4)
    stage.destination.doing = raising(RetryableError("away"))
    one_by_one = Config(SendingQueue(storage="file_storage", num_consumers=1))
    with stage.delivering(one_by_one) as delivered:
        for number in range(30):
            delivered.consume(batch_of(number))
        assert len(delivered._queues[Signal.TRACES].line) <= 5
        assert stage.gauge("size") == 30
    stage.destination.doing = lambda _: None

    with stage.delivering(one_by_one) as delivered:
        for number in range(30, 60):
            delivered.consume(batch_of(number))
        wait_for(lambda: stage.gauge("size") == 0)
        delivered.consume(batch_of(60))

    assert stage.destination.spans() == [f"{number:016x}" for number in range(61)]


def test_slow_put_holds_nobody_up_for_ever(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after a request that is long under way to the disk, and then fails, is sent."""
    monkeypatch.setattr(persistent_queue, "_MOST_IN_LINE", 2)
    release, hung = threading.Event(), threading.Event()

    put = extension._Shelf.put

    def slow_put(self: extension._Shelf, key: bytes, value: bytes) -> None:
        if b"slow" in value:
            hung.set()
            release.wait(SECONDS)
            raise RetryableError("the disk is full")
        put(self, key, value)

    monkeypatch.setattr(extension._Shelf, "put", slow_put)
    go = threading.Event()
    stage.destination.doing = waiting_for(go)
    with stage.delivering(Config(SendingQueue(storage="file_storage", num_consumers=1))) as delivered:
        for number in range(5):
            delivered.consume(batch_of(number))
        outcomes = sending(delivered, Batch(Signal.TRACES, b"slow", 1))
        assert hung.wait(SECONDS)
        for number in range(5, 8):
            delivered.consume(batch_of(number))
        go.set()
        wait_for(lambda: len(stage.destination.batches) == 5)
        release.set()
        wait_for(lambda: stage.gauge("size") == 0)

    assert [str(outcome) for outcome in outcomes] == ["the disk is full"]
    assert stage.destination.spans() == [f"{number:016x}" for number in range(8)]


def test_without_a_queue_the_sender_s_thread_sends(stage: Stage) -> None:
    """A queue that is switched off is none."""
    threads: list[threading.Thread] = []
    stage.destination.doing = lambda _: threads.append(threading.current_thread())

    with stage.delivering(Config(SendingQueue(enabled=False), QUICK, Duration(0))) as delivered:
        delivered.consume(batch(3))

    assert threads == [threading.current_thread()]


def test_metadata_are_kept_on_the_disk(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata of a request wait with it."""
    monkeypatch.setattr(persistent_queue, "_MOST_IN_MEMORY", 0)
    sent = [replace(batch_of(1), metadata={"tenant": "a", "x": "é"}), batch_of(2)]

    with stage.delivering(Config(SendingQueue(storage="file_storage", num_consumers=1))) as delivered:
        for one in sent:
            delivered.consume(one)
        wait_for(lambda: stage.gauge("size") == 0)

    assert stage.destination.batches == sent


def test_partitions_are_not_put_together(stage: Stage) -> None:
    """Requests with different metadata under some keys are different batches."""
    settings = QueueBatch(flush_timeout=Duration(30), min_size=4, partition=QueuePartition(("Tenant",)))

    with stage.delivering(Config(SendingQueue(storage="file_storage", batch=settings))) as delivered:
        for number, tenant in enumerate("abab"):
            delivered.consume(replace(batch_of(number), metadata={"tenant": tenant, "n": str(number)}))
        wait_for(lambda: stage.gauge("size") == 0)

    assert [(one.items, one.metadata) for one in stage.destination.batches] == [
        (2, {"tenant": "a"}),
        (2, {"tenant": "b"}),
    ]


def test_request_does_not_wait_for_one_that_hangs(stage: Stage) -> None:
    """While a request hangs another is sent, as long as there are consumers, however quickly it follows."""
    release = threading.Event()

    def hang(one: Batch) -> None:
        if one.items == 1:
            release.wait(SECONDS)

    stage.destination.doing = hang
    with stage.delivering(Config(SendingQueue(storage="file_storage", num_consumers=2))) as delivered:
        for _ in range(20):
            delivered.consume(batch(3))
        wait_for(lambda: stage.gauge("size") == 0)
        delivered.consume(batch(1))
        delivered.consume(batch(5))
        wait_for(lambda: any(one.items == 5 for one in stage.destination.batches))
        release.set()


def test_sizes_of_batches_are_measured(stage: Stage) -> None:
    """How large the batches are that are sent is counted."""
    with stage.delivering(Config()) as delivered:
        delivered.consume(batch(3))

    (sizes,) = [sizes for (name, _), sizes in stage.counters.sizes().items() if name.endswith("send_size")]
    assert sizes.total == 3


def test_defect_of_the_delivery_loses_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be sent for whatever reason stays on the disk, and is sent when the reason is gone."""
    monkeypatch.setattr(persistent_queue, "_HOLD_SECONDS", 0.01)
    send = Sending.send
    monkeypatch.setattr(Sending, "send", None)

    with stage.delivering(Config(ON_DISK)) as delivered:
        delivered.consume(batch(3))
        time.sleep(0.05)
        assert stage.gauge("size") == 1
        monkeypatch.setattr(Sending, "send", send)
        wait_for(lambda: stage.gauge("size") == 0)

    assert [one.items for one in stage.destination.batches] == [3]


def test_any_storage_will_do(stage: Stage) -> None:
    """An extension of somebody else that is a storage keeps a queue as ours does."""
    cupboard = Cupboard(stage.folder)
    context = Context("out", {}, stage.counters.add, stage.counters.observe, {"cupboard": cupboard})
    config = Config(SendingQueue(storage="cupboard"))
    stage.destination.doing = raising(RetryableError("away"))
    for number in (1, 2):
        delivered = Delivered(stage.destination, config, context, [Signal.TRACES])
        delivered.start()
        delivered.consume(batch_of(number))
        delivered.shutdown()
    stage.destination.doing = lambda _: None
    delivered = Delivered(stage.destination, config, context, [Signal.TRACES])
    delivered.start()
    wait_for(lambda: stage.gauge("size") == 0)
    delivered.shutdown()

    assert sorted(stage.destination.spans()) == [f"{number:016x}" for number in (1, 2)]
    assert [board.values for board in cupboard.shelves.values()] == [{}]


@pytest.mark.parametrize("storage", ["file_storage", "health_check"])
def test_storage_that_is_none(stage: Stage, storage: str) -> None:
    """A queue whose storage does not run, or is something else, is refused with the path."""
    context = Context("out", {}, stage.counters.add, extensions={"health_check": stage.destination})

    with pytest.raises(ConfigError, match=r"exporters::out::sending_queue::storage: .* storage .*extension"):
        Delivered(stage.destination, Config(SendingQueue(storage=storage)), context, [Signal.TRACES])
