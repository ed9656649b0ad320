"""Where a condition looks: paths such as ``span.attributes["lr"]``, and what they find in a request."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from provtel_model.anyvalue import AnyValue
from provtel_model.components import Signal
from provtel_model.otlp.decode import attributes_of, value_of

from provtel_collector.attribute_lists import get
from provtel_collector.conditions.values import ConditionError


class Level(enum.IntEnum):
    """How deep in a request a condition looks."""

    RESOURCE = 0
    SCOPE = 1
    ITEM = 2
    PART = 3


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a request, as deep as it is known.

    Args:
        group: A group of one resource.
        scoped: The part of it that has one instrumentation scope.
        item: A span, a log record or a metric.
        part: An event of the span, or a data point of the metric.
    """

    group: Any
    scoped: Any = None
    item: Any = None
    part: Any = None


Find: TypeAlias = Callable[[Place], AnyValue]
Key = str | int

_METRIC_KINDS: Final = (None, "gauge", "sum", "histogram", "exponential_histogram", "summary")
ENUMS: Final[Mapping[str, int]] = {
    **dict(Span.SpanKind.items()),
    **dict(Status.StatusCode.items()),
    **dict(logs_pb2.SeverityNumber.items()),
    **dict(metrics_pb2.AggregationTemporality.items()),
    **{f"METRIC_DATA_TYPE_{(kind or 'none').upper()}": number for number, kind in enumerate(_METRIC_KINDS)},
}


def _hex(name: str) -> Callable[[Any], AnyValue]:
    return lambda owner: getattr(owner, name).hex()


def _field(name: str) -> Callable[[Any], AnyValue]:
    def find(owner: Any) -> AnyValue:
        value: AnyValue = getattr(owner, name)
        return value

    return find


_TIMES: Final = ("start_time_unix_nano", "end_time_unix_nano")
_SPAN: Final[Mapping[str, Callable[[Any], AnyValue]]] = {
    "name": _field("name"),
    "kind": _field("kind"),
    "kind.string": lambda span: Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").capitalize(),
    "status.code": lambda span: int(span.status.code),
    "status.message": lambda span: str(span.status.message),
    "trace_state": _field("trace_state"),
    "trace_id.string": _hex("trace_id"),
    "span_id.string": _hex("span_id"),
    "parent_span_id.string": _hex("parent_span_id"),
    **{name: _field(name) for name in _TIMES},
}
_LOG: Final[Mapping[str, Callable[[Any], AnyValue]]] = {
    "body": lambda log: value_of(log.body),
    "event_name": _field("event_name"),
    "severity_number": _field("severity_number"),
    "severity_text": _field("severity_text"),
    "time_unix_nano": _field("time_unix_nano"),
    "observed_time_unix_nano": _field("observed_time_unix_nano"),
    "trace_id.string": _hex("trace_id"),
    "span_id.string": _hex("span_id"),
}
_METRIC: Final[Mapping[str, Callable[[Any], AnyValue]]] = {
    "name": _field("name"),
    "unit": _field("unit"),
    "description": _field("description"),
    "type": lambda metric: _METRIC_KINDS.index(metric.WhichOneof("data")),
}
_POINT: Final[Mapping[str, Callable[[Any], AnyValue]]] = {
    "value_int": lambda point: point.as_int if _value_kind(point) == "as_int" else None,
    "value_double": lambda point: point.as_double if _value_kind(point) == "as_double" else None,
    "start_time_unix_nano": _field("start_time_unix_nano"),
    "time_unix_nano": _field("time_unix_nano"),
}
_EVENT: Final[Mapping[str, Callable[[Any], AnyValue]]] = {
    "name": _field("name"),
    "time_unix_nano": _field("time_unix_nano"),
}
_SCOPE: Final[Mapping[str, Callable[[Any], AnyValue]]] = {"name": _field("name"), "version": _field("version")}


@dataclass(frozen=True, slots=True)
class _Owner:
    """What a path begins with."""

    level: Level
    of: Callable[[Place], Any]
    fields: Mapping[str, Callable[[Any], AnyValue]]
    attributes: bool = True


def _value_kind(point: Any) -> str | None:
    return point.WhichOneof("value") if "as_int" in point.DESCRIPTOR.fields_by_name else None


_RESOURCE_OWNER: Final = _Owner(Level.RESOURCE, lambda place: place.group.resource, {})
_SCOPE_OWNER: Final = _Owner(Level.SCOPE, lambda place: place.scoped.scope, _SCOPE)
_EVERYWHERE: Final = {"resource": _RESOURCE_OWNER, "scope": _SCOPE_OWNER, "instrumentation_scope": _SCOPE_OWNER}
OWNERS: Final[Mapping[Signal, Mapping[str, _Owner]]] = {
    Signal.TRACES: {
        **_EVERYWHERE,
        "span": _Owner(Level.ITEM, lambda place: place.item, _SPAN),
        "spanevent": _Owner(Level.PART, lambda place: place.part, _EVENT),
    },
    Signal.LOGS: {**_EVERYWHERE, "log": _Owner(Level.ITEM, lambda place: place.item, _LOG)},
    Signal.METRICS: {
        **_EVERYWHERE,
        "metric": _Owner(Level.ITEM, lambda place: place.item, _METRIC, attributes=False),
        "datapoint": _Owner(Level.PART, lambda place: place.part, _POINT),
    },
}
"""What the paths of a signal may begin with."""


def make_path(signal: Signal, words: list[str], keys: list[Key], default: str) -> tuple[Level, Find]:
    """Return how deep a path looks, and what finds its value.

    Args:
        signal: What the condition is about.
        words: The names between its dots.
        keys: What stands in brackets behind the last.
        default: What a path without a known beginning begins with; empty where each must have one.

    Raises:
        ValueError: There is no such path.
    """
    owners = OWNERS[signal]
    shown = ".".join(words)
    if words[0] not in owners or len(words) == 1:
        if not default:
            raise ValueError(f'"{shown}" does not say of what; begin it with one of [{" ".join(owners)}]')
        words = [default, *words]
    owner = owners[words[0]]
    name = ".".join(words[1:])
    if name == "attributes" and owner.attributes:
        return owner.level, _attribute(owner, keys)
    if name not in owner.fields:
        known = [*owner.fields, *(["attributes"] if owner.attributes else [])]
        raise ValueError(f'"{shown}" is not available in conditions (valid: [{" ".join(known)}] of {words[0]})')
    field = owner.fields[name]
    return owner.level, lambda place: _item(field(owner.of(place)), keys)


def _attribute(owner: _Owner, keys: list[Key]) -> Find:
    if not keys:
        return lambda place: attributes_of(owner.of(place).attributes)
    first, *rest = keys
    if not isinstance(first, str):
        raise ValueError(f"attributes[{first}]: attributes have texts as keys")  # noqa: TRY004  # a mistake in a text

    def find(place: Place) -> AnyValue:
        value = get(owner.of(place).attributes, first)
        return None if value is None else _item(value_of(value), rest)

    return find


def _item(value: AnyValue, keys: list[Key]) -> AnyValue:
    for key in keys:
        if isinstance(key, str) and isinstance(value, dict):
            if key not in value:
                return None
            value = value[key]
        elif isinstance(key, int) and isinstance(value, list) and 0 <= key < len(value):
            value = value[key]
        else:
            raise ConditionError(f"a value of type {type(value).__name__} has no item {key!r}")
    return value
