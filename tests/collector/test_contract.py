"""Every component of ours keeps the contract that the suite checks, and the suite finds who does not."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from provtel_collector.registry import find_factories, find_factory
from provtel_collector.service import Service
from provtel_collector.testing import (
    SCENARIOS,
    Destination,
    Drive,
    Scenario,
    Send,
    check,
    from_receiver,
    ids_of,
    request,
    through,
    to_exporter,
)
from provtel_collector_config.ids import Kind
from provtel_collector_config.loading import load
from provtel_exporters.lmdb import open_reader
from provtel_model.components import ALL_SIGNALS, Batch, Context, Factory, Signal
from provtel_model.errors import PermanentError, RetryableError
from provtel_model.filters import Query

from tests.services.kafka.server import Kafka
from tests.services.kafka.topics import make_topic
from tests.services.redis import Redis

PROCESSORS: dict[str, dict[str, Any]] = {
    "attributes": {"actions": [{"key": "site", "action": "insert", "value": "x"}]},
    "batch": {"timeout": "20ms", "send_batch_size": 20, "send_batch_max_size": 30},
    "filter": {"traces": {"span": ['name == "other"']}},
    "memory_limiter": {"check_interval": "1s", "limit_mib": 100_000},
    "provenance": {},
    "redaction": {"allow_all_keys": True, "blocked_values": ["hunter2"]},
    "resource": {"attributes": [{"key": "site", "action": "insert", "value": "x"}]},
}


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("type_", PROCESSORS)
def test_processor(type_: str, scenario: Scenario) -> None:
    """Each processor gives on what it takes, and tells its sender what becomes of it."""
    check(through(find_factory(Kind.PROCESSORS, type_), PROCESSORS[type_]), scenario, cuts=type_ == "batch")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_forward(scenario: Scenario) -> None:
    """The connector does likewise."""
    check(through(find_factory(Kind.CONNECTORS, "forward")), scenario)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_routing(scenario: Scenario) -> None:
    """The connector that chooses a way sends everything one way or the other."""
    table = [{"context": "span", "condition": 'name == "item"', "pipelines": ["traces"]}]
    config = {"default_pipelines": ["traces"], "table": table}

    check(through(find_factory(Kind.CONNECTORS, "routing"), config, signals={Signal.TRACES}), scenario)


@pytest.mark.parametrize("signal", Signal)
def test_every_signal(signal: Signal) -> None:
    """What holds for spans holds for the other signals."""
    check(through(find_factory(Kind.PROCESSORS, "batch"), PROCESSORS["batch"]), "mixed", signal, cuts=True)


PATHS = {Signal.TRACES: "/v1/traces", Signal.METRICS: "/v1/metrics", Signal.LOGS: "/v1/logs"}


def poster(receiver: Any) -> Send:
    """Return what posts requests to a started `otlp` receiver and understands its answers."""
    (address,) = receiver.addresses

    def send(batch: Batch) -> None:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
        with closing(connection):
            connection.request("POST", PATHS[batch.signal], batch.payload, {"Content-Type": "application/x-protobuf"})
            status = connection.getresponse().status
        if status in {429, 503}:
            raise RetryableError(str(status))
        if status != http.HTTPStatus.OK:
            raise PermanentError(str(status))

    return send


OTLP = {"protocols": {"http": {"endpoint": "127.0.0.1:0"}}}


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("signal", Signal)
def test_otlp_receiver(scenario: Scenario, signal: Signal) -> None:
    """Whoever sends by OTLP is told what became of each request."""
    check(from_receiver(find_factory(Kind.RECEIVERS, "otlp"), OTLP, poster), scenario, signal, batches=30)


@contextmanager
def otlp_server(destination: Destination) -> Iterator[Mapping[str, Any]]:
    """Run an `otlp` receiver in front of a destination."""
    factory = find_factory(Kind.RECEIVERS, "otlp")
    found: list[str] = []

    def note(receiver: Any) -> Send:
        found.extend(receiver.addresses)
        return destination.consume

    with from_receiver(factory, OTLP, note)(destination):
        yield {"endpoint": found[0]}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_otlp_http_exporter(scenario: Scenario) -> None:
    """The exporter tells a refusal for now from one for good."""
    check(to_exporter(find_factory(Kind.EXPORTERS, "otlp_http"), otlp_server), scenario, batches=30)


GRPC = {"protocols": {"grpc": {"endpoint": "127.0.0.1:0"}}}


@contextmanager
def grpc_server(destination: Destination) -> Iterator[Mapping[str, Any]]:
    """Run an `otlp` receiver that speaks gRPC in front of a destination."""
    found: list[str] = []

    def note(receiver: Any) -> Send:
        found.extend(receiver.addresses)
        return destination.consume

    with from_receiver(find_factory(Kind.RECEIVERS, "otlp"), GRPC, note)(destination):
        yield {"endpoint": found[0].removeprefix("grpc://"), "tls": {"insecure": True}}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_otlp_grpc_exporter_and_receiver(scenario: Scenario) -> None:
    """By gRPC likewise, from the exporter to the receiver."""
    check(to_exporter(find_factory(Kind.EXPORTERS, "otlp_grpc"), grpc_server), scenario, batches=30)


def whole_collector(folder: Path, queue: Mapping[str, Any]) -> Drive:
    """Return a drive through a collector with a queue: from its receiver over the network to another one's."""

    @contextmanager
    def drive(destination: Destination) -> Iterator[Send]:
        with otlp_server(destination) as upstream:
            document = {
                "receivers": {"otlp": OTLP},
                "exporters": {
                    "otlp_http": {
                        **upstream,
                        "sending_queue": queue,
                        "retry_on_failure": {"initial_interval": "5ms", "max_interval": "20ms"},
                    }
                },
                "extensions": {"file_storage": {"directory": str(folder / "queue"), "create_directory": True}},
                "service": {
                    "extensions": ["file_storage"],
                    "telemetry": {"metrics": {"level": "none"}},
                    "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]}},
                },
            }
            (folder / "collector.yaml").write_text(json.dumps(document))
            configuration = load([str(folder / "collector.yaml")], find_factories())
            with Service(configuration) as service:
                (address,) = service.addresses("otlp")
                yield poster(SimpleNamespace(addresses=(address,)))
                wait_for_items(destination, 30 * 7)

    return drive


def wait_for_items(destination: Destination, count: int) -> None:
    """Return when the destination has taken, or refused for good, so many items."""
    deadline = time.monotonic() + 60
    while len(destination.accepted.keys() | destination.refused) < count:
        assert time.monotonic() < deadline, len(destination.accepted)
        time.sleep(0.05)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_queue_in_memory(scenario: Scenario, tmp_path: Path) -> None:
    """Before a queue in memory, what is taken arrives, or is put aside item by item."""
    check(whole_collector(tmp_path, {}), scenario, batches=30, tells=False, cuts=True)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_queue_on_disk(scenario: Scenario, tmp_path: Path) -> None:
    """Before a queue on the disk likewise; the destination is asked again until it answers."""
    check(whole_collector(tmp_path, {"storage": "file_storage"}), scenario, batches=30, tells=False, cuts=True)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_batches_in_the_queue(scenario: Scenario, tmp_path: Path) -> None:
    """Requests that are put together and cut anew on their way arrive all the same."""
    together = {"flush_timeout": "10ms", "min_size": 20, "max_size": 30}
    queue = {"storage": "file_storage", "batch": together}

    check(whole_collector(tmp_path, queue), scenario, batches=30, tells=False, cuts=True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets that kafka-python forgets
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_kafka_exporter_and_receiver(scenario: Scenario, kafka: Kafka) -> None:
    """Through real Kafka, what the exporter was told is there comes out at the receiver, whatever is refused there."""
    topic, group = make_topic(kafka, 3), uuid.uuid4().hex
    soon = {"enabled": True, "initial_interval": "20ms", "max_interval": "50ms"}
    behind = {
        "brokers": [kafka.address],
        "group_id": group,
        "initial_offset": "earliest",
        "error_backoff": soon,
        "traces": {"topics": [topic]},
    }

    @contextmanager
    def broker(destination: Destination) -> Iterator[Mapping[str, Any]]:
        factory = find_factory(Kind.RECEIVERS, "kafka")
        with from_receiver(factory, behind, lambda _: destination.consume)(destination):
            yield {"brokers": [kafka.address], "traces": {"topic": topic}}
            wait_for_items(destination, 30 * 7)

    check(to_exporter(find_factory(Kind.EXPORTERS, "kafka"), broker), scenario, batches=30, tells=False)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_redis_exporter_and_receiver(scenario: Scenario, redis: Redis) -> None:
    """Through real Redis likewise."""
    soon = {"initial_interval": "20ms", "max_interval": "50ms"}

    @contextmanager
    def server(destination: Destination) -> Iterator[Mapping[str, Any]]:
        factory = find_factory(Kind.RECEIVERS, "redis")
        behind = {"endpoint": redis.address, "error_backoff": soon}
        with from_receiver(factory, behind, lambda _: destination.consume)(destination):
            yield {"endpoint": redis.address}
            wait_for_items(destination, 30 * 7)

    check(to_exporter(find_factory(Kind.EXPORTERS, "redis"), server), scenario, batches=30, tells=False)


def test_file_exporter_and_receiver(tmp_path: Path) -> None:
    """What is written to a file is read from it again, once."""
    file = tmp_path / "spans.jsonl"

    @contextmanager
    def reading(destination: Destination) -> Iterator[Mapping[str, Any]]:
        yield {"path": str(file), "flush_interval": "50ms"}
        factory = find_factory(Kind.RECEIVERS, "otlp_json_file")
        config = {"include": [str(file)], "start_at": "beginning", "poll_interval": "50ms"}
        with from_receiver(factory, config, lambda _: destination.consume)(destination):
            wait_for_items(destination, 60 * 7)

    check(to_exporter(find_factory(Kind.EXPORTERS, "file"), reading), "always ok")


def test_lmdb_exporter(tmp_path: Path) -> None:
    """What the store was given is in it, once."""

    @contextmanager
    def store(destination: Destination) -> Iterator[Mapping[str, Any]]:
        yield {"store": str(tmp_path)}
        with closing(open_reader(str(tmp_path))) as reader:
            destination.accepted.update(int(record.plain["span_id"], 16) for record in reader.find(Query()))

    check(to_exporter(find_factory(Kind.EXPORTERS, "lmdb"), store), "always ok")


@dataclass(frozen=True)
class NoConfig:
    """Nothing to say."""


class Misbehaving:
    """A processor that does one thing wrong.

    Args:
        context: Where it stands.
        deed: What it does with a batch instead of giving it on.
    """

    def __init__(self, context: Context, deed: Callable[[Batch, Send], None]) -> None:
        self.context = context
        self.deed = deed

    def start(self) -> None:
        """Do nothing."""

    def consume(self, batch: Batch) -> None:
        """Do wrong."""
        self.deed(batch, self.context.next[batch.signal].consume)

    def shutdown(self) -> None:
        """Do nothing."""


def drop_some(batch: Batch, send: Send) -> None:
    """Drop every seventh batch."""
    if ids_of(batch)[0] % 7:
        send(batch)


def swallow(batch: Batch, send: Send) -> None:
    """Take a refusal for success."""
    try:
        send(batch)
    except (RetryableError, PermanentError):
        return


def send_twice(batch: Batch, send: Send) -> None:
    """Send everything twice."""
    send(batch)
    send(batch)


def invent(batch: Batch, send: Send) -> None:
    """Send what nobody sent."""
    send(batch)
    send(request(batch.signal, [10**6 + ids_of(batch)[0]]))


def refuse_after(batch: Batch, send: Send) -> None:
    """Refuse for good what was taken."""
    send(batch)
    raise PermanentError


@pytest.mark.parametrize(
    ("deed", "scenario", "message"),
    [
        (drop_some, "always ok", "got lost"),
        (swallow, "retryable", "got lost"),
        (swallow, "permanent", "not told"),
        (send_twice, "always ok", "arrived twice"),
        (invent, "always ok", "nobody sent"),
        (refuse_after, "always ok", "taken and refused"),
    ],
)
def test_suite_finds(deed: Callable[[Batch, Send], None], scenario: Scenario, message: str) -> None:
    """A component that loses, hides, repeats or invents is found."""

    def create(_config: NoConfig, context: Context) -> Misbehaving:
        return Misbehaving(context, deed)

    wrong: Drive = through(Factory("wrong", NoConfig, create, ALL_SIGNALS))

    with pytest.raises(AssertionError, match=message):
        check(wrong, scenario, items=1)
