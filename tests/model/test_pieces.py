"""Requests are put together and cut as bytes, and no item is lost, doubled or changed by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from provtel_model.components import Batch, Signal
from provtel_model.errors import MalformedError
from provtel_model.otlp import check
from provtel_model.otlp.pieces import Measure, merge, split

from tests.model.strategies import LOG_REQUESTS, TRACE_REQUESTS

REQUESTS: dict[Signal, Any] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}
KINDS = {
    "gauge": (Gauge, NumberDataPoint),
    "sum": (Sum, NumberDataPoint),
    "histogram": (Histogram, HistogramDataPoint),
    "exponential_histogram": (ExponentialHistogram, ExponentialHistogramDataPoint),
    "summary": (Summary, SummaryDataPoint),
}
WAYS = [
    *("resource_spans", "scope_spans", "spans"),
    *("resource_logs", "scope_logs", "log_records"),
    *("resource_metrics", "scope_metrics", "metrics", *KINDS, "data_points"),
]
NAMES = st.text("abc", max_size=3)


@st.composite
def metrics(draw: st.DrawFn) -> Metric:
    """Any metric, with any number of data points."""
    metric = Metric(name=draw(NAMES), unit=draw(NAMES), metadata=[KeyValue(key="k")] * draw(st.integers(0, 1)))
    kind = draw(st.sampled_from([*KINDS, None]))
    if kind is not None:
        data, point = KINDS[kind]
        times = draw(st.lists(st.integers(0, 2**63), max_size=5))
        made = data(data_points=[point(time_unix_nano=time) for time in times])
        if kind == "sum":
            made.is_monotonic = draw(st.booleans())
        getattr(metric, kind).CopyFrom(made)
    return metric


METRIC_REQUESTS = st.builds(
    ExportMetricsServiceRequest,
    resource_metrics=st.lists(
        st.builds(
            ResourceMetrics,
            resource=st.builds(Resource, dropped_attributes_count=st.integers(0, 2)),
            schema_url=NAMES,
            scope_metrics=st.lists(
                st.builds(ScopeMetrics, schema_url=NAMES, metrics=st.lists(metrics(), max_size=4)), max_size=3
            ),
        ),
        max_size=3,
    ),
)
BATCHES = (
    TRACE_REQUESTS.map(lambda request: check(Signal.TRACES, request.SerializeToString()))
    | LOG_REQUESTS.map(lambda request: check(Signal.LOGS, request.SerializeToString()))
    | METRIC_REQUESTS.map(lambda request: check(Signal.METRICS, request.SerializeToString()))
)


def items(batch: Batch) -> list[tuple[bytes, ...]]:
    """Return every item of a batch with all that it is in, as generated classes read it."""
    return list(below(REQUESTS[batch.signal].FromString(batch.payload)))


def below(message: Message, inside: tuple[bytes, ...] = ()) -> Iterator[tuple[bytes, ...]]:
    """Yield every item in a message with what it is in; a message without items stands for itself."""
    names = {field.name for field, _ in message.ListFields()}
    for name in WAYS:
        if name in names:
            value = getattr(message, name)
            own = type(message)()
            own.CopyFrom(message)
            own.ClearField(name)
            children = [value] if isinstance(value, Message) else list(value)
            for child in children:
                yield from below(child, (*inside, own.SerializeToString(deterministic=True)))
            return
    yield (*inside, message.SerializeToString(deterministic=True))


@settings(max_examples=40)
@given(BATCHES, st.integers(1, 6))
def test_split_by_items(batch: Batch, most: int) -> None:
    """No piece has more items than asked for, and together they have every item where and as it was, in order."""
    pieces = split(batch, most)

    assert all(piece.items <= most for piece in pieces)
    assert [check(batch.signal, piece.payload).items for piece in pieces] == [piece.items for piece in pieces]
    assert sum(piece.items for piece in pieces) == batch.items
    assert [item for piece in pieces for item in items(piece)] == items(batch)


@settings(max_examples=40)
@given(BATCHES, st.integers(1, 300))
def test_split_by_bytes(batch: Batch, most: int) -> None:
    """No piece with several items is longer than asked for, and together they have every item as it was."""
    pieces = split(batch, most, "bytes")

    assert all(len(piece.payload) <= most for piece in pieces if len(items(piece)) > 1)
    assert [item for piece in pieces for item in items(piece)] == items(batch)


@settings(max_examples=40)
@given(BATCHES, st.integers(1, 6), st.sampled_from(["items", "bytes"]))
def test_merge_undoes_split(batch: Batch, most: int, measure: Measure) -> None:
    """What was cut is whole again when it is put together."""
    merged = merge(split(batch, most, measure))

    assert merged.items == batch.items
    assert items(merged) == items(batch)


@settings(max_examples=40)
@given(st.lists(TRACE_REQUESTS.filter(lambda request: bool(request.ByteSize())), min_size=1, max_size=4))
def test_merge(requests: list[Message]) -> None:
    """A merged batch has the items of all, in their order."""
    batches = [check(Signal.TRACES, request.SerializeToString()) for request in requests]

    merged = merge(batches)

    assert merged == check(Signal.TRACES, merged.payload)
    assert items(merged) == [item for batch in batches for item in items(batch)]


def test_small_batches_stay_as_they_are() -> None:
    """What needs not be cut or put together is the same object."""
    batch = Batch(Signal.TRACES, b"never looked at", 3)

    assert split(batch, 3) == [batch]
    assert split(batch, 15, "bytes") == [batch]
    assert merge([batch]) is batch


def test_fields_that_are_not_known_stay_where_they_are() -> None:
    """What a later version of OTLP adds, on any level and of any wire type, is kept."""
    unknown = b"\x80\x7d\x01" + b"\x81\x7d12345678" + b"\x85\x7d1234" + b"\x82\x7d\x01x" + b"\x83\x7d\x08\x01\x84\x7d"
    span = b"\x2a\x01n" + unknown
    scope = b"".join([b"\x12", bytes([len(span)]), span]) * 2 + unknown
    group = b"\x12" + bytes([len(scope)]) + scope + unknown
    payload = b"\x0a" + bytes([len(group) % 128 | 128, len(group) // 128]) + group
    batch = check(Signal.TRACES, payload)

    pieces = split(batch, 1)

    assert [piece.items for piece in pieces] == [1, 1]
    assert [piece.payload.count(unknown) for piece in pieces] == [3, 3]
    assert all(check(Signal.TRACES, piece.payload).items == 1 for piece in pieces)


@pytest.mark.parametrize("payload", [b"\x0a", b"\x0a\x05ab", b"\x0f", b"\x09123", b"\x0b\x08", b"\x80"])
def test_bytes_that_are_no_request(payload: bytes) -> None:
    """What is no message is refused, not cut somewhere."""
    with pytest.raises(MalformedError):
        split(Batch(Signal.TRACES, payload, 2), 1)
