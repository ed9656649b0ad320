"""One partition of the kafka receiver: each record is taken or put aside, whatever happens, and the next follows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from provtel_collector.counters import Counters
from provtel_collector.delivery.dead_letters import DeadLetters, Letter, default_folder
from provtel_collector.receivers.kafka.config import KafkaConfig
from provtel_collector.receivers.kafka.partition import Partition, Source
from provtel_model.components import Batch, Context, Signal
from provtel_model.delivery import RetryOnFailure
from provtel_model.errors import PermanentError, RetryableError
from provtel_model.settings import Duration

from tests.collector.parts import Recorder, raising, traces

SOON = RetryOnFailure(initial_interval=Duration(0.001), max_interval=Duration(0.001))


@dataclass(frozen=True)
class Record:
    """A record as kafka-python has it."""

    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class Stage:
    """A partition whose worker is the test."""

    consumer: Recorder = field(default_factory=Recorder)
    counters: Counters = field(default_factory=Counters)

    def work(self, *values: bytes, source: Source | None = None) -> Partition:
        """Put records into a partition, and go through them."""
        source = source or Source("spans", 3, Signal.TRACES, is_json=False)
        context = Context("kafka", {Signal.TRACES: self.consumer}, self.counters.add)
        partition = Partition(source, KafkaConfig(error_backoff=SOON), context, lambda one: one.work())
        partition.put([Record(number, value, [("Site", b"a")]) for number, value in enumerate(values)])
        return partition

    @property
    def letters(self) -> list[Letter]:
        """The receiver's dead letters."""
        file = DeadLetters(default_folder(), "receivers::kafka").file
        return [Letter.from_line(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def refuse(number: int, error: Exception) -> Callable[[Batch], None]:
    """Return a consumer's way to fail at one of the calls, the first of which is 1."""
    calls: list[Batch] = []

    def doing(batch: Batch) -> None:
        calls.append(batch)
        if len(calls) == number:
            raise error

    return doing


def test_malformed_record_is_put_aside() -> None:
    """A record that cannot be read is a dead letter with its bytes and its place before its offset counts as done."""
    stage = Stage()

    partition = stage.work(traces(1), b"\xffno request", traces(2))

    (letter,) = stage.letters
    assert (letter.batch.payload, letter.exporter) == (b"\xffno request", "receivers::kafka")
    assert letter.reason.startswith("it cannot be read")
    place = {"kafka.topic": "spans", "kafka.partition": "3", "kafka.offset": "1"}
    assert letter.batch.metadata == {"site": "a"} | place
    assert stage.counters.total("otelcol_receiver_dead_lettered_spans") == 1
    assert stage.counters.total("otelcol_kafka_receiver_unmarshal_failed_spans") == 1
    assert [batch.items for batch in stage.consumer.batches] == [1, 2]
    assert partition.done == 3


def test_refused_record_is_put_aside() -> None:
    """A record that is refused for good is a dead letter, all its items are counted, and the next is taken."""
    stage = Stage(Recorder(refuse(1, PermanentError("never"))))

    partition = stage.work(traces(5), traces(1))

    (letter,) = stage.letters
    assert (letter.batch.payload, letter.reason) == (traces(5), "it is refused for good: never")
    assert stage.counters.total("otelcol_receiver_dead_lettered_spans") == 5
    assert partition.done == 2


def test_record_that_cannot_be_put_aside_is_not_skipped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While no dead letter can be written, the partition waits, and nothing is counted twice."""
    stage = Stage()
    add, tries = DeadLetters.add, []

    def full_at_first(letters: DeadLetters, batch: Batch, reason: str) -> None:
        tries.append(reason)
        if len(tries) < 3:
            raise RetryableError("the disk is full")
        add(letters, batch, reason)

    monkeypatch.setattr(DeadLetters, "add", full_at_first)

    partition = stage.work(b"\xff")

    assert (len(tries), len(stage.letters), partition.done) == (3, 1, 1)
    assert caplog.text.count("the record at spans-3:0 waits: the disk is full") == 2
    assert stage.counters.total("otelcol_kafka_receiver_unmarshal_failed_spans") == 1


def test_defect_does_not_stop_the_partition(caplog: pytest.LogCaptureFixture) -> None:
    """A failure that nobody foresaw is told, and the record is tried again."""
    stage = Stage(Recorder(refuse(1, KeyError("gone"))))

    partition = stage.work(traces(1), traces(2))

    assert [batch.items for batch in stage.consumer.batches] == [1, 2]
    assert partition.done == 2
    (told,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert "the record at spans-3:0 is tried again" in told.getMessage()
    assert stage.counters.total("otelcol_kafka_receiver_records") == 2


def test_partition_that_is_given_up_ends() -> None:
    """A record that fails time and again keeps no worker of a partition that another member has."""
    stage = Stage()

    def give_up(partition: Partition) -> None:
        stage.consumer.doing = raising(KeyError("gone"))
        partition.give_up()
        partition.work()

    context = Context("kafka", {Signal.TRACES: stage.consumer}, stage.counters.add)
    source = Source("spans", 3, Signal.TRACES, is_json=False)
    partition = Partition(source, KafkaConfig(error_backoff=SOON), context, give_up)
    partition.put([Record(0, traces(1))])

    assert partition.done is None
    assert partition.wait_until_idle(0)
