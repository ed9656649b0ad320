"""The OpenTelemetry SDK with its OTLP/HTTP exporter: one span a call with name and arguments as attributes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from benchmarks.capture import sink
from benchmarks.capture.peers.compare import differences as compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_provider = TracerProvider()
_tracer = _provider.get_tracer("benchmark")


def start() -> None:
    """Install its exporter with a queue that holds everything, so that it loses nothing for want of room."""
    exporter = OTLPSpanExporter(endpoint=os.environ["BENCHMARK_SINK"] + "/v1/traces")
    _provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=2_000_000))
    trace.set_tracer_provider(_provider)


def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function inside a span that has what its users set by hand: inputs and the output."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]

    def wrapped(*values: Any) -> Any:
        with _tracer.start_as_current_span(function.__name__) as span:
            for name, value in zip(names, values, strict=True):
                span.set_attribute(name, value if isinstance(value, int | float) else str(type(value)))
            result = function(*values)
            span.set_attribute("o", result)
            return result

    return wrapped


def stop() -> None:
    """Flush and shut down."""
    _provider.shutdown()


def size() -> int:
    """Return the bytes that the sink took."""
    return sink.taken(os.environ["BENCHMARK_SINK"])


def differences(expected: Iterable[tuple[str, tuple[Any, ...]]]) -> str:
    """Compare every span that the sink took."""
    return compare(expected, sink.calls(os.environ["BENCHMARK_SINK"]))
