"""What stands between components."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from provtel_collector.counters import Counters
from provtel_collector.delivery import Announced, Counted, fan_out
from provtel_collector.delivery.defects import DefectError
from provtel_model.components import Batch, Signal
from provtel_model.errors import DeliveryError, PermanentError, RetryableError

from tests.collector.parts import Recorder, batch, raising

NAMES = ("exporter_sent", "exporter_send_failed")


def test_taken_items_are_counted() -> None:
    """What a consumer took is counted by items, under the name of the signal's items."""
    counters = Counters()
    counted = Counted(Recorder(), counters.add, NAMES)

    counted.consume(batch(3))
    counted.consume(batch(2, Signal.LOGS))

    assert counters.total("otelcol_exporter_sent_spans") == 3
    assert counters.total("otelcol_exporter_sent_log_records") == 2
    assert str(counters) == "otelcol_exporter_sent_log_records=2 otelcol_exporter_sent_spans=3"


@pytest.mark.parametrize("error", [RetryableError("later", 5.0), PermanentError("never")])
def test_refused_items_are_counted(error: DeliveryError) -> None:
    """What a consumer refused is counted apart, and its error comes through as it is."""
    counters = Counters()

    with pytest.raises(type(error)) as raised:
        Counted(Recorder(raising(error)), counters.add, NAMES).consume(batch(3))

    assert raised.value is error
    assert counters.sums() == {("otelcol_exporter_send_failed_spans", ()): 3}


def test_defects_are_counted_apart() -> None:
    """What failed by a defect, here or further on, is no refusal, where there is a name for it."""
    counters = Counters()
    names = ("receiver_accepted", "receiver_refused", "receiver_failed")

    for error in (KeyError("gone"), DefectError("KeyError: 'gone'")):
        with pytest.raises(RetryableError, match="KeyError: 'gone'"):
            Counted(Recorder(raising(error)), counters.add, names).consume(batch(3))

    assert counters.sums() == {("otelcol_receiver_failed_spans", ()): 6}


def test_defect_of_a_consumer_may_be_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """A failure that is no refusal is logged with its traceback, and the batch is not given up."""
    with pytest.raises(RetryableError, match="KeyError: 'gone'"):
        Counted(Recorder(raising(KeyError("gone"))), Counters().add, NAMES).consume(batch())

    assert "Recorder failed" in caplog.text
    assert "Traceback" in caplog.text


def test_all_consumers_get_a_batch() -> None:
    """A batch reaches every consumer, the same object."""
    recorders = [Recorder(), Recorder(), Recorder()]
    sent = batch()

    fan_out(recorders).consume(sent)

    assert all(recorder.batches[0] is sent for recorder in recorders)


@pytest.mark.parametrize(
    ("errors", "kind", "message", "wait"),
    [
        ([RetryableError("a")], RetryableError, "a", None),
        ([PermanentError("a")], PermanentError, "a", None),
        ([PermanentError("a"), RetryableError("b", 2.0)], RetryableError, "a; b", 2.0),
        ([RetryableError("a", 3.0), RetryableError("b", 2.0)], RetryableError, "a; b", 3.0),
        ([PermanentError("a"), PermanentError("b")], PermanentError, "a; b", None),
        ([PermanentError("a"), KeyError("b")], RetryableError, "a; KeyError: 'b'", None),
    ],
)
def test_refusal_of_some(errors: list[Exception], kind: type[DeliveryError], message: str, wait: float | None) -> None:
    """All are tried before a refusal is told; it is for good only if it is of all who refuse."""
    last = Recorder()

    with pytest.raises(DeliveryError) as raised:
        fan_out([*(Recorder(raising(error)) for error in errors), last]).consume(batch())

    assert type(raised.value) is kind
    assert str(raised.value) == message
    assert getattr(raised.value, "retry_after", None) == wait
    assert len(last.batches) == 1


def test_refusals_are_announced_once(caplog: pytest.LogCaptureFixture) -> None:
    """The log says when a consumer begins to refuse and when it takes again, however many batches there are between."""
    caplog.set_level("INFO")
    recorder = Recorder()
    announced = Announced(recorder, "exporters::lmdb")

    announced.consume(batch())
    recorder.doing = raising(RetryableError("the disk is full"))
    for _ in range(3):
        with pytest.raises(RetryableError):
            announced.consume(batch())
    recorder.doing = lambda _: None
    announced.consume(batch())
    announced.consume(batch())

    assert [record.getMessage() for record in caplog.records] == [
        "exporters::lmdb refuses data, and whoever sent it is told: the disk is full",
        "exporters::lmdb takes data again",
    ]


def test_refusals_that_come_and_go_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Where refusals and acceptances alternate quickly they are not told each time."""
    caplog.set_level("INFO")
    recorder = Recorder()
    announced = Announced(recorder, "exporters::out")

    for number in range(20):
        recorder.doing = raising(RetryableError("busy")) if number % 2 else lambda _: None
        with suppress(RetryableError):
            announced.consume(batch())

    assert len(caplog.records) == 2


def test_none_waits_for_another() -> None:
    """A consumer that hangs keeps a batch from no other, whatever their order."""
    release = threading.Event()
    taken = threading.Semaphore(0)

    def hang(_batch: Batch) -> None:
        release.wait(10)

    others = [Recorder(lambda _: taken.release()) for _ in range(2)]
    fan = fan_out([others[0], Recorder(hang), others[1]])
    thread = threading.Thread(target=fan.consume, args=[batch()])
    thread.start()

    assert taken.acquire(timeout=5)
    assert taken.acquire(timeout=5)
    assert thread.is_alive()
    release.set()
    thread.join()
