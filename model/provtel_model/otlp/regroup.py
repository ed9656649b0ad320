"""One OTLP request to several: one for each trace or each resource.

Every item keeps its resource, its scope and both schema addresses, and every part the metadata of the whole. What is
regrouped is written anew; requests that need none of this never come here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from provtel_model.components import Batch, Signal

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from opentelemetry.proto.resource.v1.resource_pb2 import Resource


@dataclass(frozen=True, slots=True)
class _Names:
    """What the levels of a request are called."""

    request: Callable[[], Any]
    groups: str
    scopes: str
    items: str


_NAMES: Final = {
    Signal.TRACES: _Names(ExportTraceServiceRequest, "resource_spans", "scope_spans", "spans"),
    Signal.METRICS: _Names(ExportMetricsServiceRequest, "resource_metrics", "scope_metrics", "metrics"),
    Signal.LOGS: _Names(ExportLogsServiceRequest, "resource_logs", "scope_logs", "log_records"),
}


@dataclass(frozen=True, slots=True)
class _Item:
    """A span, a log record or a data point, in its place.

    Attributes:
        path: The numbers of its resource, its scope and, for a data point, its metric.
        around: The resource group, the scope group and, for a data point, the metric.
        item: The item.
    """

    path: tuple[int, ...]
    around: tuple[Any, ...]
    item: Any


def by_trace(batch: Batch) -> list[tuple[bytes, Batch]]:
    """Return the spans or log records of each trace as a batch of their own, by trace id.

    Log records without a trace are one batch, under an empty id. Metrics have no traces.
    """
    return _grouped(batch, lambda item: item.item.trace_id)


def by_resource(batch: Batch) -> list[tuple[Resource, Batch]]:
    """Return the items of each resource group as a batch of their own, with the resource."""
    names, items = _items(batch)
    groups: dict[int, list[_Item]] = {}
    for item in items:
        groups.setdefault(item.path[0], []).append(item)
    return [(some[0].around[0].resource, _batch(batch, names, some)) for some in groups.values()]


def with_resource_attributes(batch: Batch, attributes: Mapping[str, str]) -> Batch:
    """Return a batch each of whose resources has some attributes too; one of the same name is replaced."""
    names = _NAMES[batch.signal]
    request = names.request()
    request.MergeFromString(batch.payload)
    for group in getattr(request, names.groups):
        kept = [pair for pair in group.resource.attributes if pair.key not in attributes]
        del group.resource.attributes[:]
        group.resource.attributes.extend(kept)
        for key, value in attributes.items():
            group.resource.attributes.add(key=key).value.string_value = value
    return replace(batch, payload=request.SerializeToString())


def _grouped(batch: Batch, key: Callable[[_Item], Any]) -> list[tuple[Any, Batch]]:
    names, items = _items(batch)
    groups: dict[Hashable, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return [(found, _batch(batch, names, some)) for found, some in groups.items()]


def _items(batch: Batch) -> tuple[_Names, list[_Item]]:
    names = _NAMES[batch.signal]
    request = names.request()
    request.MergeFromString(batch.payload)
    return names, list(_walk(names, request))


def _walk(names: _Names, request: Any) -> Iterator[_Item]:
    for group_number, group in enumerate(getattr(request, names.groups)):
        for scope_number, scope in enumerate(getattr(group, names.scopes)):
            for number, item in enumerate(getattr(scope, names.items)):
                place = (group_number, scope_number)
                if names.items != "metrics":
                    yield _Item(place, (group, scope), item)
                elif kind := item.WhichOneof("data"):
                    around = (group, scope, item)
                    yield from (_Item((*place, number), around, point) for point in getattr(item, kind).data_points)


def _batch(whole: Batch, names: _Names, items: list[_Item]) -> Batch:
    """Return a batch of some items of another, which are in the order in which they came."""
    request = names.request()
    made: dict[tuple[int, ...], Any] = {}
    for item in items:
        group = made.get(item.path[:1])
        if group is None:
            group = made[item.path[:1]] = getattr(request, names.groups).add()
            _copy_shell(item.around[0], group, "resource")
        scope = made.get(item.path[:2])
        if scope is None:
            scope = made[item.path[:2]] = getattr(group, names.scopes).add()
            _copy_shell(item.around[1], scope, "scope")
        _list_for(item, scope, names, made).append(item.item)
    return replace(whole, payload=request.SerializeToString(), items=len(items))


def _list_for(item: _Item, scope: Any, names: _Names, made: dict[tuple[int, ...], Any]) -> Any:
    """Return where an item is appended; for a data point, a metric like its own."""
    listed = getattr(scope, names.items)
    if names.items != "metrics":
        return listed
    points = made.get(item.path)
    if points is None:
        original = item.around[2]
        kind = original.WhichOneof("data")
        metric = listed.add()
        for field, value in original.ListFields():
            if field.name != kind:
                _set(metric, field, value)
        source, target = getattr(original, kind), getattr(metric, kind)
        target.SetInParent()
        for field, value in source.ListFields():
            if field.name != "data_points":
                _set(target, field, value)
        points = made[item.path] = target.data_points
    return points


def _set(target: Any, field: Any, value: Any) -> None:
    if field.message_type is not None:
        getattr(target, field.name).MergeFrom(value)
    else:
        setattr(target, field.name, value)


def _copy_shell(source: Any, target: Any, described: str) -> None:
    """Copy what a group says of its items: the resource or the scope, and the address of its schema."""
    if source.HasField(described):
        getattr(target, described).CopyFrom(getattr(source, described))
    target.schema_url = source.schema_url
