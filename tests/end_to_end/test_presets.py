"""The presets that ship, one behind the other: what is sent to the first is in the store of the last."""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from provtel_exporters.lmdb import open_reader
from provtel_model.filters import Query
from pymongo import MongoClient

from tests.collector.running import Collector, provtel, running
from tests.services.kafka.server import Kafka
from tests.services.mongodb.server import Mongodb

SPANS = 500
SECONDS = 60
ANYWHERE = {
    "PROVTEL_COLLECTOR_ENDPOINT": "127.0.0.1:0",
    "PROVTEL_COLLECTOR_GRPC_ENDPOINT": "127.0.0.1:0",
    "PROVTEL_COLLECTOR_HEALTH_ENDPOINT": "127.0.0.1:0",
}


def start(stack: ExitStack, preset: str, folder: Path, **environment: str) -> Collector:
    """Run a preset on free ports, in a folder of its own, until the stack is closed."""
    (folder / preset).mkdir()
    command = provtel("collector", "--config", f"preset:{preset}", "--set", "service.telemetry.metrics.level=none")
    return stack.enter_context(running(command, folder / preset, **ANYWHERE, **environment))


def send(address: str) -> set[str]:
    """Send spans by the stock SDK, and return their ids."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{address}/v1/traces")))
    tracer = provider.get_tracer("test")
    ids = set()
    for number in range(SPANS):
        with tracer.start_as_current_span(f"span {number}") as span:
            ids.add(f"{span.get_span_context().span_id:016x}")
    provider.shutdown()
    return ids


def wait_for(store: Path, ids: set[str]) -> None:
    """Return when all spans are in a store, each once."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = []
        if (store / "lmdb").exists():
            reader = open_reader(str(store))
            found = [record.plain["span_id"] for record in reader.find(Query())]
            reader.close()
        if ids <= set(found):
            assert len(found) == len(set(found))
            return
        assert time.monotonic() < deadline, f"{len(ids & set(found))} of {len(ids)}"
        time.sleep(0.1)


def test_edge_gateway_store(tmp_path: Path) -> None:
    """From an edge, over a gateway, to the embedded store."""
    store = tmp_path / "store"
    with ExitStack() as stack:
        last = start(stack, "embedded", tmp_path, PROVTEL_STORE=str(store))
        gateway = start(stack, "gateway", tmp_path, PROVTEL_COLLECTOR_UPSTREAM=last.addresses["otlp"])
        user = str(tmp_path / "user")
        edge = start(stack, "edge", tmp_path, PROVTEL_COLLECTOR_UPSTREAM=gateway.addresses["otlp"], XDG_STATE_HOME=user)
        wait_for(store, send(edge.addresses["otlp"]))
        assert [one.stop() for one in (edge, gateway, last)] == [0, 0, 0]


def test_kafka_consumer_store(kafka: Kafka, tmp_path: Path) -> None:
    """Through Kafka into the store of a member of a group."""
    brokers, store = f"[{kafka.address}]", tmp_path / "store"
    group = uuid.uuid4().hex
    with ExitStack() as stack:
        first = start(stack, "kafka", tmp_path, PROVTEL_KAFKA_BROKERS=brokers)
        ids = send(first.addresses["otlp"])
        variables = {"PROVTEL_KAFKA_BROKERS": brokers, "PROVTEL_KAFKA_GROUP": group, "PROVTEL_STORE": str(store)}
        last = start(stack, "consumer", tmp_path, **variables)
        wait_for(store, ids)
        assert [one.stop() for one in (first, last)] == [0, 0]


def wait_for_documents(address: str, ids: set[str]) -> None:
    """Return when all spans are in MongoDB, each once."""
    deadline = time.monotonic() + SECONDS
    with MongoClient[dict[str, Any]](address) as client:
        records = client.get_default_database()["records"]
        while not ids <= {*(found := [one["span_id"] for one in records.find({}, {"span_id": 1})])}:
            assert time.monotonic() < deadline, f"{len(ids & {*found})} of {len(ids)}"
            time.sleep(0.1)
    assert len(found) == len(set(found))


def test_mongodb(mongodb: Mongodb, tmp_path: Path) -> None:
    """From OTLP into MongoDB."""
    address = mongodb.new_database()
    with ExitStack() as stack:
        only = start(stack, "mongodb", tmp_path, PROVTEL_MONGODB_ENDPOINT=address)
        wait_for_documents(address, send(only.addresses["otlp"]))
        assert only.stop() == 0


def test_kafka_consumer_mongodb(kafka: Kafka, mongodb: Mongodb, tmp_path: Path) -> None:
    """Through Kafka into MongoDB, by two members of a group."""
    brokers, address, group = f"[{kafka.address}]", mongodb.new_database(), uuid.uuid4().hex
    variables = {
        "PROVTEL_KAFKA_BROKERS": brokers,
        "PROVTEL_KAFKA_GROUP": group,
        "PROVTEL_MONGODB_ENDPOINT": address,
    }
    with ExitStack() as stack:
        first = start(stack, "kafka", tmp_path, PROVTEL_KAFKA_BROKERS=brokers)
        ids = send(first.addresses["otlp"])
        (tmp_path / "other").mkdir()
        members = [
            start(stack, "mongodb_consumer", tmp_path, **variables),
            start(stack, "mongodb_consumer", tmp_path / "other", **variables),
        ]
        wait_for_documents(address, ids)
        assert [one.stop() for one in (first, *members)] == [0, 0, 0]
