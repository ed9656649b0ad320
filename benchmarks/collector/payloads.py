"""The requests that are sent: made once, the same bytes for everybody."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_SEED: Final = 5
_RESOURCE: Final = ("service.name", "host.name", "process.pid", "telemetry.sdk.name", "os.type")
_ATTRIBUTES: Final = 10
_VALUE: Final = 14


def write(folder: Path, spans: int) -> Path:
    """Write a request of so many spans with ten attributes each, and return its file."""
    file = folder / f"{spans}.otlp"
    file.write_bytes(request(spans).SerializeToString())
    return file


def request(spans: int) -> ExportTraceServiceRequest:
    """Return a request; the same number gives the same bytes."""
    numbers = random.Random(_SEED)  # noqa: S311  # to be the same each time
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    for key in _RESOURCE:
        group.resource.attributes.add(key=key).value.string_value = f"value of {key}"
    scope = group.scope_spans.add()
    scope.scope.name = "benchmark"
    trace = numbers.randbytes(16)
    for number in range(spans):
        span = scope.spans.add(name="train model", trace_id=trace, span_id=numbers.randbytes(8), kind=1)
        span.parent_span_id = numbers.randbytes(8)
        span.start_time_unix_nano = 10**18 + number
        span.end_time_unix_nano = 10**18 + number + 1000
        for attribute in range(_ATTRIBUTES):
            value = numbers.choice("abcdef") * _VALUE
            span.attributes.add(key=f"attribute.name.{attribute}").value.string_value = value
    return made
