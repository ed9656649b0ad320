"""The real OpenTelemetry Collector that tests talk to."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from packaging.version import parse
from provtel_model import attributes

from tests.services.found import Found, MissingServiceError
from tests.services.otelcol import server

if TYPE_CHECKING:
    from pathlib import Path


def test_span_of_the_stock_sdk_arrives(otelcol: server.Otelcol) -> None:
    """A span that the stock SDK sends is in the file, with its ids."""
    trace_id = send(otelcol, attributes.PROV_ACTIVITY_TYPE, "task")

    (written,) = otelcol.wait_for_spans(1)

    assert written["name"] == "train"
    assert written["traceId"] == f"{trace_id:032x}"


@pytest.mark.skipif(parse(version("opentelemetry-sdk")) < parse("1.45"), reason="this SDK sends no maps; 1.45 does")
def test_span_of_the_stock_sdk_keeps_its_map(otelcol: server.Otelcol) -> None:
    """A map that the stock SDK sends as an attribute arrives as the key-value list that it is."""
    send(otelcol, attributes.PROV_USED, {"lr": 0.1, "layers": [3, 4]})

    (written,) = otelcol.wait_for_spans(1)

    (used,) = written["attributes"]
    assert used["key"] == attributes.PROV_USED
    assert {pair["key"] for pair in used["value"]["kvlistValue"]["values"]} == {"lr", "layers"}
    assert {"key": "lr", "value": {"doubleValue": 0.1}} in used["value"]["kvlistValue"]["values"]


def send(otelcol: server.Otelcol, key: str, value: Any) -> int:
    """Send one span with one attribute by the stock SDK, and return its trace id."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{otelcol.endpoint}/v1/traces")))
    with provider.get_tracer("test").start_as_current_span("train") as span:
        span.set_attribute(key, value)
    provider.shutdown()
    return span.get_span_context().trace_id


def test_named_binary_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PROVTEL_TEST_OTELCOL wins over PATH and over the cache."""
    binary = tmp_path / "mine"
    binary.touch(mode=0o755)
    monkeypatch.setenv("PROVTEL_TEST_OTELCOL", str(binary))

    assert Found("otelcol", binary, "named by PROVTEL_TEST_OTELCOL") == server.find()


def test_named_binary_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wrong PROVTEL_TEST_OTELCOL is told, not passed over."""
    monkeypatch.setenv("PROVTEL_TEST_OTELCOL", str(tmp_path))

    with pytest.raises(MissingServiceError, match="PROVTEL_TEST_OTELCOL"):
        server.find()


def test_nothing_to_build_with_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a collector and without go, the message says what to install."""
    monkeypatch.delenv("PROVTEL_TEST_OTELCOL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(MissingServiceError, match="no go to build one"):
        server.find()
