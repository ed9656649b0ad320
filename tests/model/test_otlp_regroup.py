"""Requests that are cut into traces and resources."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_model.components import Batch, Signal
from provtel_model.otlp import check
from provtel_model.otlp.regroup import by_resource, by_trace, with_resource_attributes

NAMES: dict[Signal, tuple[Any, str, str, str]] = {
    Signal.TRACES: (ExportTraceServiceRequest, "resource_spans", "scope_spans", "spans"),
    Signal.METRICS: (ExportMetricsServiceRequest, "resource_metrics", "scope_metrics", "metrics"),
    Signal.LOGS: (ExportLogsServiceRequest, "resource_logs", "scope_logs", "log_records"),
}
SIZES = st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=3)


def request_of(signal: Signal, sizes: list[list[int]]) -> Batch:
    """Return a request with so many items in each scope of each resource, every one of them different."""
    kind, groups, scopes, items = NAMES[signal]
    request: Any = kind()
    number = 0
    for group_number, counts in enumerate(sizes):
        group = getattr(request, groups).add(schema_url=f"r{group_number}")
        group.resource.attributes.add(key="host").value.string_value = f"host {group_number}"
        for scope_number, count in enumerate(counts):
            scope = getattr(group, scopes).add(schema_url=f"s{scope_number}")
            scope.scope.name = f"scope {scope_number}"
            for _ in range(count):
                number += 1
                add_item(getattr(scope, items), number)
    return check(signal, request.SerializeToString())


def add_item(items: Any, number: int) -> None:
    """Add a span or a log record of one of three traces, or a metric of each kind with two points."""
    item = items.add()
    if not hasattr(item, "trace_id"):
        item.name = f"metric {number}"
        item.unit = "s"
        item.metadata.add(key="why").value.string_value = "test"
        data = [item.sum, item.gauge, item.histogram][number % 3]
        if data is item.sum:
            data.is_monotonic = True
        if data is not item.gauge:
            data.aggregation_temporality = 2
        for point in range(2):
            data.data_points.add(time_unix_nano=number * 10 + point)
        return
    item.trace_id = bytes([number % 3]) * 16
    item.span_id = number.to_bytes(8, "big")


def flat(batch: Batch) -> Counter[tuple[bytes, ...]]:
    """Return every item with everything around it, as bytes."""
    kind, groups, scopes, items = NAMES[batch.signal]
    found: Counter[tuple[bytes, ...]] = Counter()
    for group in getattr(kind.FromString(batch.payload), groups):
        for scope in getattr(group, scopes):
            around = (group.resource, group.schema_url, scope.scope, scope.schema_url)
            told = tuple(str(one).encode() for one in around)
            for item in getattr(scope, items):
                if batch.signal is not Signal.METRICS:
                    found[*told, item.SerializeToString()] += 1
                    continue
                for point in getattr(item, item.WhichOneof("data")).data_points:
                    alone = type(item)()
                    alone.CopyFrom(item)
                    data = getattr(alone, alone.WhichOneof("data"))
                    data.ClearField("data_points")
                    data.SetInParent()
                    found[*told, alone.SerializeToString(), point.SerializeToString()] += 1
    return found


@pytest.mark.parametrize("signal", [Signal.TRACES, Signal.LOGS])
@given(sizes=SIZES)
def test_each_trace_comes_once(signal: Signal, sizes: list[list[int]]) -> None:
    """Each trace of a request is one batch, of its items alone, and nothing is missing."""
    whole = replace(request_of(signal, sizes), metadata={"user": "me"})

    parts = by_trace(whole)

    kind, groups, scopes, items = NAMES[signal]
    assert sum((flat(part) for _, part in parts), Counter()) == flat(whole)
    assert len({trace_id for trace_id, _ in parts}) == len(parts)
    for trace_id, part in parts:
        found = [
            item.trace_id
            for group in getattr(kind.FromString(part.payload), groups)
            for scope in getattr(group, scopes)
            for item in getattr(scope, items)
        ]
        assert set(found) == {trace_id}
        assert part.items == len(found)
        assert part.metadata == whole.metadata


@pytest.mark.parametrize("signal", list(Signal))
@given(sizes=SIZES)
def test_each_resource_comes_once(signal: Signal, sizes: list[list[int]]) -> None:
    """Each resource with items is one batch, and nothing is missing."""
    whole = request_of(signal, sizes)

    parts = by_resource(whole)

    assert sum((flat(part) for _, part in parts), Counter()) == flat(whole)
    assert [part.items > 0 for _, part in parts] == [True for counts in sizes if sum(counts)]
    for resource, part in parts:
        (group,) = getattr(NAMES[signal][0].FromString(part.payload), NAMES[signal][1])
        assert group.resource == resource


@pytest.mark.parametrize("signal", list(Signal))
def test_resources_get_attributes(signal: Signal) -> None:
    """Each resource gets the attributes, in place of what it had under their names; nothing else changes."""
    whole = request_of(signal, [[1], [2, 1]])

    changed = with_resource_attributes(whole, {"host": "b", "site": "c"})

    kind, groups, *_ = NAMES[signal]
    before, after = (getattr(kind.FromString(one.payload), groups) for one in (whole, changed))
    for old, new in zip(before, after, strict=True):
        assert {pair.key: pair.value.string_value for pair in new.resource.attributes} == {"host": "b", "site": "c"}
        new.resource.CopyFrom(old.resource)
        assert new == old
    assert changed.items == whole.items
