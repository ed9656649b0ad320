"""Whether bytes are a request, and how many items it has: by the compiled walk, or else by protobuf's parser."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from provtel_model import compiled
from provtel_model.components import Batch, Signal
from provtel_model.errors import MalformedError

REQUESTS: Final[dict[Signal, type[Message]]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}

_FIELDS: Final = 32
_REPEATED, _COUNTED, _CHOICE = 0x10, 0x20, 0x40
_ITEMS: Final = frozenset({"spans", "log_records", "data_points"})
_MESSAGE: Final = 6
_KINDS: Final = {
    FieldDescriptor.TYPE_FIXED64: 2,
    FieldDescriptor.TYPE_SFIXED64: 2,
    FieldDescriptor.TYPE_DOUBLE: 2,
    FieldDescriptor.TYPE_FIXED32: 3,
    FieldDescriptor.TYPE_SFIXED32: 3,
    FieldDescriptor.TYPE_FLOAT: 3,
    FieldDescriptor.TYPE_BYTES: 4,
    FieldDescriptor.TYPE_STRING: 5,
    FieldDescriptor.TYPE_MESSAGE: _MESSAGE,
}
_VARINT: Final = 1


def check(signal: Signal, payload: bytes) -> Batch:
    """Look over a request once, to be sure that it is one, and count what it carries.

    Raises:
        MalformedError: The bytes are no request of this signal.
    """
    items = _walk.count(schema(signal), payload) if _walk is not None else count_parsed(signal, payload)
    if items < 0:
        raise MalformedError(f"these {len(payload)} bytes are no {REQUESTS[signal].DESCRIPTOR.name}")
    return Batch(signal, payload, items)


def count_parsed(signal: Signal, payload: bytes) -> int:
    """Return how many items protobuf's parser finds; -1 where it finds no request."""
    try:
        request: Any = REQUESTS[signal].FromString(payload)
    except DecodeError:
        return -1
    if signal is Signal.TRACES:
        return sum(len(scope.spans) for group in request.resource_spans for scope in group.scope_spans)
    if signal is Signal.LOGS:
        return sum(len(scope.log_records) for group in request.resource_logs for scope in group.scope_logs)
    metrics = (
        metric for group in request.resource_metrics for scope in group.scope_metrics for metric in scope.metrics
    )
    return sum(map(_data_points, metrics))


@cache
def schema(signal: Signal) -> bytes:
    """Return what the compiled walk has to know of a request, from protobuf's own descriptors."""
    known: list[Any] = [REQUESTS[signal].DESCRIPTOR]
    tables: list[bytes] = []
    for message in known:  # grows on the way
        table = bytearray(_FIELDS * 2)
        for field in message.fields:
            if field.message_type is not None and field.message_type not in known:
                known.append(field.message_type)
            if field.number < _FIELDS:
                table[field.number * 2] = _described(field)
                table[field.number * 2 + 1] = 0 if field.message_type is None else known.index(field.message_type)
        tables.append(bytes(table))
    return b"".join(tables)


def is_repeated(field: FieldDescriptor) -> bool:
    """Say whether a field is a list; of protobuf before 6 too, which says it in another way."""
    said: bool | None = getattr(field, "is_repeated", None)
    old: Any = field
    return bool(old.label == old.LABEL_REPEATED) if said is None else said


def _described(field: FieldDescriptor) -> int:
    kind = _KINDS.get(field.type, _VARINT)
    if is_repeated(field):
        kind |= _REPEATED
    if field.name in _ITEMS:
        kind |= _COUNTED
    choice = field.containing_oneof
    if choice is not None and choice.full_name.endswith(".Metric.data"):
        kind |= _CHOICE
    return kind


def _data_points(metric: Any) -> int:  # the generated class has no common type for its five kinds
    kind = metric.WhichOneof("data")
    return len(getattr(metric, kind).data_points) if kind else 0


_walk: Final = compiled.load("provtel_model.otlp._check")
