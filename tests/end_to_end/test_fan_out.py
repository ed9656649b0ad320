"""One collector that feeds several: a destination that is away holds nobody up, and gets everything when it is back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_exporters.lmdb import open_reader
from provtel_exporters.mongodb import open_reader as open_mongodb
from provtel_exporters.otlp import otlp_http
from provtel_exporters.otlp.config import OtlpHttpConfig
from provtel_model.components import Batch, Context, Signal
from provtel_model.errors import RetryableError, StoreError
from provtel_model.filters import Query
from provtel_model.otlp import check
from provtel_model.settings import Duration

from tests.end_to_end.consumers import SECONDS, SPANS, ids, request_of
from tests.end_to_end.processes import Collector, Place, free_address, wait
from tests.services.found import Found
from tests.services.kafka.server import Kafka, running
from tests.services.kafka.topics import records
from tests.services.mongodb.server import running as running_mongodb

TOPIC = "otlp_spans"
SOON = {"initial_interval": "200ms", "max_interval": "500ms"}


def span_ids(payloads: Iterable[bytes]) -> set[str]:
    """Return the record ids of all spans."""
    return {
        f"{span.trace_id.hex()}-{span.span_id.hex()}"
        for payload in payloads
        for group in ExportTraceServiceRequest.FromString(payload).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    }


def fan_out(place: Place, kafka: Kafka, database: str) -> Collector:
    """Return a collector by the preset, with less patience, and its queue beside its store."""
    soon = {"retry_on_failure": SOON}
    more = {"exporters": {"kafka": {**soon, "timeout": "2s"}, "mongodb": soon}}
    (place.folder / "more.yaml").write_text(json.dumps(more))
    variables = {
        "PROVTEL_KAFKA_BROKERS": f"[{kafka.address}]",
        "PROVTEL_MONGODB_ENDPOINT": database,
        "PROVTEL_COLLECTOR_STATE": str(place.folder / "queue"),
        "PROVTEL_COLLECTOR_GRPC_ENDPOINT": free_address(),
        "PROVTEL_COLLECTOR_METRICS_PORT": free_address().rpartition(":")[2],
    }
    return Collector(place, ("--config", "preset:fanout", "--config", "more.yaml"), variables)


@dataclass(frozen=True)
class Destinations:
    """Where the collector sends to.

    Attributes:
        place: Where the embedded store is.
        kafka: Kafka.
        database: The address of MongoDB, with the database.
    """

    place: Place
    kafka: Kafka
    database: str

    def in_store(self) -> set[str]:
        """Return the ids in the embedded store."""
        with closing(open_reader(str(self.place.store))) as reader:
            return {record.id for record in reader.find(Query())}

    def in_mongodb(self) -> set[str]:
        """Return the ids in MongoDB."""
        try:
            with closing(open_mongodb(self.database)) as reader:
                return {record.id for record in reader.find(Query())}
        except StoreError:  # until the exporter has made it one
            return set()

    def in_kafka(self) -> set[str]:
        """Return the ids in Kafka."""
        return span_ids(record.value for record in records(self.kafka, TOPIC))


def was_taken(exporter: Any, batch: Batch) -> bool:
    """Send a request, and say whether it was acknowledged."""
    try:
        exporter.consume(batch)
    except RetryableError:
        return False
    return True


def send(exporter: Any, count: int, before: Sequence[int] = ()) -> list[int]:
    """Send so many more requests, each until it is acknowledged; return the first id of each."""
    firsts = [(len(before) + number) * SPANS for number in range(count)]
    for first in firsts:
        batch = check(Signal.TRACES, request_of(first))
        wait(lambda batch=batch: was_taken(exporter, batch), "an answer")  # type: ignore[misc]  # bound now
    return firsts


def wait_for(found: Callable[[], set[str]], expected: set[str], where: str) -> None:
    """Return when a destination has everything expected."""
    deadline = time.monotonic() + SECONDS
    while missing := expected - found():
        assert time.monotonic() < deadline, f"{len(missing)} of {len(expected)} are missing in {where}"
        time.sleep(0.2)


def test_one_that_is_away_holds_nobody_up(found_kafka: Found, found_durable_mongodb: Found, tmp_path: Path) -> None:
    """While one after the other is dead, senders are answered and the rest fed; at the end each has everything."""
    with ExitStack() as stack:
        kafka = stack.enter_context(running(found_kafka, tmp_path / "kafka"))
        mongodb = stack.enter_context(running_mongodb(found_durable_mongodb, tmp_path / "mongodb"))
        destinations = Destinations(Place(tmp_path), kafka, mongodb.new_database())
        collector = fan_out(destinations.place, kafka, destinations.database)
        stack.callback(collector.kill)
        collector.start()
        exporter = otlp_http.create(
            OtlpHttpConfig(endpoint=f"http://{collector.address}", timeout=Duration(10)),
            Context("otlp_http", {}, lambda *_: None),
        )
        exporter.start()
        stack.callback(exporter.shutdown)
        sent = send(exporter, 20)
        kafka.kill()
        sent += send(exporter, 40, sent)
        wait_for(destinations.in_store, ids(*sent), "the store")
        wait_for(destinations.in_mongodb, ids(*sent), "MongoDB")
        collector.kill()
        mongodb.kill()
        collector.start()
        sent += send(exporter, 40, sent)
        wait_for(destinations.in_store, ids(*sent), "the store")
        mongodb.start()
        wait_for(destinations.in_mongodb, ids(*sent), "MongoDB")
        kafka.start()
        wait_for(destinations.in_kafka, ids(*sent), "Kafka")

    assert not list(tmp_path.glob("queue/dead-letters/*"))
