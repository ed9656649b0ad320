"""Where the requests end: a topic of the real Kafka, or an OTLP/HTTP endpoint; either one knows how many came."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from tests.services.kafka.server import Kafka
from tests.services.kafka.topics import make_topic


class Goal(Protocol):
    """Where requests end."""

    address: str
    topic: str

    def taken(self) -> int:
        """Return how many requests came so far."""


@dataclass
class KafkaGoal:
    """A topic of one partition; each request is a record.

    Attributes:
        kafka: The server.
    """

    kafka: Kafka
    topic: str = field(init=False)
    address: str = field(init=False)

    def __post_init__(self) -> None:
        """Make the topic."""
        self.address = self.kafka.address
        self.topic = make_topic(self.kafka)
        self._consumer = KafkaConsumer(bootstrap_servers=self.address)

    def taken(self) -> int:
        """Return how many records the topic has."""
        place = TopicPartition(self.topic, 0)
        return int(self._consumer.end_offsets([place])[place])

    def close(self) -> None:
        """Remove the topic: its records are not needed any more."""
        self._consumer.close()
        client = KafkaAdminClient(bootstrap_servers=self.address)
        try:
            client.delete_topics([self.topic])
        finally:
            client.close()


@dataclass
class SinkGoal:
    """An endpoint in a process of its own.

    Attributes:
        process: The process.
    """

    process: subprocess.Popen[str]
    topic: str = ""
    address: str = field(init=False)

    def __post_init__(self) -> None:
        """Learn where it listens."""
        assert self.process.stdout is not None
        self.address = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"

    def taken(self) -> int:
        """Return how many requests it took."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def kafka_goal(kafka: Kafka) -> Iterator[Goal]:
    """Have a topic for the length of the block."""
    goal = KafkaGoal(kafka)
    try:
        yield goal
    finally:
        goal.close()


@contextmanager
def sink_goal() -> Iterator[Goal]:
    """Run an endpoint for the length of the block."""
    command = [sys.executable, "-m", "benchmarks.collector.sink"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield SinkGoal(process)
        finally:
            process.terminate()
