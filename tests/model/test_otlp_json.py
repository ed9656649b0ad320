"""OTLP in JSON: what others write is read, what we write others read, and what is wrong is told with its place."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_model.components import Signal
from provtel_model.errors import MalformedError
from provtel_model.otlp import check, from_json, to_json

from tests.memory import growth
from tests.model.strategies import LOG_REQUESTS, TRACE_REQUESTS

TRACES = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]},
            "scopeSpans": [
                {
                    "scope": {"name": "my.library", "version": "1.0.0"},
                    "spans": [
                        {
                            "traceId": "5B8EFFF798038103D269B633813FC60C",
                            "spanId": "EEE19B7EC3C1B174",
                            "parentSpanId": "EEE19B7EC3C1B173",
                            "name": "I'm a server span",
                            "startTimeUnixNano": "1544712660000000000",
                            "endTimeUnixNano": 1544712661000000000,
                            "kind": 2,
                            "status": {"code": 2, "message": "no"},
                            "droppedAttributesCount": 1,
                            "flags": 257,
                            "unknownField": {"is": ["ignored"]},
                            "attributes": [
                                {"key": "int", "value": {"intValue": "-9223372036854775808"}},
                                {"key": "small", "value": {"intValue": 3}},
                                {"key": "zero", "value": {"intValue": "0"}},
                                {"key": "no", "value": {"boolValue": False}},
                                {"key": "float", "value": {"doubleValue": 1}},
                                {"key": "nan", "value": {"doubleValue": "NaN"}},
                                {"key": "bytes", "value": {"bytesValue": "_-8"}},
                                {"key": "none", "value": {}},
                                {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "ä"}]}}},
                                {"key": "empty", "value": {"arrayValue": {}}},
                                {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": None}]}}},
                            ],
                            "events": [{"timeUnixNano": "1", "name": "event"}],
                            "links": [{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": ""}],
                        }
                    ],
                }
            ],
        }
    ]
}


def parse(signal: Signal, content: Any) -> Any:
    """Return the message that a request in JSON is."""
    kinds: dict[Signal, Any] = {
        Signal.TRACES: ExportTraceServiceRequest,
        Signal.METRICS: ExportMetricsServiceRequest,
        Signal.LOGS: ExportLogsServiceRequest,
    }
    return kinds[signal].FromString(from_json(signal, json.dumps(content).encode()))


def test_trace_of_the_specification() -> None:
    """Hexadecimal ids of either case, numbers as text or not, every kind of value, and unknown fields are read."""
    span = parse(Signal.TRACES, TRACES).resource_spans[0].scope_spans[0].spans[0]
    values = {pair.key: pair.value for pair in span.attributes}

    assert span.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert (span.span_id.hex(), span.parent_span_id.hex()) == ("eee19b7ec3c1b174", "eee19b7ec3c1b173")
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1544712660000000000, 1544712661000000000)
    assert (span.kind, span.status.code, span.flags, span.dropped_attributes_count) == (2, 2, 257, 1)
    assert values["int"].int_value == -(2**63)
    assert values["zero"].WhichOneof("value") == "int_value"
    assert values["no"].WhichOneof("value") == "bool_value"
    assert values["float"].double_value == 1.0
    assert math.isnan(values["nan"].double_value)
    assert values["bytes"].bytes_value == b"\xff\xef"
    assert values["none"].WhichOneof("value") is None
    assert values["list"].array_value.values[0].string_value == "ä"
    assert values["empty"].WhichOneof("value") == "array_value"
    assert values["map"].kvlist_value.values[0].key == "k"
    assert span.links[0].span_id == b""


def test_metrics_of_the_specification() -> None:
    """Sums, gauges and histograms are read, with buckets as text."""
    point = {"timeUnixNano": "1", "asInt": "5"}
    histogram = {"count": "3", "sum": 2.5, "bucketCounts": ["1", "2"], "explicitBounds": [1], "timeUnixNano": "2"}
    metrics = [
        {"name": "a", "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]}},
        {"name": "b", "gauge": {"dataPoints": [{"asDouble": 1.5, "timeUnixNano": "1"}]}},
        {"name": "c", "histogram": {"aggregationTemporality": 2, "dataPoints": [histogram]}},
    ]
    content = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}

    read = parse(Signal.METRICS, content).resource_metrics[0].scope_metrics[0].metrics

    assert read[0].sum.data_points[0].as_int == 5
    assert read[0].sum.is_monotonic
    assert list(read[2].histogram.data_points[0].bucket_counts) == [1, 2]
    assert check(Signal.METRICS, from_json(Signal.METRICS, json.dumps(content).encode())).items == 3
    assert json.loads(to_json(Signal.METRICS, from_json(Signal.METRICS, json.dumps(content).encode()))) == content


def test_writes_as_others_read() -> None:
    """Ids are lower-case hexadecimal, enums numbers, 64-bit integers text, defaults left out."""
    content = {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {
                        "logRecords": [
                            {
                                "timeUnixNano": "5",
                                "severityNumber": 9,
                                "body": {"bytesValue": "AAE="},
                                "attributes": [{"key": "x", "value": {"doubleValue": "-Infinity"}}],
                                "traceId": "00000000000000000000000000000001",
                            }
                        ]
                    }
                ]
            }
        ]
    }

    assert json.loads(to_json(Signal.LOGS, from_json(Signal.LOGS, json.dumps(content).encode()))) == content


@given(TRACE_REQUESTS | LOG_REQUESTS)
@settings(max_examples=40)
def test_any_request_comes_back(request: Message) -> None:
    """A request written as JSON and read again is the same; of a NaN only that it is one."""
    signal = Signal.TRACES if isinstance(request, ExportTraceServiceRequest) else Signal.LOGS

    again = type(request).FromString(from_json(signal, to_json(signal, request.SerializeToString())))

    assert str(again) == str(request)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the body is no JSON"),
        (b"\xff", "the body is no JSON"),
        (b"[]", "expected an object"),
        (b'{"resourceSpans": {}}', "resourceSpans: expected an array"),
        (b'{"resourceSpans": [1]}', r"resourceSpans\[0\]: expected an object"),
        (span_with := b'{"resourceSpans":[{"scopeSpans":[{"spans":[{%s}]}]}]}', "the body is no JSON"),
        (span_with % b'"traceId":"zz"', r"resourceSpans\[0\].scopeSpans\[0\].spans\[0\].traceId: expected 32 hexa"),
        (span_with % b'"spanId":"00"', "spanId: expected 16 hexadecimal digits, not 2"),
        (span_with % b'"kind":"SPAN_KIND_SERVER"', "kind: expected a whole number"),
        (span_with % b'"kind":true', "kind: expected a whole number"),
        (span_with % b'"startTimeUnixNano":"-1"', "startTimeUnixNano: "),
        (span_with % b'"startTimeUnixNano":1.5', "startTimeUnixNano: expected a whole number"),
        (span_with % b'"name":1', "name: expected a string"),
        (span_with % b'"name":"\\ud800"', "name: "),
        (span_with % b'"name":NaN', "NaN is no number in JSON"),
        (b'{"resourceSpans":' * 100_000, "the body is nested too deeply"),
    ],
)
def test_malformed(text: bytes, message: str) -> None:
    """What is wrong is told, with the path where there is one."""
    with pytest.raises(MalformedError, match=message):
        from_json(Signal.TRACES, text)


@pytest.mark.parametrize("part", [b"{},", b"[],"])
def test_very_many_very_small_objects(part: bytes) -> None:
    """A request of millions of empty objects is refused before there are any."""
    text = b'{"resourceSpans":[' + part * 6_000_000 + b"{}]}"

    with growth() as grown, pytest.raises(MalformedError, match="more than 1000000 objects and arrays"):
        from_json(Signal.TRACES, text)

    assert grown.mib < 20


def test_original_field_names_are_no_keys() -> None:
    """Only lowerCamelCase is known; protobuf's own names are unknown fields."""
    assert from_json(Signal.TRACES, b'{"resource_spans": [{}]}') == b""


JSON_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceSpans", "scopeSpans", "spans", "attributes", "value", "arrayValue", "traceId", "kind"]
            ),
            inner,
            max_size=3,
        )
    ),
)


@given(JSON_TREES)
def test_any_json_is_read_or_malformed(content: Any) -> None:
    """Whatever is in the JSON, it is a request or malformed."""
    try:
        payload = from_json(Signal.TRACES, json.dumps(content).encode())
    except MalformedError:
        return
    check(Signal.TRACES, payload)
