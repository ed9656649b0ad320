"""The kafka receiver, against the real Kafka."""

from __future__ import annotations

import gc
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import pytest
from kafka import KafkaProducer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_collector.counters import Counters
from provtel_collector.receivers.kafka import factory
from provtel_collector.receivers.kafka import receiver as receiver_module
from provtel_collector.receivers.kafka.config import HeaderExtraction, KafkaConfig, MessageMarking, SignalTopics
from provtel_collector.receivers.kafka.subscription import Subscription
from provtel_model.components import Batch, Context, Signal
from provtel_model.delivery import RetryOnFailure
from provtel_model.errors import ConfigError, PermanentError, RetryableError
from provtel_model.kafka import Auth, Sasl
from provtel_model.otlp import to_json
from provtel_model.settings import Duration, Secret
from provtel_model.tls import ClientTls

from tests.collector.parts import Recorder, batch, traces
from tests.services.kafka.server import PASSWORD, USER, Kafka
from tests.services.kafka.topics import committed, make_topic

# kafka-python leaves the sockets of connections that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SECONDS = 30
SOON = RetryOnFailure(initial_interval=Duration(0.05), max_interval=Duration(0.1))


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Let the garbage collector find those sockets in the test that left them."""
    yield
    gc.collect()


def config_for(kafka: Kafka, topic: str, **others: Any) -> KafkaConfig:
    """Return a configuration that reads spans from a topic, from its beginning."""
    values: dict[str, Any] = {
        "brokers": (kafka.address,),
        "traces": SignalTopics((topic,)),
        "group_id": f"group-{uuid.uuid4().hex[:8]}",
        "initial_offset": "earliest",
        "error_backoff": SOON,
        "session_timeout": Duration(6),
        "heartbeat_interval": Duration(0.5),
    }
    return KafkaConfig(**values | others)


@contextmanager
def receiving(config: KafkaConfig, consumer: Any, counters: Counters | None = None) -> Iterator[Counters]:
    """Run a receiver that gives spans to a consumer."""
    counters = counters or Counters()
    receiver = factory.create(config, Context("kafka", {Signal.TRACES: consumer}, counters.add, counters.observe))
    receiver.start()
    try:
        yield counters
    finally:
        receiver.shutdown()


@contextmanager
def producing(kafka: Kafka) -> Iterator[KafkaProducer]:
    """Run a producer."""
    producer = KafkaProducer(bootstrap_servers=kafka.address)
    try:
        yield producer
    finally:
        producer.close()


def send(kafka: Kafka, topic: str, *values: bytes, partition: int | None = None) -> None:
    """Send records; return when the broker has them."""
    with producing(kafka) as producer:
        for future in [producer.send(topic, value, partition=partition) for value in values]:
            future.get(SECONDS)


def wait(ready: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < deadline, f"waited {SECONDS} s in vain for {what}"
        time.sleep(0.02)


def span_ids(batches: list[Batch]) -> list[int]:
    """Return the ids of all spans, in the order in which they came."""
    return [
        int.from_bytes(span.span_id, "big")
        for one in batches
        for group in ExportTraceServiceRequest.FromString(one.payload).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def test_records_arrive_in_order_and_are_committed(kafka: Kafka) -> None:
    """Records of a partition reach the pipelines in their order, and are committed once these took them."""
    topic = make_topic(kafka)
    config = config_for(kafka, topic)
    send(kafka, topic, *(traces(1, number) for number in range(1, 51)))
    recorder = Recorder()

    with receiving(config, recorder):
        wait(lambda: len(recorder.batches) == 50, "50 batches")

    assert span_ids(recorder.batches) == list(range(1, 51))
    assert recorder.batches[0].payload == batch().payload
    assert committed(kafka, config.group_id, topic) == {0: 50}


def test_second_run_goes_on_where_the_first_ended(kafka: Kafka) -> None:
    """After a stop in good order nothing comes a second time, and nothing is left out."""
    topic = make_topic(kafka, 2)
    config = config_for(kafka, topic)
    send(kafka, topic, *(traces(1, number) for number in range(1, 21)))
    first, second = Recorder(), Recorder()

    with receiving(config, first):
        wait(lambda: len(first.batches) == 20, "20 batches")
    send(kafka, topic, *(traces(1, number) for number in range(21, 41)))
    with receiving(config, second):
        wait(lambda: len(second.batches) == 20, "20 more batches")

    assert sorted(span_ids(first.batches) + span_ids(second.batches)) == list(range(1, 41))


def test_what_is_not_taken_is_not_committed(kafka: Kafka) -> None:
    """While the pipelines refuse for now, nothing is committed, and nothing later is given to them before it."""
    topic = make_topic(kafka)
    config = config_for(kafka, topic)
    send(kafka, topic, *(traces(1, number) for number in range(1, 6)))
    tried: list[int] = []

    def refuse_the_third(one: Batch) -> None:
        (number,) = span_ids([one])
        tried.append(number)
        if number == 3 and tried.count(3) <= 5:
            raise RetryableError("not now")

    recorder = Recorder(refuse_the_third)
    with receiving(config, recorder):
        wait(lambda: tried.count(3) >= 3, "three attempts")
        assert committed(kafka, config.group_id, topic)[0] <= 2
        wait(lambda: len(recorder.batches) == 5, "all batches")

    assert span_ids(recorder.batches) == [1, 2, 3, 4, 5]
    assert committed(kafka, config.group_id, topic) == {0: 5}


def test_stop_while_refused_leaves_it_to_the_next(kafka: Kafka) -> None:
    """A record that the pipelines never took is still there for the next member after a quick stop."""
    topic = make_topic(kafka)
    config = config_for(kafka, topic)
    send(kafka, topic, traces(1, 1))
    tried = threading.Event()

    def refuse(_: Batch) -> None:
        tried.set()
        raise RetryableError("not now")

    with receiving(config, Recorder(refuse)):
        assert tried.wait(SECONDS)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    recorder = Recorder()
    with receiving(config, recorder):
        wait(lambda: len(recorder.batches) == 1, "the record")


def test_stuck_partition_does_not_stop_the_other(kafka: Kafka) -> None:
    """While one partition waits for the pipelines, others go on, and the group is not left."""
    topic = make_topic(kafka, 2)
    send(kafka, topic, traces(1, 1), partition=0)
    send(kafka, topic, *(traces(1, number) for number in range(2, 12)), partition=1)

    def refuse_the_first(one: Batch) -> None:
        if span_ids([one]) == [1]:
            raise RetryableError("not now")

    recorder = Recorder(refuse_the_first)
    with receiving(config_for(kafka, topic), recorder):
        wait(lambda: len(recorder.batches) == 10, "the other partition")
        recorder.doing = lambda _: None
        wait(lambda: len(recorder.batches) == 11, "the first record")

    assert sorted(span_ids(recorder.batches)) == list(range(1, 12))


def test_refused_for_good_and_malformed_are_skipped(kafka: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be read and what is refused for good is counted and told, and the rest goes on."""
    topic = make_topic(kafka)
    config = config_for(kafka, topic)
    send(kafka, topic, traces(1, 1), b"\xffno request", traces(1, 2), traces(1, 3))

    def refuse_the_second(one: Batch) -> None:
        if span_ids([one]) == [2]:
            raise PermanentError("never")

    recorder = Recorder(refuse_the_second)
    with receiving(config, recorder) as counters:
        wait(lambda: len(recorder.batches) == 2, "two batches")

    assert span_ids(recorder.batches) == [1, 3]
    assert counters.total("otelcol_kafka_receiver_unmarshal_failed_spans") == 1
    assert counters.total("otelcol_kafka_receiver_records") == 3
    assert committed(kafka, config.group_id, topic) == {0: 4}
    assert f"the record at {topic}-0:1 is skipped, and put into " in caplog.text
    assert "it is refused for good: never" in caplog.text


def test_on_permanent_error_false_keeps_the_record(kafka: Kafka) -> None:
    """On request even what is refused for good is tried again, and nothing is skipped."""
    topic = make_topic(kafka)
    config = config_for(kafka, topic, message_marking=MessageMarking(on_permanent_error=False))
    send(kafka, topic, traces(1, 1), traces(1, 2))
    attempts: list[int] = []

    def refuse_at_first(_: Batch) -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise PermanentError("never")

    recorder = Recorder(refuse_at_first)
    with receiving(config, recorder):
        wait(lambda: len(recorder.batches) == 2, "both")

    assert span_ids(recorder.batches) == [1, 2]


def test_on_error_skips_after_the_time_is_over(kafka: Kafka) -> None:
    """On request what was refused for long enough is skipped."""
    topic = make_topic(kafka)
    config = config_for(
        kafka,
        topic,
        message_marking=MessageMarking(on_error=True),
        error_backoff=replace(SOON, max_elapsed_time=Duration(0.3)),
    )
    send(kafka, topic, traces(1, 1), traces(1, 2))

    def refuse_the_first(one: Batch) -> None:
        if span_ids([one]) == [1]:
            raise RetryableError("not now")

    recorder = Recorder(refuse_the_first)
    with receiving(config, recorder):
        wait(lambda: len(recorder.batches) == 1, "the second")

    assert span_ids(recorder.batches) == [2]


def test_json_is_read(kafka: Kafka) -> None:
    """Records may hold OTLP's JSON."""
    topic = make_topic(kafka)
    send(kafka, topic, to_json(Signal.TRACES, traces(3)))
    recorder = Recorder()

    with receiving(config_for(kafka, topic, traces=SignalTopics((topic,), encoding="otlp_json")), recorder):
        wait(lambda: len(recorder.batches) == 1, "the batch")

    assert [one.payload for one in recorder.batches] == [batch(3).payload]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_read(kafka: Kafka, compression: str) -> None:
    """Records arrive however they were compressed."""
    topic = make_topic(kafka)
    producer = KafkaProducer(bootstrap_servers=kafka.address, compression_type=compression)
    producer.send(topic, traces(100)).get(SECONDS)
    producer.close()
    recorder = Recorder()

    with receiving(config_for(kafka, topic), recorder):
        wait(lambda: len(recorder.batches) == 1, "the batch")

    assert [(one.payload, one.items) for one in recorder.batches] == [(batch(100).payload, 100)]


def test_metadata_and_headers(kafka: Kafka) -> None:
    """Where a record comes from and its headers are metadata; on request headers are attributes too."""
    topic = make_topic(kafka)
    with producing(kafka) as producer:
        headers = [("Site", b"juelich"), ("other", b"x")]
        producer.send(topic, traces(1), headers=headers).get(SECONDS)
    recorder = Recorder()
    extraction = HeaderExtraction(extract_headers=True, headers=("Site", "missing"))

    with receiving(config_for(kafka, topic, header_extraction=extraction), recorder):
        wait(lambda: len(recorder.batches) == 1, "the batch")

    (one,) = recorder.batches
    place = {"kafka.topic": topic, "kafka.partition": "0", "kafka.offset": "0"}
    assert one.metadata == {"site": "juelich", "other": "x"} | place
    (group,) = ExportTraceServiceRequest.FromString(one.payload).resource_spans
    assert {pair.key: pair.value.string_value for pair in group.resource.attributes} == {"kafka.header.Site": "juelich"}


def test_it_says_who_it_is(kafka: Kafka) -> None:
    """Records are read over TLS, where one has to log in, for a version of Kafka that is named."""
    topic = make_topic(kafka)
    send(kafka, topic, traces(1))
    recorder = Recorder()
    config = config_for(
        kafka,
        topic,
        brokers=(kafka.address_of("SASL_TLS"),),
        tls=ClientTls(ca_file=str(kafka.authority), server_name_override="localhost"),
        auth=Auth(Sasl("SCRAM-SHA-512", USER, Secret(PASSWORD))),
        protocol_version="2.1.0",
    )

    with receiving(config, recorder):
        wait(lambda: len(recorder.batches) == 1, "the batch")


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "sticky", "cooperative-sticky"])
def test_members_share_partitions(
    kafka: Kafka, strategy: Literal["range", "roundrobin", "sticky", "cooperative-sticky"]
) -> None:
    """Two members of a group share its partitions, however they are told to, and lose nothing when one goes."""
    topic = make_topic(kafka, 4)
    config = config_for(kafka, topic, group_rebalance_strategies=(strategy,))
    first, second = Recorder(), Recorder()

    def missing(end: int) -> set[int]:
        return set(range(1, end)) - set(span_ids(first.batches + second.batches))

    with receiving(config, first):
        send(kafka, topic, *(traces(1, number) for number in range(1, 41)))
        wait(lambda: len(first.batches) == 40, "the first records")
        with receiving(config, second):
            number = 41
            with producing(kafka) as producer:
                while len(second.batches) < 5:
                    producer.send(topic, traces(1, number), partition=number % 4).get(SECONDS)
                    number += 1
                    time.sleep(0.02)
            wait(lambda: missing(number) == set(), "all records")
        send(kafka, topic, *(traces(1, number) for number in range(number, number + 10)))
        wait(lambda: missing(number + 10) == set(), "the last records")


def test_topics_by_expression(kafka: Kafka) -> None:
    """Topics may be named by an expression, and some of them left out."""
    prefix = f"regex-{uuid.uuid4().hex[:6]}"
    for name, number in (("a", 1), ("b", 2), ("c", 3)):
        send(kafka, f"{prefix}-{name}", traces(1, number))
    topics = SignalTopics((f"^{prefix}-.*",), (f"^{prefix}-b$",))
    recorder = Recorder()

    with receiving(config_for(kafka, "", traces=topics), recorder):
        wait(lambda: len(recorder.batches) == 2, "two topics")

    assert sorted(span_ids(recorder.batches)) == [1, 3]


def test_lag_is_a_gauge(kafka: Kafka) -> None:
    """How far the pipelines are behind is shown for each partition, and is nothing once they have caught up."""
    topic = make_topic(kafka)
    send(kafka, topic, *(traces(1, number) for number in range(1, 11)))
    gate = threading.Event()

    def wait_at_the_gate(_: Batch) -> None:
        gate.wait(SECONDS)

    recorder = Recorder(wait_at_the_gate)
    key = ("otelcol_kafka_receiver_offset_lag", (("partition", "0"), ("topic", topic)))

    with receiving(config_for(kafka, topic), recorder) as counters:
        wait(lambda: counters.gauges().get(key) == 10, "a lag of ten")
        gate.set()
        wait(lambda: counters.gauges()[key] == 0, "no lag")
    assert counters.gauges()[key] == 0


def test_latest_begins_at_the_end(kafka: Kafka) -> None:
    """By default a new group begins with what comes from now on."""
    topic = make_topic(kafka)
    config = config_for(kafka, topic, initial_offset="latest")
    send(kafka, topic, traces(1, 1))
    recorder = Recorder()

    with receiving(config, recorder) as counters:
        wait(lambda: counters.total("otelcol_kafka_receiver_partition_start") == 1, "the partition")
        time.sleep(1)
        send(kafka, topic, traces(1, 2))
        wait(lambda: len(recorder.batches) == 1, "the second")

    assert span_ids(recorder.batches) == [2]


def test_topic_that_comes_later_is_found(kafka: Kafka) -> None:
    """A receiver may start before its topic is there."""
    topic = f"later-{uuid.uuid4().hex[:8]}"
    recorder = Recorder()

    with receiving(config_for(kafka, topic), recorder):
        time.sleep(1)
        send(kafka, topic, traces(1, 1))
        wait(lambda: len(recorder.batches) == 1, "the batch")


def test_without_a_broker_it_waits(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a broker the receiver starts, says so once, and stops at once when it is told to."""
    monkeypatch.setattr(receiver_module, "_CONNECT_MS", 300)
    config = KafkaConfig(brokers=("127.0.0.1:9",))
    receiver = factory.create(config, Context("kafka", {Signal.TRACES: Recorder()}, lambda *_: None))
    receiver.start()
    wait(lambda: "nothing can be read for now" in caplog.text, "the log")
    time.sleep(2)
    begun = time.monotonic()
    receiver.shutdown()

    assert time.monotonic() - begun < 10
    assert not [thread for thread in threading.enumerate() if "kafka" in thread.name.lower()]
    assert caplog.text.count("nothing can be read for now") == 1


def test_shutdown_without_start() -> None:
    """Shutting down is safe without a start, and twice."""
    receiver = factory.create(KafkaConfig(), Context("kafka", {}, lambda *_: None))
    receiver.shutdown()
    receiver.shutdown()


def test_topic_of_two_signals_is_refused() -> None:
    """A topic cannot hold two signals."""
    both = {Signal.TRACES: SignalTopics(("a",)), Signal.LOGS: SignalTopics(("b", "a"))}

    with pytest.raises(ConfigError, match="a topic cannot hold two signals"):
        Subscription(both)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SignalTopics(("a",), ("b",)), "none of the topics is a regex pattern"),
        (lambda: SignalTopics(("^a",), ("",)), "would match all topics"),
        (lambda: SignalTopics(("^(",)), "is no regular expression"),
        (lambda: KafkaConfig(min_fetch_size=-1), r"min_fetch_size \(-1\) must be non-negative"),
        (lambda: KafkaConfig(min_fetch_size=2, max_fetch_size=1), "cannot be less than min_fetch_size"),
        (lambda: KafkaConfig(heartbeat_interval=Duration(10)), "less than session_timeout"),
        (
            lambda: KafkaConfig(group_rebalance_strategy="range", group_rebalance_strategies=("sticky",)),
            "mutually exclusive",
        ),
    ],
)
def test_configuration_that_cannot_work_is_refused(make: Callable[[], Any], message: str) -> None:
    """What could never work is refused before anything starts."""
    with pytest.raises(ValueError, match=message):
        make()
