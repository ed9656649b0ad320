"""The OpenTelemetry SDK with its OTLP/HTTP exporter: one span a call with name and arguments as attributes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from opentelemetry import trace

from benchmarks.capture import sink
from benchmarks.capture.peers.capture import OUTPUT, Capture, Recorded
from benchmarks.capture.workload import Function

ROOMY = "2000000"
"""Length of the queue that holds everything, so that nothing is dropped for want of room."""


class Spans(Capture):
    """What is sent as spans with a flat attribute for each input."""

    output = OUTPUT

    def size(self) -> int:
        """Return the bytes that the sink took."""
        return sink.taken("traces")

    def records(self) -> Iterator[Recorded]:
        """Return every span that the sink took."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        for body in sink.bodies("traces"):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    yield from map(self._recorded, scope.spans)

    def _recorded(self, span: Any) -> Recorded:
        values = {pair.key: _value(pair.value) for pair in span.attributes if self.is_users(pair.key)}
        output = values.pop(self.output, None)
        return span.name, tuple(values.values()), output

    def is_users(self, key: str) -> bool:
        """Say whether an attribute is an input or the output."""
        return "." not in key


class Sdk(Spans):
    """A tracer, a batch processor, an exporter, and attributes by hand."""

    def start(self) -> None:
        """Install its exporter."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self.provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=os.environ["BENCHMARK_SINK"] + "/v1/traces")
        self.provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=int(ROOMY)))
        trace.set_tracer_provider(self.provider)

    def wrap(self, function: Function) -> Function:
        """Return the function inside a span that has what its users set by hand: inputs and the output."""
        code, name, tracer = function.__code__, function.__name__, self.provider.get_tracer("benchmark")
        names = code.co_varnames[: code.co_argcount]

        def wrapped(*values: Any) -> Any:
            with tracer.start_as_current_span(name) as span:
                for key, value in zip(names, values, strict=True):
                    span.set_attribute(key, value if isinstance(value, int | float) else type(value).__name__)
                result = function(*values)
                span.set_attribute(OUTPUT, result)
                return result

        return wrapped

    def stop(self) -> None:
        """Flush and shut down."""
        self.provider.shutdown()


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
