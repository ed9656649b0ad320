"""The kafka exporter, against the real Kafka."""

from __future__ import annotations

import base64
import gc
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_exporters.kafka import factory
from provtel_exporters.kafka.config import (
    KafkaConfig,
    Producer,
    RecordHeader,
    RecordPartitioner,
    RoundRobin,
    SignalTopic,
)
from provtel_exporters.kafka.exporter import KafkaExporter
from provtel_model.components import Batch, Component, Context, Signal
from provtel_model.delivery import QueueBatch, SendingQueue
from provtel_model.errors import ConfigError, PermanentError, RetryableError
from provtel_model.kafka import Auth, PlainText, Sasl
from provtel_model.otlp import check, from_json
from provtel_model.settings import Duration, Secret
from provtel_model.tls import ClientTls

from tests.services.kafka.server import PASSWORD, USER, Kafka
from tests.services.kafka.topics import make_topic, records

# kafka-python leaves the sockets of connections that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

TOKEN_SOURCE = "bearertokenauth"  # noqa: S105  # the id of an extension


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Let the garbage collector find those sockets in the test that left them."""
    yield
    gc.collect()


@contextmanager
def exporting(config: KafkaConfig, extensions: Mapping[str, Component] | None = None) -> Iterator[KafkaExporter]:
    """Run an exporter."""
    exporter: KafkaExporter = factory.create(config, Context("kafka", {}, lambda *_: None, extensions=extensions or {}))
    exporter.start()
    try:
        yield exporter
    finally:
        exporter.shutdown()


def config_for(kafka: Kafka, topic: str, **others: Any) -> KafkaConfig:
    """Return a configuration that sends every signal to one topic."""
    goal = SignalTopic(topic)
    values: dict[str, Any] = {"brokers": (kafka.address,), "traces": goal, "metrics": goal, "logs": goal}
    return KafkaConfig(**values | others)


def spans(count: int, traces: int = 1, size: int = 10, host: str = "a") -> Batch:
    """Return a batch of spans of several traces, with so many letters in each."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="host").value.string_value = host
    for number in range(count):
        span = group.scope_spans.add().spans.add(name="x" * size, span_id=number.to_bytes(8, "big"))
        span.trace_id = bytes([number % traces + 1]) * 16
    return check(Signal.TRACES, request.SerializeToString())


def span_ids(*payloads: bytes) -> list[int]:
    """Return the ids of all spans, in order."""
    return sorted(
        int.from_bytes(span.span_id, "big")
        for payload in payloads
        for group in ExportTraceServiceRequest.FromString(payload).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    )


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_record_is_the_request_as_it_came(
    kafka: Kafka, compression: Literal["none", "gzip", "snappy", "lz4", "zstd"]
) -> None:
    """A record holds the bytes that came in, whatever the compression, once consume() has returned."""
    topic = make_topic(kafka)
    sent = spans(50)
    with exporting(config_for(kafka, topic, producer=Producer(compression=compression))) as exporter:
        exporter.consume(sent)

        (record,) = records(kafka, topic)

    assert record.value == sent.payload
    assert record.key is None


@pytest.mark.parametrize("acks", ["all", -1, 1, 0])
def test_every_kind_of_acknowledgement(kafka: Kafka, acks: Literal["all", -1, 0, 1]) -> None:
    """Records arrive whoever is to acknowledge them."""
    topic = make_topic(kafka)
    with exporting(config_for(kafka, topic, producer=Producer(required_acks=acks))) as exporter:
        exporter.consume(spans(1))

    assert len(records(kafka, topic)) == 1


def test_trace_id_is_the_key(kafka: Kafka) -> None:
    """On request each trace is a record of its own, with its id as key, and nothing is missing."""
    topic = make_topic(kafka, 3)
    with exporting(config_for(kafka, topic, partition_traces_by_id=True)) as exporter:
        exporter.consume(spans(20, traces=4))

        found = records(kafka, topic)

    assert sorted(record.key.decode() for record in found) == [f"{number:02x}" * 16 for number in range(1, 5)]
    assert span_ids(*(record.value for record in found)) == list(range(20))
    for record in found:
        (span, *_) = ExportTraceServiceRequest.FromString(record.value).resource_spans[0].scope_spans[0].spans
        assert span.trace_id.hex().encode() == record.key


def test_logs_without_a_trace_have_no_key(kafka: Kafka) -> None:
    """Log records are grouped by trace on request; those without one travel without a key."""
    topic = make_topic(kafka)
    request = ExportLogsServiceRequest()
    logs = request.resource_logs.add().scope_logs.add().log_records
    logs.add(event_name="a", trace_id=b"t" * 16)
    logs.add(event_name="b")
    with exporting(config_for(kafka, topic, partition_logs_by_trace_id=True)) as exporter:
        exporter.consume(check(Signal.LOGS, request.SerializeToString()))

    assert [record.key for record in records(kafka, topic)] == [(b"t" * 16).hex().encode(), None]


def test_resource_says_topic_and_key(kafka: Kafka) -> None:
    """A resource attribute may name the topic; records of one resource have one key."""
    named, default = make_topic(kafka), make_topic(kafka)
    request = ExportLogsServiceRequest()
    for goal in (named, "", named):
        group = request.resource_logs.add()
        group.resource.attributes.add(key="goal").value.string_value = goal
        group.scope_logs.add().log_records.add(event_name="a")
    config = config_for(kafka, default, topic_from_attribute="goal", partition_logs_by_resource_attributes=True)
    with exporting(config) as exporter:
        exporter.consume(check(Signal.LOGS, request.SerializeToString()))

    first, second = records(kafka, named)
    assert first.key == second.key
    assert len(first.key) == 16
    assert len(records(kafka, default)) == 1


def test_json_and_headers(kafka: Kafka) -> None:
    """A record may hold OTLP's JSON, and carries the headers that were asked for."""
    topic = make_topic(kafka)
    sent = spans(2)
    config = config_for(
        kafka,
        topic,
        traces=SignalTopic(topic, "otlp_json"),
        record_headers=(RecordHeader("site", Secret("juelich")),),
    )
    with exporting(config) as exporter:
        exporter.consume(sent)

    (record,) = records(kafka, topic)
    assert from_json(Signal.TRACES, record.value) == sent.payload
    assert "resourceSpans" in json.loads(record.value)
    assert record.headers == [("site", b"juelich")]


def test_metadata_says_topic_key_and_headers(kafka: Kafka) -> None:
    """Metadata of a request may name the topic and the key, and travel as headers."""
    default, named = make_topic(kafka), make_topic(kafka)
    goal = SignalTopic(default, topic_from_metadata_key="X-Topic", message_key_from_metadata_key="X-Key")
    config = config_for(kafka, default, traces=goal, include_metadata_keys=("X-User", "X-Missing"))
    told = {"x-topic": named, "x-key": "k", "x-user": "me"}
    with exporting(config) as exporter:
        exporter.consume(replace(spans(1), metadata=told))
        exporter.consume(spans(1))

    (with_metadata,) = records(kafka, named)
    assert (with_metadata.key, with_metadata.headers) == (b"k", [("X-User", b"me")])
    (without,) = records(kafka, default)
    assert (without.key, without.headers) == (None, [])


def test_round_robin_takes_turns(kafka: Kafka) -> None:
    """Records may go to one partition after the other."""
    topic = make_topic(kafka, 3)
    config = config_for(kafka, topic, record_partitioner=RecordPartitioner(round_robin=RoundRobin()))
    with exporting(config) as exporter:
        for _ in range(6):
            exporter.consume(spans(1))

    assert sorted(record.partition for record in records(kafka, topic)) == [0, 0, 1, 1, 2, 2]


def test_large_request_is_cut(kafka: Kafka) -> None:
    """A request above max_message_bytes becomes several records of whole spans, every span once."""
    topic = make_topic(kafka)
    with exporting(config_for(kafka, topic, producer=Producer(max_message_bytes=100_000))) as exporter:
        exporter.consume(spans(64, size=8_000))

    found = records(kafka, topic)
    assert span_ids(*(record.value for record in found)) == list(range(64))
    assert all(len(record.value) <= 100_000 for record in found)
    assert len(found) == 6


def test_broker_that_takes_less_is_given_less(kafka: Kafka) -> None:
    """Where the topic takes less than max_message_bytes, requests are cut until it takes them."""
    topic = make_topic(kafka, max_message_bytes="50000")
    with exporting(config_for(kafka, topic)) as exporter:
        exporter.consume(spans(64, size=8_000))

    assert span_ids(*(record.value for record in records(kafka, topic))) == list(range(64))


@pytest.mark.parametrize("limited", ["producer", "topic"])
def test_only_the_item_that_is_too_large_is_refused(kafka: Kafka, limited: str) -> None:
    """A single span that no record can hold is refused for good, and every other one is sent."""
    topic = make_topic(kafka, max_message_bytes="100000" if limited == "topic" else "1000000")
    large = ExportTraceServiceRequest.FromString(spans(8).payload)
    large.resource_spans[0].scope_spans[3].spans[0].name = "x" * 200_000
    limit = 100_000 if limited == "producer" else 1_000_000
    with (
        exporting(config_for(kafka, topic, producer=Producer(max_message_bytes=limit))) as exporter,
        pytest.raises(PermanentError, match="larger than a record may be"),
    ):
        exporter.consume(check(Signal.TRACES, large.SerializeToString()))

    assert span_ids(*(record.value for record in records(kafka, topic))) == [0, 1, 2, 4, 5, 6, 7]


def test_impossible_topic_is_refused_for_good(kafka: Kafka) -> None:
    """A topic that cannot be is the batch's own fault where an attribute names it."""
    config = config_for(kafka, make_topic(kafka), topic_from_attribute="host")
    with exporting(config) as exporter, pytest.raises(PermanentError):
        exporter.consume(spans(1, host="no topic!"))


def test_no_broker_is_for_now(kafka: Kafka) -> None:
    """Without a broker the exporter starts, refuses batches for now, and sends once there is one."""
    topic = make_topic(kafka)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed = unused.getsockname()[1]
    config = config_for(kafka, topic, brokers=(f"127.0.0.1:{closed}",), timeout=Duration(0.3))
    with exporting(config) as exporter:
        begun = time.monotonic()
        with pytest.raises(RetryableError, match=f"no broker can be reached at 127.0.0.1:{closed}"):
            exporter.consume(spans(1))
        assert time.monotonic() - begun < 5
        threads = threading.active_count()
        for _ in range(3):
            with pytest.raises(RetryableError):
                exporter.consume(spans(1))
        assert threading.active_count() <= threads


@pytest.mark.parametrize(
    ("listener", "auth"),
    [
        ("TLS", Auth()),
        ("SASL", Auth(plain_text=PlainText(USER, Secret(PASSWORD)))),
        ("SASL", Auth(Sasl("PLAIN", USER, Secret(PASSWORD)))),
        ("SASL_TLS", Auth(Sasl("SCRAM-SHA-256", USER, Secret(PASSWORD)))),
        ("SASL_TLS", Auth(Sasl("SCRAM-SHA-512", USER, Secret(PASSWORD)))),
        ("SASL_TLS", Auth(Sasl("OAUTHBEARER", oauthbearer_token_source=TOKEN_SOURCE))),
    ],
    ids=lambda one: one if isinstance(one, str) else (one.sasl.mechanism if one.sasl else ""),
)
def test_it_says_who_it_is(kafka: Kafka, listener: str, auth: Auth) -> None:
    """Records arrive over TLS, and where one has to log in."""
    topic = make_topic(kafka)
    tls = ClientTls(ca_file=str(kafka.authority)) if "TLS" in listener else None
    config = config_for(kafka, topic, brokers=(kafka.address_of(listener),), auth=auth, tls=tls)
    with exporting(config, {TOKEN_SOURCE: TokenHolder()}) as exporter:
        exporter.consume(spans(3))

    (record,) = records(kafka, topic)
    assert span_ids(record.value) == [0, 1, 2]


class TokenHolder:
    """An extension that has a token which nobody signed."""

    def start(self) -> None:
        """Need nothing."""

    def shutdown(self) -> None:
        """Release nothing."""

    def headers(self) -> Mapping[str, str]:
        """Return the token as HTTP carries it."""
        now = time.time()
        claims = {"sub": USER, "iat": now - 5, "exp": now + 60}
        parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims))
        return {"authorization": f"Bearer {b'.'.join(parts).decode()}."}


def test_wrong_password_is_for_now(kafka: Kafka) -> None:
    """Who is not let in may be tomorrow, when the password is mended: the batch stays where it is."""
    sasl = Sasl("PLAIN", USER, Secret("wrong"))
    config = config_for(kafka, "any", brokers=(kafka.address_of("SASL"),), auth=Auth(sasl), timeout=Duration(1))
    with exporting(config) as exporter, pytest.raises(RetryableError):
        exporter.consume(spans(1))


def test_unknown_authority_is_not_believed(kafka: Kafka) -> None:
    """A broker whose certificate comes from nobody we know gets nothing."""
    config = config_for(kafka, "any", brokers=(kafka.address_of("TLS"),), tls=ClientTls(), timeout=Duration(1))
    with exporting(config) as exporter, pytest.raises(RetryableError):
        exporter.consume(spans(1))


def test_missing_token_source_is_told() -> None:
    """A token source that does not run is the user's to mend, and told at the start."""
    config = KafkaConfig(auth=Auth(Sasl("OAUTHBEARER", oauthbearer_token_source=TOKEN_SOURCE)))

    with pytest.raises(ConfigError, match='extension "bearertokenauth" does not run'), exporting(config):
        pass


def test_many_senders_at_once(kafka: Kafka) -> None:
    """Senders in many threads each return when their own record is there, and none is lost or doubled."""
    topic = make_topic(kafka, 2)
    errors: list[Exception] = []

    def send(exporter: KafkaExporter, first: int) -> None:
        try:
            for number in range(first, first + 25):
                request = ExportTraceServiceRequest()
                span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16)
                span.span_id = number.to_bytes(8, "big")
                exporter.consume(check(Signal.TRACES, request.SerializeToString()))
        except Exception as error:  # noqa: BLE001  # told below
            errors.append(error)

    with exporting(config_for(kafka, topic)) as exporter:
        threads = [threading.Thread(target=send, args=(exporter, first)) for first in range(0, 400, 25)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert not errors
    assert span_ids(*(record.value for record in records(kafka, topic))) == list(range(400))


def test_shutdown_twice_and_without_start() -> None:
    """Shutting down is safe twice, and without a start."""
    exporter = KafkaExporter(KafkaConfig(), Context("kafka", {}, lambda *_: None))
    exporter.shutdown()
    exporter.start()
    exporter.shutdown()
    exporter.shutdown()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"brokers": ()}, "brokers must be specified"),
        ({"protocol_version": "new"}, 'invalid protocol version: "new"'),
        ({"protocol_version": "9.9"}, 'invalid protocol version: "9.9"'),
        ({"conn_idle_timeout": Duration(0)}, "conn_idle_timeout must be positive"),
        (
            {"partition_logs_by_trace_id": True, "partition_logs_by_resource_attributes": True},
            "cannot both be enabled",
        ),
        (
            {"partition_traces_by_id": True, "traces": SignalTopic(message_key_from_metadata_key="a")},
            "traces::message_key_from_metadata_key cannot be combined with partition_traces_by_id",
        ),
        (
            {"include_metadata_keys": ("A",), "sending_queue": SendingQueue(batch=QueueBatch())},
            '"A" must be present in sending_queue::batch::partition::metadata_keys',
        ),
    ],
)
def test_configuration_that_cannot_work_is_refused(values: dict[str, Any], message: str) -> None:
    """What could never work is refused before anything starts."""
    with pytest.raises(ValueError, match=message):
        replace(KafkaConfig(), **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mechanism": "PLAIN"}, "username is required"),
        ({"mechanism": "SCRAM-SHA-256", "username": "a"}, "password is required"),
        ({"mechanism": "OAUTHBEARER"}, "oauthbearer_token_source is required"),
    ],
)
def test_login_without_what_it_needs_is_refused(values: dict[str, Any], message: str) -> None:
    """A mechanism needs its name, its password or its token."""
    with pytest.raises(ValueError, match=message):
        Sasl(**values)
