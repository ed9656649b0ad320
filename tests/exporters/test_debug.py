"""The debug exporter shows batches to a person, and takes any."""

from __future__ import annotations

from typing import Literal

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from provtel_exporters.debug import factory
from provtel_exporters.debug.config import DebugConfig
from provtel_model.components import ALL_SIGNALS, Batch, Context, Signal
from provtel_model.otlp import check

Verbosity = Literal["basic", "normal", "detailed"]


def a_span() -> Batch:
    """Return a batch of one span with a field of every kind."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "digits"
    span = group.scope_spans.add().spans.add(name="train", trace_id=b"t" * 16, span_id=b"s" * 8)
    span.start_time_unix_nano = 1_700_000_000_000_000_005
    span.kind = Span.SPAN_KIND_INTERNAL
    span.attributes.add(key="lr").value.double_value = 0.5
    span.attributes.add(key="layers").value.array_value.values.add().int_value = 3
    span.attributes.add(key="used").value.kvlist_value.values.add(key="raw").value.bytes_value = b"ab"
    span.attributes.add(key="nothing")
    span.status.code = Status.STATUS_CODE_ERROR
    return check(Signal.TRACES, request.SerializeToString())


def a_log() -> Batch:
    """Return a batch of one log record."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(event_name="prov.activity.started")
    record.trace_id, record.span_id = b"t" * 16, b"s" * 8
    record.body.string_value = "it began"
    return check(Signal.LOGS, request.SerializeToString())


def a_metric() -> Batch:
    """Return a batch of two data points of one metric."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="load", unit="1")
    metric.gauge.data_points.add(as_double=0.5)
    metric.gauge.data_points.add(as_int=2)
    return check(Signal.METRICS, request.SerializeToString())


def shown(batch: Batch, verbosity: Verbosity, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines that the exporter logs of a batch."""
    caplog.set_level("INFO")
    exporter = factory.create(DebugConfig(verbosity), Context("debug/one", {}, lambda *_: None))
    exporter.start()
    exporter.consume(batch)
    exporter.shutdown()
    (record,) = caplog.records
    return record.getMessage().splitlines()


@pytest.mark.parametrize(
    ("batch", "line"),
    [
        (a_span(), f"debug/one: traces: 1 spans, {len(a_span().payload)} bytes"),
        (a_log(), f"debug/one: logs: 1 log records, {len(a_log().payload)} bytes"),
        (a_metric(), f"debug/one: metrics: 2 data points, {len(a_metric().payload)} bytes"),
    ],
)
def test_basic(batch: Batch, line: str, caplog: pytest.LogCaptureFixture) -> None:
    """Basic says in one line how much there is."""
    assert shown(batch, "basic", caplog) == [line]


@pytest.mark.parametrize(
    ("batch", "line"),
    [
        (a_span(), f'train {"74" * 16} {"73" * 8} lr=0.5 layers=[3] used={{"raw": "YWI="}} nothing=null'),
        (a_log(), f"prov.activity.started {'74' * 16} {'73' * 8} it began"),
        (a_metric(), "load 1 gauge 2 data points"),
    ],
)
def test_normal(batch: Batch, line: str, caplog: pytest.LogCaptureFixture) -> None:
    """Normal adds a line for each item."""
    assert shown(batch, "normal", caplog)[1:] == [line]


def test_detailed(caplog: pytest.LogCaptureFixture) -> None:
    """Detailed shows every field that is set: ids in hex, times as people write them, kinds by name."""
    assert shown(a_span(), "detailed", caplog)[1:] == [
        "resource_spans:",
        "  resource:",
        "    attributes: service.name = digits",
        "  scope_spans:",
        "    spans:",
        f"      trace_id: {'74' * 16}",
        f"      span_id: {'73' * 8}",
        "      name: train",
        "      kind: SPAN_KIND_INTERNAL",
        "      start_time_unix_nano: 2023-11-14 22:13:20.000000005 UTC",
        "      attributes: lr = 0.5",
        "      attributes: layers = [3]",
        '      attributes: used = {"raw": "YWI="}',
        "      attributes: nothing = null",
        "      status:",
        "        code: STATUS_CODE_ERROR",
    ]


def test_every_signal_has_details(caplog: pytest.LogCaptureFixture) -> None:
    """Logs and metrics have details too."""
    assert "      body: it began" in shown(a_log(), "detailed", caplog)
    caplog.clear()
    assert "          as_int: 2" in shown(a_metric(), "detailed", caplog)


def test_takes_every_signal() -> None:
    """It can stand in any pipeline, and is basic where nothing is said."""
    assert factory.signals == ALL_SIGNALS
    assert factory.config() == DebugConfig("basic")
