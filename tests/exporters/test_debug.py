"""The debug exporter shows batches to a person, and takes any."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from provtel_exporters.debug import factory
from provtel_exporters.debug.config import DebugConfig
from provtel_model.components import ALL_SIGNALS, Batch, Context, Signal
from provtel_model.errors import ConfigError
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


def written(config: DebugConfig, batches: int) -> None:
    """Give an exporter batches, from its start to its end."""
    exporter = factory.create(config, Context("debug", {}, lambda *_: None))
    exporter.start()
    for _ in range(batches):
        exporter.consume(a_log())
    exporter.shutdown()
    exporter.shutdown()


def test_files_instead_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the collector's log is not wanted, it writes to files."""
    caplog.set_level(logging.INFO)
    file = tmp_path / "debug.txt"

    written(DebugConfig(use_internal_logger=False, output_paths=(str(file),)), 3)

    assert file.read_text().count("1 log records") == 3
    assert caplog.records == []


def test_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file, it writes to standard output."""
    written(DebugConfig(use_internal_logger=False), 1)

    assert "1 log records" in capsys.readouterr().out


def test_file_that_cannot_be_written(tmp_path: Path) -> None:
    """A file that cannot be written is told with its key."""
    config = DebugConfig(use_internal_logger=False, output_paths=(str(tmp_path),))

    with pytest.raises(ConfigError, match=r"^exporters::debug::output_paths: .*: cannot be written: Is a directory"):
        written(config, 0)


def test_sampling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the batches of one second, the first few are written and then every so manieth."""
    monkeypatch.setattr("provtel_exporters.debug.exporter.time.monotonic", lambda: 5.0)
    file = tmp_path / "debug.txt"
    said: dict[str, Any] = {"use_internal_logger": False, "output_paths": (str(file),)}

    written(DebugConfig(sampling_initial=2, sampling_thereafter=10, **said), 33)

    assert file.read_text().count("1 log records") == 2 + 3
