"""The reader of Kafka, against the real Kafka: what comes into topics is told, once and from anywhere again."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaProducer
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_exporters.kafka import reader as reader_module
from provtel_exporters.kafka.address import BY_PASSWORD, CLIENT_ID, TopicAddress, address_of
from provtel_exporters.kafka.reader import KafkaReader, open_reader
from provtel_model import attributes as names
from provtel_model.components import Reader, Signal
from provtel_model.errors import FilterError, StoreError, UnsupportedError
from provtel_model.filters import Query
from provtel_model.kafka import Auth, KafkaClient, Sasl
from provtel_model.otlp import to_json
from provtel_model.record import State
from provtel_model.settings import Secret
from provtel_model.tls import ClientTls
from provtel_query.stores import open_reader as open_any

from tests.services.kafka.server import PASSWORD, USER, Kafka
from tests.services.kafka.topics import make_topic

# kafka-python leaves the sockets of connections that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Let the garbage collector find those sockets in the test that left them."""
    yield
    gc.collect()


def spans(*numbers: int) -> bytes:
    """Return a request of spans with these ids."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add().scope_spans.add()
    for number in numbers:
        span = group.spans.add(name=f"task {number}", trace_id=b"t" * 16, span_id=number.to_bytes(8, "big"))
        span.start_time_unix_nano, span.end_time_unix_nano = 10**18, 10**18 + 1
    return request.SerializeToString()


def send(kafka: Kafka, topic: str, *values: bytes, partition: int | None = None) -> None:
    """Send records; return when the broker has them."""
    producer = KafkaProducer(bootstrap_servers=kafka.address)
    for future in [producer.send(topic, value, partition=partition) for value in values]:
        future.get(30)
    producer.close()


def reading(kafka: Kafka, topic: str) -> closing[KafkaReader]:
    """Open a topic."""
    return closing(open_reader(f"kafka://{kafka.address}/{topic}"))


def test_everything_comes_in_order_and_once(kafka: Kafka) -> None:
    """From the beginning of a topic all comes, a page at a time, in whatever pieces; then nothing more comes."""
    topic = make_topic(kafka)
    send(kafka, topic, *(spans(*range(number, number + 5)) for number in range(1, 51, 5)))
    for limit in (1, 3, 7, 1000):
        found, cursor = [], ""
        with reading(kafka, topic) as reader:
            while (answer := reader.changes(cursor, limit=limit)).records:
                assert len(answer.records) <= limit
                found += [int(record.name.removeprefix("task ")) for record in answer.records]
                cursor = answer.cursor
        assert found == list(range(1, 51))


def test_a_cursor_is_good_for_another_reader(kafka: Kafka) -> None:
    """Who remembers a cursor goes on from there, in another process too, also in the middle of a record of Kafka."""
    topic = make_topic(kafka, 3)
    for partition in range(3):
        send(kafka, topic, *(spans(partition * 100 + 1, partition * 100 + 2) for _ in range(4)), partition=partition)
    found: list[str] = []
    cursor = ""
    for _ in range(5):
        with reading(kafka, topic) as reader:
            answer = reader.changes(cursor, limit=5)
            found += [record.name for record in answer.records]
            cursor = answer.cursor

    assert sorted(found) == sorted(f"task {100 * part + one}" for part in range(3) for one in (1, 2) for _ in range(4))


def test_now_is_behind_what_is_there(kafka: Kafka) -> None:
    """Who begins now sees what comes from now on, as soon as it comes."""
    topic = make_topic(kafka, 2)
    send(kafka, topic, spans(1), partition=0)
    with reading(kafka, topic) as reader:
        begin = reader.changes(None)
        assert begin.records == []
        assert reader.changes(begin.cursor).records == []
        later = threading.Timer(0.5, send, (kafka, topic, spans(2)))
        later.start()
        begun = time.monotonic()
        answer = reader.changes(begin.cursor, wait=60)
        later.join()

    assert [record.name for record in answer.records] == ["task 2"]
    assert time.monotonic() - begun < 60


def test_forms(kafka: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    """Requests in JSON are read too; what cannot be read is told of and left out."""
    topic = make_topic(kafka)
    send(kafka, topic, to_json(Signal.TRACES, spans(1)), b"\xff\xff", b"{", b"", spans(2))

    with caplog.at_level(logging.WARNING), reading(kafka, topic) as reader:
        answer = reader.changes("")

    assert [record.name for record in answer.records] == ["task 1", "task 2"]
    assert [f"{topic}-0:{offset}" in message for offset, message in zip((1, 2), caplog.messages, strict=True)] == [
        True,
        True,
    ]


def test_open_tasks_come_from_topics_of_logs(kafka: Kafka) -> None:
    """A topic that is said to have log records tells of tasks that run."""
    topic = make_topic(kafka)
    request = ExportLogsServiceRequest()
    log = request.resource_logs.add().scope_logs.add().log_records.add(event_name=names.EVENT_STARTED)
    log.trace_id, log.span_id, log.time_unix_nano = b"t" * 16, b"s" * 8, 10**18
    send(kafka, topic, request.SerializeToString())

    with closing(open_any(f"kafka://{kafka.address}/{topic}?signal=logs")) as reader:
        (record,) = reader.changes("").records

    assert record.status is State.RUNNING


def test_nothing_else_can_be_asked(kafka: Kafka) -> None:
    """What needs an index is refused in words that say what to do."""
    questions: tuple[Callable[[Reader], object], ...] = (
        lambda reader: reader.get("a"),
        lambda reader: reader.find(Query()),
        lambda reader: reader.count(Query()),
        lambda reader: reader.children("a"),
        lambda reader: reader.used(["a"]),
    )
    with reading(kafka, make_topic(kafka)) as reader:
        for ask in questions:
            with pytest.raises(UnsupportedError, match="only be watched"):
                ask(reader)


def test_foreign_cursors_are_refused(kafka: Kafka) -> None:
    """What is no cursor, or one of another topic, is told."""
    with reading(kafka, make_topic(kafka)) as reader:
        for cursor, why in (
            ("yesterday", "no cursor"),
            ("a:0=1.0,", "no cursor"),
            ("other:0=1.0", "other topics: other"),
        ):
            with pytest.raises(FilterError, match=why):
                reader.changes(cursor)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("kafka://localhost:1/topic", "no broker of Kafka answers at localhost:1"),
        ("kafka://user:hunter2@host:9092/topic", r"auth\.sasl\.mechanism must say how to log in"),
        ("kafka://user:hunter2@host:9092/topic?auth.sasl.mechanism=OAUTHBEARER", "must say how to log in"),
        ("kafka://:hunter2@host:9092/topic?auth.sasl.mechanism=PLAIN", "username is required"),
        ("kafka://user:1?hunter2@host:9092/topic", "no address of Kafka"),
        ("kafka://user:1#hunter2@host:9092/topic", "no address of Kafka"),
        ("kafka://user:1/hunter2@host:9092/topic", "no address of Kafka"),
        ("kafka://user:[hunter2@host:9092/topic", "no address of Kafka"),
        ("kafka://host:9092/topic?tls=maybe", "tls is true or false"),
        ("kafka://host:9092/topic?tls=false&tls.ca_file=x", "tls is false, and tls.ca_file is said"),
        ("kafka://host:9092/topic?tls.cert_file=x", "provide both cert_file and key_file"),
        ("kafka://host/topic", "no address of Kafka"),
        ("kafka://host:9092/to/pic", "no address of Kafka"),
        ("kafka://host:9092/topic?signal=metrics", "spans and log records can be watched"),
        ("kafka://host:9092/topic?offset=3", "has no option 'offset'; there are signal, auth"),
    ],
)
def test_wrong_places_are_refused(location: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is none, or where nobody answers, is told without a secret in it."""
    monkeypatch.setattr(reader_module, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(StoreError, match=why) as error:
        open_reader(location)

    assert "hunter2" not in str(error.value)


def test_missing_topic_is_told(kafka: Kafka) -> None:
    """A topic that is not there is told, and is not made."""
    for _ in range(2):
        with pytest.raises(StoreError, match="has no topic missing"):
            open_reader(f"kafka://{kafka.address}/missing")


def address_over(kafka: Kafka, listener: str, topic: str, password: str = PASSWORD) -> str:
    """Return the address of a topic by a listener that asks who one is, speaks TLS, or does both."""
    sasl = Sasl("SCRAM-SHA-512", USER, Secret(password)) if "SASL" in listener else None
    tls = ClientTls(ca_file=str(kafka.authority)) if "TLS" in listener else None
    return str(TopicAddress(KafkaClient((kafka.address_of(listener),), auth=Auth(sasl), tls=tls), topic, ""))


@pytest.mark.parametrize("listener", ["TLS", "SASL", "SASL_TLS"])
def test_it_says_who_it_is_and_knows_the_brokers(kafka: Kafka, listener: str) -> None:
    """Over TLS, and where one has to log in, the same comes."""
    topic = make_topic(kafka)
    send(kafka, topic, spans(1, 2))
    with closing(open_reader(address_over(kafka, listener, topic))) as reader:
        assert [record.name for record in reader.changes("").records] == ["task 1", "task 2"]


def test_who_is_not_let_in_is_told(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password and an unknown authority are errors that show no password."""
    monkeypatch.setattr(reader_module, "_CONNECT_SECONDS", 1)
    for location in (address_over(kafka, "SASL", "any", "hunter2"), f"kafka://{kafka.address_of('TLS')}/any?tls=true"):
        with pytest.raises(StoreError, match="no broker of Kafka answers") as error:
            open_reader(location)

        assert "hunter2" not in str(error.value)


TEXTS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=8)
ADDRESSES = st.builds(
    TopicAddress,
    st.builds(
        KafkaClient,
        st.lists(st.sampled_from(["a:1", "b.example:9092"]), min_size=1, max_size=2).map(tuple),
        client_id=st.just(CLIENT_ID),
        auth=st.builds(
            Auth, st.none() | st.builds(Sasl, st.sampled_from(BY_PASSWORD), TEXTS, st.builds(Secret, TEXTS))
        ),
        tls=st.none()
        | st.builds(
            ClientTls,
            ca_file=TEXTS,
            insecure_skip_verify=st.booleans(),
            key_password=st.none() | st.builds(Secret, TEXTS),
            min_version=st.sampled_from(["", "1.3"]),
        ),
    ),
    st.sampled_from(["", "topic", "otlp_logs"]),
    st.sampled_from(["", "traces", "logs"]),
)


@given(address=ADDRESSES)
def test_addresses_come_back(address: TopicAddress) -> None:
    """Whatever names, passwords and files there are, an address as text is the same address."""
    assert address_of(str(address)) == address
