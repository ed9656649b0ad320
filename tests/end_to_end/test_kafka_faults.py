"""Kafka that dies, consumers that die: what was acknowledged is in the store, every span by its id."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_exporters.kafka import factory
from provtel_exporters.kafka.config import KafkaConfig, SignalTopic
from provtel_exporters.lmdb import open_reader
from provtel_model.components import Context, Signal
from provtel_model.errors import RetryableError, StoreError
from provtel_model.filters import Query
from provtel_model.kafka import Metadata, MetadataRetry
from provtel_model.otlp import check
from provtel_model.settings import Duration

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


TRACE = b"t" * 16
SPANS = 20
SECONDS = 90
PARTITIONS = 6


def request_of(first: int) -> bytes:
    """Return a request of spans whose ids count up."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(first, first + SPANS):
        span = spans.add(name="task", trace_id=TRACE, span_id=number.to_bytes(8, "big"))
        span.start_time_unix_nano, span.end_time_unix_nano = 10**18 + number, 10**18 + number + 1
    return request.SerializeToString()


@dataclass
class Members:
    """Collectors that share a topic as one consumer group, and write one store.

    Attributes:
        folder: Where the store, the configuration and the logs are.
        processes: Those that run.
    """

    folder: Path
    kafka: Kafka
    topic: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    started: int = 0

    @property
    def store(self) -> Path:
        """The store folder."""
        return self.folder / ".provtel"

    def start(self) -> None:
        """Start one more."""
        document = {
            "receivers": {
                "kafka": {
                    "brokers": [self.kafka.address],
                    "traces": {"topics": [self.topic]},
                    "group_id": f"group-{self.topic}",
                    "initial_offset": "earliest",
                    "session_timeout": "2s",
                    "heartbeat_interval": "300ms",
                    "autocommit": {"interval": "200ms"},
                }
            },
            "exporters": {"lmdb": {"store": str(self.store)}},
            "service": {
                "pipelines": {"traces": {"receivers": ["kafka"], "exporters": ["lmdb"]}},
                "telemetry": {"metrics": {"level": "none"}},
            },
        }
        config = self.folder / "collector.yaml"
        config.write_text(json.dumps(document))
        self.started += 1
        with (self.folder / f"collector-{self.started}.log").open("wb") as log:
            command = [sys.executable, "-m", "provtel_cli.main", "collector", "--config", str(config)]
            process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)

    def kill_one(self, how: signal.Signals) -> None:
        """End one of them, and return when it is gone."""
        process = self.processes.pop(random.randrange(len(self.processes)))  # noqa: S311  # any
        process.send_signal(how)
        process.wait(SECONDS)

    def stored(self) -> list[str]:
        """Return the ids in the store."""
        try:
            reader = open_reader(str(self.store))
        except StoreError:
            return []
        try:
            return [record.id for record in reader.find(Query())]
        finally:
            reader.close()

    def wait_for(self, expected: set[str]) -> list[str]:
        """Return what is in the store as soon as everything expected is."""
        deadline = time.monotonic() + SECONDS
        while not expected <= set(stored := self.stored()):
            missing = len(expected - set(stored))
            assert time.monotonic() < deadline, f"{missing} of {len(expected)} spans are missing; {self.logs()}"
            assert all(process.poll() is None for process in self.processes), self.logs()
            time.sleep(0.2)
        return stored

    def logs(self) -> str:
        """Return the last words of each."""
        return "\n".join(file.read_text()[-1000:] for file in sorted(self.folder.glob("collector-*.log")))


@contextlib.contextmanager
def members(kafka: Kafka, topic: str, folder: Path, count: int) -> Iterator[Members]:
    """Run several collectors of one group."""
    group = Members(folder, kafka, topic)
    try:
        for _ in range(count):
            group.start()
        yield group
    finally:
        for process in group.processes:
            process.kill()
            process.wait()


def ids(*firsts: int) -> set[str]:
    """Return the record ids of the spans of requests."""
    return {f"{TRACE.hex()}-{number:016x}" for first in firsts for number in range(first, first + SPANS)}


@dataclass
class Senders:
    """Threads that send by our exporter, again and again until each request is acknowledged.

    Attributes:
        exporter: The exporter.
        acknowledged: The first id of each request that was.
    """

    exporter: Any
    stopping: threading.Event = field(default_factory=threading.Event)
    acknowledged: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def send(self, begin: int) -> None:
        """Send until told to stop."""
        first = begin
        while not self.stopping.is_set():
            batch = check(Signal.TRACES, request_of(first))
            try:
                self.exporter.consume(batch)
            except RetryableError as error:
                self.failures.append(str(error))
                time.sleep(0.1)
            else:
                self.acknowledged.append(first)
                first += SPANS
                time.sleep(0.005)


@contextlib.contextmanager
def sending(kafka: Kafka, topic: str, threads: int = 4) -> Iterator[Senders]:
    """Send from several threads for the length of the block; at its end each has its last answer."""
    config = KafkaConfig(
        brokers=(kafka.address,),
        traces=SignalTopic(topic),
        timeout=Duration(3),
        metadata=Metadata(retry=MetadataRetry(backoff=Duration(0.1))),
    )
    exporter = factory.create(config, Context("kafka", {}, lambda *_: None))
    exporter.start()
    senders = Senders(exporter)
    workers = [threading.Thread(target=senders.send, args=(number * 10**9,)) for number in range(1, threads + 1)]
    try:
        for worker in workers:
            worker.start()
        yield senders
    finally:
        senders.stopping.set()
        for worker in workers:
            worker.join()
        exporter.shutdown()


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
        group = stack.enter_context(members(kafka, topic, tmp_path, 1))
        with sending(kafka, topic) as senders:
            for _ in range(times):
                time.sleep(1.5)
                fault(kafka)
                before = len(senders.acknowledged)
                deadline = time.monotonic() + SECONDS
                while len(senders.acknowledged) < before + 50:
                    assert time.monotonic() < deadline, senders.failures[-1:]
                    time.sleep(0.05)

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
    with members(kafka, topic, tmp_path, 3) as group:
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

    with members(kafka, topic, tmp_path, 1) as group:
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
