"""Kafka that dies, consumers that die: what was acknowledged is in the store, every span by its id."""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_exporters.kafka import factory
from provtel_exporters.kafka.config import KafkaConfig, SignalTopic
from provtel_model.components import Context
from provtel_model.kafka import Metadata, MetadataRetry
from provtel_model.settings import Duration

from tests.end_to_end.consumers import SECONDS, SPANS, ids, members, request_of, sending
from tests.services.found import Found
from tests.services.kafka.server import Kafka, running
from tests.services.kafka.topics import make_topic, records

# kafka-python leaves the sockets of connections that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Let the garbage collector find those sockets in the test that left them."""
    yield
    gc.collect()


PARTITIONS = 6


def receiver_of(kafka: Kafka, topic: str) -> dict[str, dict[str, Any]]:
    """Return how collectors take a topic as one group that notices soon who is gone."""
    return {
        "kafka": {
            "brokers": [kafka.address],
            "traces": {"topics": [topic]},
            "group_id": f"group-{topic}",
            "initial_offset": "earliest",
            "session_timeout": "2s",
            "heartbeat_interval": "300ms",
            "autocommit": {"interval": "200ms"},
        }
    }


def exporter_to(kafka: Kafka, topic: str) -> Any:
    """Return our exporter, which gives up soon."""
    config = KafkaConfig(
        brokers=(kafka.address,),
        traces=SignalTopic(topic),
        timeout=Duration(3),
        metadata=Metadata(retry=MetadataRetry(backoff=Duration(0.1))),
    )
    return factory.create(config, Context("kafka", {}, lambda *_: None))


def span_ids(record: Any) -> list[str]:
    """Return the record ids of the spans that a Kafka record holds."""
    request = ExportTraceServiceRequest.FromString(record.value)
    spans = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
    return [f"{span.trace_id.hex()}-{span.span_id.hex()}" for span in spans]


def dies(kafka: Kafka) -> None:
    """Kill the broker, and start it again."""
    kafka.kill()
    time.sleep(random.uniform(0, 2))  # noqa: S311  # any
    kafka.start()


def freezes(kafka: Kafka) -> None:
    """Let the broker be silent for longer than anybody waits, as behind a broken network."""
    assert kafka.process is not None
    kafka.process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    kafka.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        (dies, 1),
        pytest.param(dies, 6, marks=pytest.mark.long),
        pytest.param(freezes, 4, marks=pytest.mark.long),
    ],
)
def test_broker_fails_under_load(
    found_kafka: Found, tmp_path: Path, fault: Callable[[Kafka], None], times: int
) -> None:
    """While the broker dies and comes back, what our exporter acknowledged is in the topic, and gets stored."""
    with ExitStack() as stack:
        kafka = stack.enter_context(running(found_kafka, tmp_path / "kafka"))
        topic = make_topic(kafka, 2)
        group = stack.enter_context(members(tmp_path, receiver_of(kafka, topic), 1))
        with sending(exporter_to(kafka, topic)) as senders:
            for _ in range(times):
                time.sleep(1.5)
                fault(kafka)
                senders.wait_for_more(50)

        acknowledged = ids(*senders.acknowledged)
        found = [id_ for record in records(kafka, topic) for id_ in span_ids(record)]
        stored = group.wait_for(acknowledged)

    assert len(acknowledged) > 50 * SPANS
    assert acknowledged <= set(found)
    assert len(stored) == len(set(stored))
    assert set(stored) == set(found)


@pytest.mark.parametrize("deaths", [2, pytest.param(12, marks=pytest.mark.long)])
def test_consumers_die_while_partitions_move(kafka: Kafka, tmp_path: Path, deaths: int) -> None:
    """While consumers of three are killed, stopped and replaced, every span that was sent is stored, and none twice."""
    topic = make_topic(kafka, PARTITIONS)
    sent: list[int] = []
    stopping = threading.Event()

    def produce() -> None:
        producer = KafkaProducer(bootstrap_servers=kafka.address)
        while not stopping.is_set():
            first = len(sent) * SPANS
            producer.send(topic, request_of(first), partition=len(sent) % PARTITIONS).get(SECONDS)
            sent.append(first)
            time.sleep(0.01)
        producer.close()

    producing = threading.Thread(target=produce)
    with members(tmp_path, receiver_of(kafka, topic), 3) as group:
        producing.start()
        try:
            group.wait_for(ids(0))
            for number in range(deaths):
                time.sleep(random.uniform(1, 3))  # noqa: S311  # any
                group.kill_one(signal.SIGTERM if number % 3 == 1 else signal.SIGKILL)
                group.start()
        finally:
            time.sleep(1)
            stopping.set()
            producing.join()
        stored = group.wait_for(ids(*sent))

    assert len(sent) > 100
    assert len(stored) == len(set(stored))
    assert set(stored) == ids(*sent)


def test_stop_in_good_order_gives_nothing_twice(kafka: Kafka, tmp_path: Path) -> None:
    """A member that is told to stop commits what it took, so that the next one takes nothing a second time."""
    topic = make_topic(kafka, 2)
    producer = KafkaProducer(bootstrap_servers=kafka.address)
    for future in [producer.send(topic, request_of(number * SPANS), partition=number % 2) for number in range(50)]:
        future.get(SECONDS)
    producer.close()
    expected = ids(*(number * SPANS for number in range(50)))

    with members(tmp_path, receiver_of(kafka, topic), 1) as group:
        group.wait_for(expected)
        (first,) = group.processes
        group.kill_one(signal.SIGTERM)
        group.start()
        deadline = time.monotonic() + SECONDS
        while "ready:" not in (tmp_path / "collector-2.log").read_text():
            assert time.monotonic() < deadline, group.logs()
            time.sleep(0.1)
        time.sleep(2)
        group.kill_one(signal.SIGTERM)

    assert first.returncode == os.EX_OK
    assert "otelcol_exporter_stored_records=1000" in (tmp_path / "collector-1.log").read_text()
    assert "otelcol_receiver_accepted_spans" not in (tmp_path / "collector-2.log").read_text()
