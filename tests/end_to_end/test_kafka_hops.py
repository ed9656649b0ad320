"""Kafka between the OpenTelemetry Collector and us, either way round: what goes in comes out."""

from __future__ import annotations

import http.client
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_collector.receivers.kafka import factory as receiver_factory
from provtel_collector.receivers.kafka.config import KafkaConfig as ReceiverConfig
from provtel_collector.receivers.kafka.config import SignalTopics
from provtel_exporters.kafka import factory as exporter_factory
from provtel_exporters.kafka.config import KafkaConfig as ExporterConfig
from provtel_exporters.kafka.config import Producer, RecordPartitioner, RoundRobin, SignalTopic, StickyKey
from provtel_model.components import Batch, Context, Signal
from provtel_model.kafka import Encoding
from provtel_model.otlp import check, from_json

from tests.collector.parts import Recorder
from tests.services.found import Found
from tests.services.kafka.server import Kafka
from tests.services.kafka.topics import make_topic, records
from tests.services.otelcol.server import free_ports, running_as

Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
VARIANTS: list[tuple[Encoding, Compression]] = [
    *(("otlp_proto", compression) for compression in COMPRESSIONS),
    ("otlp_json", "none"),
]
SECONDS = 30
REQUESTS: dict[Signal, type[Message]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}


def request_of(signal: Signal, name: str) -> Batch:
    """Return a request that has something of every kind, and a name by which it is told from others."""
    request: Any = REQUESTS[signal]()
    if signal is Signal.TRACES:
        group = request.resource_spans.add(schema_url="https://opentelemetry.io/schemas/1.44.0")
        scope = group.scope_spans.add()
        span = scope.spans.add(name=name, trace_id=bytes(range(16)), span_id=b"12345678", kind=2, flags=1)
        span.parent_span_id, span.trace_state = b"87654321", "a=b"
        span.start_time_unix_nano, span.end_time_unix_nano = 10**18 + 1, 10**18 + 2
        _attributes(span.attributes)
        _attributes(span.events.add(name="seen", time_unix_nano=10**18 + 1).attributes)
        _attributes(span.links.add(trace_id=b"t" * 16, span_id=b"s" * 8).attributes)
        span.status.code, span.status.message = 2, "it failed"
    elif signal is Signal.METRICS:
        group = request.resource_metrics.add()
        scope = group.scope_metrics.add()
        total = scope.metrics.add(name=name, unit="By").sum
        total.is_monotonic, total.aggregation_temporality = True, 2
        point = total.data_points.add(as_int=2**40, time_unix_nano=10**18)
        _attributes(point.attributes)
        buckets = scope.metrics.add(name="buckets").histogram
        buckets.aggregation_temporality = 1
        buckets.data_points.add(count=3, sum=1.5, bucket_counts=[1, 2], explicit_bounds=[0.5], time_unix_nano=10**18)
        scope.metrics.add(name="level").gauge.data_points.add(as_double=0.1, time_unix_nano=10**18)
    else:
        group = request.resource_logs.add()
        scope = group.scope_logs.add()
        record = scope.log_records.add(event_name=name, time_unix_nano=10**18, severity_number=9, trace_id=b"t" * 16)
        record.body.kvlist_value.values.add(key="deep").value.array_value.values.add().int_value = -1
        _attributes(record.attributes)
    _attributes(group.resource.attributes)
    scope.scope.name, scope.scope.version = "provtel", "1"
    return check(signal, request.SerializeToString())


def _attributes(pairs: Any) -> None:
    pairs.add(key="text").value.string_value = "ünï\n"
    pairs.add(key="yes").value.bool_value = True
    pairs.add(key="whole").value.int_value = -(2**60)
    pairs.add(key="part").value.double_value = 0.1
    pairs.add(key="raw").value.bytes_value = b"\x00\xff"


def message_of(signal: Signal, payload: bytes) -> Message:
    """Return a request as a message, which compares whatever the order of its fields on the wire."""
    return REQUESTS[signal].FromString(payload)


def topic_of(run: str, signal: Signal, *others: str) -> str:
    """Return the name of a topic of this test."""
    return "-".join((run, signal, *others))


def post(port: int, batch: Batch) -> None:
    """Send a request by HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection.request("POST", f"/v1/{batch.signal}", batch.payload, {"Content-Type": "application/x-protobuf"})
    assert connection.getresponse().status == 200
    connection.close()


@contextmanager
def exporting(config: ExporterConfig) -> Iterator[Any]:
    """Run our exporter."""
    exporter = exporter_factory.create(config, Context("kafka", {}, lambda *_: None))
    exporter.start()
    try:
        yield exporter
    finally:
        exporter.shutdown()


def test_from_otelcol_to_us(kafka: Kafka, found_otelcol: Found, tmp_path: Path) -> None:
    """We read what the OpenTelemetry Collector writes: every signal, in every encoding, by every compression."""
    run = uuid.uuid4().hex[:8]
    (port,) = free_ports(1)
    exporters = {
        f"kafka/{encoding}_{compression}": {
            "brokers": [kafka.address],
            "producer": {"compression": compression},
            **{
                str(signal): {"topic": topic_of(run, signal, encoding, compression), "encoding": encoding}
                for signal in Signal
            },
        }
        for encoding, compression in VARIANTS
    }
    pipeline = {"receivers": ["otlp"], "exporters": list(exporters)}
    document = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": exporters,
        "service": {"pipelines": {str(signal): pipeline for signal in Signal}},
    }
    sent = {signal: request_of(signal, "hop") for signal in Signal}
    recorders = {encoding: {signal: Recorder() for signal in Signal} for encoding in ENCODINGS}

    with running_as(found_otelcol, tmp_path, document), ExitStack() as stack:
        for batch in sent.values():
            post(port, batch)
        for encoding in ENCODINGS:
            sources: dict[str, Any] = {
                str(signal): SignalTopics(
                    tuple(topic_of(run, signal, *variant) for variant in VARIANTS if variant[0] == encoding),
                    encoding=encoding,
                )
                for signal in Signal
            }
            config = ReceiverConfig(
                brokers=(kafka.address,), group_id=f"{run}-{encoding}", initial_offset="earliest", **sources
            )
            receiver = receiver_factory.create(config, Context("kafka", recorders[encoding], lambda *_: None))
            receiver.start()
            stack.callback(receiver.shutdown)
        _wait_for(recorders["otlp_proto"], len(COMPRESSIONS))
        _wait_for(recorders["otlp_json"], 1)

    for by_signal in recorders.values():
        for signal, recorder in by_signal.items():
            for batch in recorder.batches:
                assert message_of(signal, batch.payload) == message_of(signal, sent[signal].payload)
                assert batch.items == sent[signal].items


def test_one_group_of_both(kafka: Kafka, found_otelcol: Found, tmp_path: Path) -> None:
    """The OpenTelemetry Collector and we can be members of one group: each gets a share, and nothing is left out."""
    run = uuid.uuid4().hex[:8]
    topic = make_topic(kafka, 4)
    common = {"brokers": [kafka.address], "group_id": run, "initial_offset": "earliest"}
    document = {
        "receivers": {"kafka": {**common, "traces": {"topics": [topic]}}},
        "exporters": {"file": {"path": str(tmp_path / "traces.jsonl"), "flush_interval": "50ms"}},
        "service": {"pipelines": {"traces": {"receivers": ["kafka"], "exporters": ["file"]}}},
    }
    config = ReceiverConfig(
        brokers=(kafka.address,), group_id=run, initial_offset="earliest", traces=SignalTopics((topic,))
    )
    ours = Recorder()
    sent: set[str] = set()
    receiver = receiver_factory.create(config, Context("kafka", {Signal.TRACES: ours}, lambda *_: None))

    def names(payloads: list[bytes]) -> set[str]:
        requests = map(ExportTraceServiceRequest.FromString, payloads)
        return {one.resource_spans[0].scope_spans[0].spans[0].name for one in requests}

    def theirs() -> set[str]:
        file = tmp_path / "traces.jsonl"
        lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
        return names([from_json(Signal.TRACES, line) for line in lines])

    with running_as(found_otelcol, tmp_path, document), exporting(_round_robin(kafka, topic)) as exporter:
        receiver.start()
        try:
            deadline = time.monotonic() + SECONDS
            while len(ours.batches) < 10 or len(theirs()) < 10:
                assert time.monotonic() < deadline, f"{len(ours.batches)} here, {len(theirs())} there"
                name = f"span {len(sent)}"
                exporter.consume(request_of(Signal.TRACES, name))
                sent.add(name)
                time.sleep(0.02)
            while names([one.payload for one in ours.batches]) | theirs() != sent:
                assert time.monotonic() < deadline, "some are missing"
                time.sleep(0.1)
        finally:
            receiver.shutdown()


def _round_robin(kafka: Kafka, topic: str) -> ExporterConfig:
    partitioner = RecordPartitioner(round_robin=RoundRobin())
    return ExporterConfig(brokers=(kafka.address,), traces=SignalTopic(topic), record_partitioner=partitioner)


def _wait_for(recorders: dict[Signal, Recorder], count: int) -> None:
    deadline = time.monotonic() + SECONDS
    while any(len(recorder.batches) < count for recorder in recorders.values()):
        assert time.monotonic() < deadline, {signal: len(one.batches) for signal, one in recorders.items()}
        time.sleep(0.05)


def test_from_us_to_otelcol(kafka: Kafka, found_otelcol: Found, tmp_path: Path) -> None:
    """The OpenTelemetry Collector reads what we write: every signal, in every encoding, by every compression."""
    run = uuid.uuid4().hex[:8]
    sent: dict[Signal, list[Message]] = {signal: [] for signal in Signal}
    for encoding, compression in VARIANTS:
        goals: dict[str, Any] = {
            str(signal): SignalTopic(topic_of(run, signal, encoding), encoding) for signal in Signal
        }
        producer = Producer(compression=compression)
        with exporting(ExporterConfig(brokers=(kafka.address,), producer=producer, **goals)) as exporter:
            for signal in Signal:
                batch = request_of(signal, f"{encoding} {compression}")
                exporter.consume(batch)
                sent[signal].append(message_of(signal, batch.payload))
    document = {
        "receivers": {
            f"kafka/{encoding}": {
                "brokers": [kafka.address],
                "group_id": f"{run}-{encoding}",
                "initial_offset": "earliest",
                **{
                    str(signal): {"topics": [topic_of(run, signal, encoding)], "encoding": encoding}
                    for signal in Signal
                },
            }
            for encoding in ENCODINGS
        },
        "exporters": {
            f"file/{signal}": {"path": str(tmp_path / f"{signal}.jsonl"), "flush_interval": "50ms"} for signal in Signal
        },
        "service": {
            "pipelines": {
                str(signal): {
                    "receivers": [f"kafka/{encoding}" for encoding in ENCODINGS],
                    "exporters": [f"file/{signal}"],
                }
                for signal in Signal
            }
        },
    }

    with running_as(found_otelcol, tmp_path, document):
        found = {signal: _lines(tmp_path / f"{signal}.jsonl", len(sent[signal])) for signal in Signal}

    for signal in Signal:
        messages = [message_of(signal, from_json(signal, line)) for line in found[signal]]
        assert sorted(map(str, messages)) == sorted(map(str, sent[signal]))


def _lines(file: Path, count: int) -> list[bytes]:
    deadline = time.monotonic() + SECONDS
    while True:
        lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
        if len(lines) >= count:
            return lines
        assert time.monotonic() < deadline, f"{len(lines)} of {count} in {file}"
        time.sleep(0.05)


@pytest.mark.parametrize("hasher", ["sarama_compat", "murmur2"])
def test_keys_go_to_the_same_partitions(
    kafka: Kafka, found_otelcol: Found, tmp_path: Path, hasher: Literal["sarama_compat", "murmur2"]
) -> None:
    """A trace has the same key, and goes to the same partition, whichever of the two sends it."""
    ours, theirs = make_topic(kafka, 7), make_topic(kafka, 7)
    # Every partition answers; the OpenTelemetry Collector comes back only after ten seconds to one that did not.
    assert records(kafka, theirs) == []
    (port,) = free_ports(1)
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(40):
        spans.add(name="a", trace_id=uuid.uuid4().bytes, span_id=number.to_bytes(8, "big"))
    batch = check(Signal.TRACES, request.SerializeToString())
    document = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {
            "kafka": {
                "brokers": [kafka.address],
                "traces": {"topic": theirs},
                "partition_traces_by_id": True,
                "record_partitioner": {"sticky_key": {"hasher": hasher}},
            }
        },
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["kafka"]}}},
    }
    config = ExporterConfig(
        brokers=(kafka.address,),
        traces=SignalTopic(ours),
        partition_traces_by_id=True,
        record_partitioner=RecordPartitioner(sticky_key=StickyKey(hasher)),
    )

    with running_as(found_otelcol, tmp_path, document), exporting(config) as exporter:
        post(port, batch)
        exporter.consume(batch)
        deadline = time.monotonic() + SECONDS
        while len(records(kafka, theirs)) < 40 and time.monotonic() < deadline:
            time.sleep(0.1)

    def places(topic: str) -> dict[bytes, int]:
        return {record.key: record.partition for record in records(kafka, topic)}

    assert len(places(ours)) == 40
    assert places(ours) == places(theirs)
