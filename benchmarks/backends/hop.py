"""From Kafka into MongoDB by the preset that ships: what a span costs the collector, while the server is the limit."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from kafka import KafkaProducer
from pymongo import MongoClient

from benchmarks.backends.tasks import requests
from benchmarks.collector.measured import OURS, Measured, running
from tests.services.kafka.server import Kafka
from tests.services.kafka.topics import make_topic
from tests.services.mongodb.server import Mongodb

_WARM_UP: Final = 4 * 512
_SECONDS: Final = 300
_IDLE_SECONDS: Final = 5.0


def measure(kafka: Kafka, mongodb: Mongodb, count: int) -> dict[str, float]:
    """Return CPU and wall of a span, without what the collector uses while it waits; every span arrives once."""
    topic, address = make_topic(kafka), mongodb.new_database()
    with tempfile.TemporaryDirectory() as folder, MongoClient[dict[str, Any]](address) as client:
        records = client.get_default_database()["records"]

        def wait_for(expected: int) -> None:
            deadline = time.monotonic() + _SECONDS
            while (there := records.estimated_document_count()) < expected:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{there} of {expected} records arrived")
                time.sleep(0.5)

        payloads = list(requests(_WARM_UP + count))
        with running(OURS, _document(kafka, topic, address), Path(folder)) as collector:
            _send(kafka, topic, payloads[: _WARM_UP // 512])
            wait_for(_WARM_UP)
            idle = _idle(collector)
            before, begun = collector.cpu(), time.monotonic()
            _send(kafka, topic, payloads[_WARM_UP // 512 :])
            wait_for(_WARM_UP + count)
            cpu, wall = collector.cpu() - before, time.monotonic() - begun
            # A slow server lets the collector wait for long, and waiting costs it a little too.
            own = cpu - idle * wall
            return {"cpu_us": own / count * 1e6, "wall_us": wall / count * 1e6, "memory_mb": collector.peak_mb()}


def _idle(collector: Measured) -> float:
    """Return the part of a core that a collector uses when nothing happens."""
    before = collector.cpu()
    time.sleep(_IDLE_SECONDS)
    return (collector.cpu() - before) / _IDLE_SECONDS


def _document(kafka: Kafka, topic: str, address: str) -> dict[str, Any]:
    pipeline = {"receivers": ["kafka"], "exporters": ["mongodb"]}
    receiver = {"brokers": [kafka.address], "group_id": uuid.uuid4().hex, "initial_offset": "earliest"}
    return {
        "receivers": {"kafka": {**receiver, "traces": {"topics": [topic]}}},
        "exporters": {"mongodb": {"endpoint": address}},
        "service": {"pipelines": {"traces": pipeline}, "telemetry": {"metrics": {"level": "none"}}},
    }


def _send(kafka: Kafka, topic: str, payloads: list[bytes]) -> None:
    with _producing(kafka) as producer:
        for payload in payloads:
            producer.send(topic, payload)


@contextmanager
def _producing(kafka: Kafka) -> Iterator[KafkaProducer]:
    producer = KafkaProducer(bootstrap_servers=kafka.address, max_request_size=2**24)
    try:
        yield producer
        producer.flush()
    finally:
        producer.close()
