"""OTLP requests as messages: how those who must look inside walk through one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_model.components import Signal
from provtel_model.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provtel_model.components import Batch


class _Shape(NamedTuple):
    """What the parts of a signal's request are called."""

    request: type[Any]
    resources: str
    scopes: str
    items: str


_SHAPES: Final = {
    Signal.TRACES: _Shape(ExportTraceServiceRequest, "resource_spans", "scope_spans", "spans"),
    Signal.LOGS: _Shape(ExportLogsServiceRequest, "resource_logs", "scope_logs", "log_records"),
    Signal.METRICS: _Shape(ExportMetricsServiceRequest, "resource_metrics", "scope_metrics", "metrics"),
}


def parse(batch: Batch) -> Any:
    """Return the request of a batch as a message.

    Raises:
        PermanentError: It is none.
    """
    try:
        return _SHAPES[batch.signal].request.FromString(batch.payload)
    except DecodeError as error:
        raise PermanentError(f"this batch of {batch.signal} is no OTLP request: {error}") from error


def empty(signal: Signal) -> Any:
    """Return a request without anything."""
    return _SHAPES[signal].request()


def resources(signal: Signal, request: Any) -> Any:
    """Return the groups of a request, each of one resource."""
    return getattr(request, _SHAPES[signal].resources)


def scopes(signal: Signal, group: Any) -> Any:
    """Return the parts of a group, each of one instrumentation scope."""
    return getattr(group, _SHAPES[signal].scopes)


def items(signal: Signal, part: Any) -> Any:
    """Return the spans, log records or metrics of a part."""
    return getattr(part, _SHAPES[signal].items)


def data_points(metric: Any) -> Any:
    """Return the data points of a metric, of whatever kind it is."""
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind else ()


def walk(signal: Signal, request: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield each span, log record or metric with its group and its part."""
    for group in resources(signal, request):
        for part in scopes(signal, group):
            for item in items(signal, part):
                yield group, part, item


def count(signal: Signal, request: Any) -> int:
    """Return how many spans, log records or data points a request has."""
    if signal is Signal.METRICS:
        return sum(len(data_points(metric)) for _, _, metric in walk(signal, request))
    return sum(len(items(signal, part)) for group in resources(signal, request) for part in scopes(signal, group))


def drop(repeated: Any, unwanted: Callable[[Any], bool]) -> bool:
    """Remove what is unwanted from a repeated field, in place; return whether there was any."""
    doomed = [index for index, one in enumerate(repeated) if unwanted(one)]
    for index in reversed(doomed):
        del repeated[index]
    return bool(doomed)


def take_groups(signal: Signal, request: Any, wanted: Callable[[Any], bool], *, copy: bool = False) -> Any:
    """Return a request of the groups that are wanted; unless they are copied, the other one lacks them then."""
    taken = empty(signal)
    chosen = [group for group in resources(signal, request) if wanted(group)]
    resources(signal, taken).extend(chosen)
    if not copy and chosen:
        drop(resources(signal, request), wanted)
    return taken


def take_items(signal: Signal, request: Any, wanted: Callable[[Any, Any, Any], bool], *, copy: bool = False) -> Any:
    """Return a request of the items that are wanted, in their groups and parts, as `take_groups` does with groups."""
    taken = empty(signal)
    for group in resources(signal, request):
        new_group = None
        for part in scopes(signal, group):
            chosen = [index for index, item in enumerate(items(signal, part)) if wanted(group, part, item)]
            if not chosen:
                continue
            if new_group is None:
                new_group = resources(signal, taken).add(schema_url=group.schema_url)
                new_group.resource.CopyFrom(group.resource)
            new_part = scopes(signal, new_group).add(schema_url=part.schema_url)
            new_part.scope.CopyFrom(part.scope)
            items(signal, new_part).extend([items(signal, part)[index] for index in chosen])
            for index in () if copy else reversed(chosen):
                del items(signal, part)[index]
        if not copy:
            drop(scopes(signal, group), lambda part: not items(signal, part))
    if not copy:
        drop(resources(signal, request), lambda group: not scopes(signal, group))
    return taken
