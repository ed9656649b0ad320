"""Hypothesis strategies for values, plain records and protobuf messages, shared by the tests of the codecs."""

from __future__ import annotations

import datetime as dt
import pathlib
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue as WireValue
from opentelemetry.proto.common.v1.common_pb2 import ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status
from provtel_model import attributes as names
from provtel_model.anyvalue import TYPE_KEY, AnyValue
from provtel_model.values import ObjectValue, Reference

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INT64 = st.integers(-(2**63), 2**63 - 1)
IDS = st.binary(min_size=8, max_size=8).filter(any)
TRACE_IDS = st.binary(min_size=16, max_size=16).filter(any)
TIMES = st.integers(0, 2**63)

ANY_LEAVES = st.none() | st.booleans() | INT64 | st.floats() | TEXT | st.binary(max_size=20)
ANY_VALUES = st.recursive(
    ANY_LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | st.just(TYPE_KEY), inner, max_size=4),
    max_leaves=12,
)
"""Any tree that AnyValue can carry, tags that mean nothing included."""

REFERENCES = st.builds(
    Reference,
    type=TEXT,
    hash=st.none() | TEXT,
    shape=st.none() | st.lists(st.integers(0, 10), max_size=3).map(tuple),
    dtype=st.none() | TEXT,
    nbytes=st.none() | st.integers(0, 2**40),
    preview=st.none() | TEXT,
    uri=st.none() | TEXT,
)
_ZONES = st.none() | st.integers(-1439, 1439).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
PYTHON_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.datetimes(timezones=_ZONES, allow_imaginary=False)
    | st.dates()
    | st.times()
    | st.timedeltas()
    | TEXT.filter(lambda text: "\0" not in text).map(pathlib.Path)
    | REFERENCES
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = PYTHON_LEAVES | st.tuples(PYTHON_LEAVES, PYTHON_LEAVES) | st.just(TYPE_KEY)
    return (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.sets(PYTHON_LEAVES, max_size=4)
        | st.frozensets(PYTHON_LEAVES, max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
        | st.builds(ObjectValue, type=TEXT, fields=st.dictionaries(TEXT, inner, max_size=3))
    )


PYTHON_VALUES = st.recursive(PYTHON_LEAVES, _containers, max_leaves=12)
"""Any Python value that the wire keeps without loss."""

ATTRIBUTES = st.dictionaries(TEXT, ANY_VALUES, max_size=4)


def _known_attributes() -> st.SearchStrategy[dict[str, AnyValue]]:
    """Attributes of the registry, of the right type and of wrong ones."""
    maps: st.SearchStrategy[AnyValue] = st.dictionaries(TEXT, ANY_VALUES, max_size=3)
    tags: st.SearchStrategy[AnyValue] = st.lists(TEXT, max_size=3)
    texts = TEXT | ANY_LEAVES
    return st.fixed_dictionaries(
        {},
        optional={
            names.PROV_ACTIVITY_TYPE: st.sampled_from(["task", "workflow", "span", ""]) | texts,
            names.PROV_ACTIVITY_STATE: st.just("cancelled") | texts,
            names.PROV_USED: maps | ANY_VALUES,
            names.PROV_GENERATED: maps | ANY_VALUES,
            names.PROV_USED + ".lr": ANY_VALUES,
            names.WORKFLOW_ID: texts,
            names.WORKFLOW_TASK_TAGS: tags | ANY_VALUES,
            names.CODE_LINE_NUMBER: INT64 | texts,
            names.CODE_FUNCTION_NAME: texts,
            names.PROV_AGENT_ID: texts,
            names.TASK_CPU_USER: st.floats(0, 9) | texts,
            names.ERROR_TYPE: texts,
            names.HOST_NAME: texts,
        },
    )


def _mixed_attributes() -> st.SearchStrategy[dict[str, AnyValue]]:
    return st.builds(lambda known, other: {**other, **known}, _known_attributes(), ATTRIBUTES)


def _pairs(attributes: dict[str, AnyValue]) -> list[KeyValue]:
    return [KeyValue(key=key, value=to_wire(value)) for key, value in attributes.items()]


def to_wire(value: AnyValue) -> WireValue:
    """Return the protobuf message of a value, built by the generated classes and not by our encoder."""
    match value:
        case None:
            return WireValue()
        case bool():
            return WireValue(bool_value=value)
        case int():
            return WireValue(int_value=value)
        case float():
            return WireValue(double_value=value)
        case str():
            return WireValue(string_value=value)
        case bytes():
            return WireValue(bytes_value=value)
        case list():
            return WireValue(array_value=ArrayValue(values=map(to_wire, value)))
        case _:
            return WireValue(kvlist_value=KeyValueList(values=_pairs(value)))


_RESOURCES = _mixed_attributes().map(lambda attributes: Resource(attributes=_pairs(attributes)))
_SCOPES = st.builds(
    lambda name, version, attributes: InstrumentationScope(name=name, version=version, attributes=_pairs(attributes)),
    st.just(names.SCOPE_NAME) | TEXT,
    TEXT,
    ATTRIBUTES,
)
_EVENTS = st.builds(
    lambda name, time, attributes, dropped: Span.Event(
        name=name, time_unix_nano=time, attributes=_pairs(attributes), dropped_attributes_count=dropped
    ),
    st.just(names.EXCEPTION_EVENT) | TEXT,
    TIMES,
    st.fixed_dictionaries({}, optional={names.EXCEPTION_TYPE: TEXT, names.EXCEPTION_MESSAGE: ANY_LEAVES}) | ATTRIBUTES,
    st.integers(0, 9),
)
_LINKS = st.builds(
    lambda trace, span, state, attributes: Span.Link(
        trace_id=trace, span_id=span, trace_state=state, attributes=_pairs(attributes)
    ),
    TRACE_IDS,
    IDS,
    TEXT,
    ATTRIBUTES,
)
SPANS = st.builds(
    lambda attributes, status, **rest: Span(attributes=_pairs(attributes), status=Status(**status), **rest),
    _mixed_attributes(),
    st.fixed_dictionaries({"code": st.integers(0, 2), "message": TEXT}),
    trace_id=TRACE_IDS,
    span_id=IDS,
    parent_span_id=st.just(b"") | IDS,
    name=TEXT,
    kind=st.integers(0, 5),
    trace_state=TEXT,
    start_time_unix_nano=TIMES,
    end_time_unix_nano=TIMES,
    events=st.lists(_EVENTS, max_size=3),
    links=st.lists(_LINKS, max_size=3),
    dropped_attributes_count=st.integers(0, 9),
)
"""Spans of any sender, with and without attributes of the registry."""

TRACE_REQUESTS = st.builds(
    lambda groups: ExportTraceServiceRequest(resource_spans=groups),
    st.lists(
        st.builds(
            lambda resource, scope, url, spans: ResourceSpans(
                resource=resource, scope_spans=[ScopeSpans(scope=scope, schema_url=url, spans=spans)]
            ),
            _RESOURCES,
            _SCOPES,
            TEXT,
            st.lists(SPANS, max_size=3),
        ),
        max_size=2,
    ),
)

_LOG_ATTRIBUTES = st.builds(
    lambda attributes, known: {**attributes, **known},
    _mixed_attributes(),
    st.fixed_dictionaries(
        {},
        optional={
            names.PROV_ACTIVITY_NAME: TEXT | ANY_LEAVES,
            names.PROV_ACTIVITY_START_TIME: st.integers(0, 2**62) | ANY_LEAVES,
            names.PROV_ACTIVITY_PARENT_ID: IDS.map(bytes.hex) | ANY_LEAVES,
            names.PROV_ACTIVITY_STATE: st.just("submitted"),
            names.PROV_ACTIVITY_LINKS: ANY_VALUES,
        },
    ),
)
LOG_RECORDS = st.builds(
    lambda attributes, **rest: LogRecord(attributes=_pairs(attributes), **rest),
    _LOG_ATTRIBUTES,
    trace_id=TRACE_IDS,
    span_id=IDS,
    time_unix_nano=TIMES,
    event_name=st.sampled_from([names.EVENT_STARTED, names.EVENT_HEARTBEAT, names.EVENT_LOST, "other", ""]),
)
LOG_REQUESTS = st.builds(
    lambda resource, scope, records: ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=resource, scope_logs=[ScopeLogs(scope=scope, log_records=records)])]
    ),
    _RESOURCES,
    _SCOPES,
    st.lists(LOG_RECORDS, max_size=4),
)

_POINT_TIMES = st.fixed_dictionaries(
    {"time_unix_nano": TIMES, "start_time_unix_nano": st.just(0) | TIMES, "flags": st.integers(0, 2**32 - 1)}
)
_NUMBERS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"as_int": INT64}),
    st.fixed_dictionaries({"as_double": st.floats()}),
)
_EXEMPLARS = st.lists(
    st.builds(
        lambda number, time, trace, span, attributes: metrics.Exemplar(
            time_unix_nano=time, trace_id=trace, span_id=span, filtered_attributes=_pairs(attributes), **number
        ),
        _NUMBERS,
        TIMES,
        st.just(b"") | TRACE_IDS,
        st.just(b"") | IDS,
        ATTRIBUTES,
    ),
    max_size=2,
)
_COUNTS = st.lists(st.integers(0, 2**64 - 1), max_size=4)
_EXTREMES = st.fixed_dictionaries({}, optional={"sum": st.floats(), "min": st.floats(), "max": st.floats()})
_TEMPORALITY = st.integers(0, 2)
_NUMBER_POINTS = st.lists(
    st.builds(
        lambda times, number, attributes, exemplars: metrics.NumberDataPoint(
            attributes=_pairs(attributes), exemplars=exemplars, **times, **number
        ),
        _POINT_TIMES,
        _NUMBERS,
        ATTRIBUTES,
        _EXEMPLARS,
    ),
    max_size=3,
)
_HISTOGRAM_POINTS = st.lists(
    st.builds(
        lambda times, extremes, attributes, exemplars, **rest: metrics.HistogramDataPoint(
            attributes=_pairs(attributes), exemplars=exemplars, **times, **extremes, **rest
        ),
        _POINT_TIMES,
        _EXTREMES,
        ATTRIBUTES,
        _EXEMPLARS,
        count=st.integers(0, 2**64 - 1),
        bucket_counts=_COUNTS,
        explicit_bounds=st.lists(st.floats(), max_size=3),
    ),
    max_size=2,
)
_BUCKETS = st.builds(
    metrics.ExponentialHistogramDataPoint.Buckets, offset=st.integers(-(2**31), 2**31 - 1), bucket_counts=_COUNTS
)
_EXPONENTIAL_POINTS = st.lists(
    st.builds(
        lambda times, extremes, attributes, exemplars, **rest: metrics.ExponentialHistogramDataPoint(
            attributes=_pairs(attributes), exemplars=exemplars, **times, **extremes, **rest
        ),
        _POINT_TIMES,
        _EXTREMES,
        ATTRIBUTES,
        _EXEMPLARS,
        count=st.integers(0, 2**64 - 1),
        scale=st.integers(-(2**31), 2**31 - 1),
        zero_count=st.integers(0, 2**64 - 1),
        zero_threshold=st.floats(),
        positive=st.none() | _BUCKETS,
        negative=st.none() | _BUCKETS,
    ),
    max_size=2,
)
_SUMMARY_POINTS = st.lists(
    st.builds(
        lambda times, attributes, quantiles, **rest: metrics.SummaryDataPoint(
            attributes=_pairs(attributes),
            quantile_values=[
                metrics.SummaryDataPoint.ValueAtQuantile(quantile=quantile, value=value)
                for quantile, value in quantiles
            ],
            **times,
            **rest,
        ),
        _POINT_TIMES,
        ATTRIBUTES,
        st.lists(st.tuples(st.floats(), st.floats()), max_size=2),
        count=st.integers(0, 2**64 - 1),
        sum=st.floats(),
    ),
    max_size=2,
)
_DATA: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.builds(lambda points: {"gauge": metrics.Gauge(data_points=points)}, _NUMBER_POINTS),
    st.builds(
        lambda points, temporality, monotonic: {
            "sum": metrics.Sum(data_points=points, aggregation_temporality=temporality, is_monotonic=monotonic)
        },
        _NUMBER_POINTS,
        _TEMPORALITY,
        st.booleans(),
    ),
    st.builds(
        lambda points, temporality: {
            "histogram": metrics.Histogram(data_points=points, aggregation_temporality=temporality)
        },
        _HISTOGRAM_POINTS,
        _TEMPORALITY,
    ),
    st.builds(
        lambda points, temporality: {
            "exponential_histogram": metrics.ExponentialHistogram(
                data_points=points, aggregation_temporality=temporality
            )
        },
        _EXPONENTIAL_POINTS,
        _TEMPORALITY,
    ),
    st.builds(lambda points: {"summary": metrics.Summary(data_points=points)}, _SUMMARY_POINTS),
)
METRICS = st.builds(lambda data, **rest: metrics.Metric(**data, **rest), _DATA, name=TEXT, unit=TEXT, description=TEXT)
METRIC_REQUESTS = st.builds(
    lambda resource, scope, url, found: ExportMetricsServiceRequest(
        resource_metrics=[
            metrics.ResourceMetrics(
                resource=resource, scope_metrics=[metrics.ScopeMetrics(scope=scope, schema_url=url, metrics=found)]
            )
        ]
    ),
    _RESOURCES,
    _SCOPES,
    TEXT,
    st.lists(METRICS, max_size=3),
)
"""Metrics of every kind, of any sender."""

OTHER_LOGS = st.builds(
    lambda attributes, body, **rest: LogRecord(attributes=_pairs(attributes), body=body, **rest),
    _mixed_attributes(),
    st.none() | ANY_VALUES.map(to_wire),
    trace_id=st.just(b"") | TRACE_IDS,
    span_id=st.just(b"") | IDS,
    time_unix_nano=st.just(0) | TIMES,
    observed_time_unix_nano=st.just(0) | TIMES,
    severity_number=st.integers(0, 24),
    severity_text=TEXT,
    event_name=st.sampled_from([names.EVENT_STARTED, "other", ""]),
    flags=st.integers(0, 2**32 - 1),
    dropped_attributes_count=st.integers(0, 9),
)
OTHER_LOG_REQUESTS = st.builds(
    lambda resource, scope, url, records: ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(resource=resource, scope_logs=[ScopeLogs(scope=scope, schema_url=url, log_records=records)])
        ]
    ),
    _RESOURCES,
    _SCOPES,
    TEXT,
    st.lists(OTHER_LOGS, max_size=4),
)
"""Log records of any sender, activity events among them."""
