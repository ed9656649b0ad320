"""From the frames of an activity to its plain record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from provtel_model import attributes as names
from provtel_model.journal.layout import Status
from provtel_model.origin import fields_of
from provtel_model.record import PlainRecord, State, record_id

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue
    from provtel_model.journal.layout import ProcessFacts
    from provtel_model.telemetry import PlainLog, PlainPoint

_STATES: Final = {Status.FINISHED: State.FINISHED, Status.ERROR: State.ERROR, Status.CANCELLED: State.CANCELLED}
_CPU_USER: Final = names.TASK_CPU_USER.removeprefix(names.TASK_PREFIX)
_CPU_SYSTEM: Final = names.TASK_CPU_SYSTEM.removeprefix(names.TASK_PREFIX)
_HISTOGRAM: Final = "histogram"
_POINTS: Final = frozenset({"gauge", "sum", _HISTOGRAM})
_NUMBERS: Final = frozenset({int, float})
_EXTREMES: Final = ("sum", "min", "max")


@dataclass(frozen=True, slots=True)
class DefinitionFacts:
    """What a definition frame holds."""

    number: int
    used: list[str]
    generated: list[str]
    facts: dict[str, Any]

    @property
    def is_span(self) -> bool:
        """Say whether its activities are spans of an OpenTelemetry tracer, which are told whole, events included."""
        return "scope" in self.facts


class Started(NamedTuple):
    """A start, and what it refers to.

    Args:
        definition: What all activities of its definition have in common.
        context: The run it belongs to, by fields of the plain record.
        items: The items of its frame, without the kind.
    """

    definition: DefinitionFacts
    context: dict[str, Any]
    items: list[Any]

    @property
    def context_number(self) -> int:
        """The number of its context within the journal."""
        return cast("int", self.items[1])


class Ended(NamedTuple):
    """An activity that ended.

    Args:
        start: Its start.
        end: The items of its end, without the kind.
        origin: What every record of the process has in common.
    """

    start: Started
    end: list[Any]
    origin: dict[str, Any]


def record_of(ended: Ended) -> PlainRecord:
    """Return the record of an activity that ended."""
    start, end, origin = ended
    _span, ended_at, status, generated, cpu_user, cpu_system = end[:6]
    plain = _record(start, origin)
    plain["status"] = _STATES[status].value
    plain["ended_at"] = ended_at
    if generated := _by_role(start.definition.generated, generated):
        plain["generated"] = generated
    if cpu_user is not None:
        # The kernel counts microseconds; more digits are the float's.
        cost = {_CPU_USER: round(cpu_user, 6), _CPU_SYSTEM: round(cpu_system, 6)}
        plain["telemetry"] = {**plain.get("telemetry", {}), **cost}
    if len(end) > 6:  # noqa: PLR2004  # the facts, which most ends have not
        _add_facts(plain, end[6])
    if not start.definition.is_span:
        _add_exception_event(plain)
    return plain


def open_record_of(start: Started, origin: dict[str, Any], status: State, seen_at: int) -> PlainRecord:
    """Return the record of an activity that has not ended."""
    plain = _record(start, origin)
    plain["status"] = status.value
    plain["last_seen_at"] = max(seen_at, plain["started_at"])
    return plain


def origin_of(process: ProcessFacts) -> dict[str, Any]:
    """Return what every record of a process has in common."""
    return {
        "resource": process.resource,
        "scope": {"name": names.SCOPE_NAME, "version": process.version},
        **fields_of(process.resource),
    }


def log_of(fields: dict[str, Any], origin: dict[str, Any]) -> PlainLog:
    """Return a log record with what is known of its process.

    Raises:
        TypeError: It is none.
    """
    if type(fields) is not dict or type(fields.get("time")) is not int:
        raise TypeError
    return cast("PlainLog", {**origin, **fields})


def points_of(items: list[Any], origin: dict[str, Any]) -> list[PlainPoint]:
    """Return the data points of a frame with what is known of their process.

    Raises:
        TypeError: They are none.
        ValueError: They are none.
    """
    time, began, metrics = items[:3]
    if type(time) is not int or type(began) is not int:
        raise TypeError
    points: list[dict[str, Any]] = []
    for common, some in metrics:
        if not (type(common) is dict and type(common.get("name")) is str and common.get("kind") in _POINTS):
            raise TypeError
        known = {**origin, **common, "time": time, **({} if common["kind"] == "gauge" else {"started_at": began})}
        is_good, field = (_is_histogram, "distribution") if common["kind"] == _HISTOGRAM else (_is_number, "value")
        for attributes, value in some:
            if type(attributes) is not dict or not is_good(value):
                raise TypeError
            points.append({**known, field: value, **({"attributes": attributes} if attributes else {})})
    return cast("list[PlainPoint]", points)


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS


def _is_histogram(value: Any) -> bool:
    """Say whether it is what OTLP can say of a histogram."""
    if type(value) is not dict or not {"count"} <= value.keys() <= {"count", "bounds", "counts", *_EXTREMES}:
        return False
    bounds, counts = value.get("bounds", []), value.get("counts", [])
    if type(bounds) is not list or type(counts) is not list:
        return False
    are_counts = all(type(count) is int and 0 <= count < 2**64 for count in (value["count"], *counts))
    return are_counts and all(
        type(number) is float for number in (*bounds, *(value[key] for key in _EXTREMES if key in value))
    )


def origin_within(definition: DefinitionFacts, origin: dict[str, Any]) -> dict[str, Any]:
    """Return what the spans of a tracer have in common with others of their provider, and of their process."""
    resource = {**origin.get("resource", {}), **definition.facts.get("resource", {})}
    scope = definition.facts.get("scope", origin.get("scope", {}))
    return {"resource": resource, "scope": scope, **fields_of(resource)}


def _record(start: Started, origin: dict[str, Any]) -> PlainRecord:
    _, _, trace, span, parent, started_at, used = start.items[:7]
    trace_id = trace.hex()
    plain: dict[str, Any] = {
        "trace_id": trace_id,
        "span_id": f"{span:016x}",
        **origin,
        **start.definition.facts,
        **start.context,
        "started_at": started_at,
    }
    if "resource" in start.definition.facts:
        plain.update(origin_within(start.definition, origin))
    if parent is not None:
        plain["parent_id"] = record_id(trace_id, f"{parent:016x}")
    if used := _by_role(start.definition.used, used):
        plain["used"] = used
    result = cast("PlainRecord", plain)
    if len(start.items) > 7:  # noqa: PLR2004  # the facts, which most starts have not
        _add_facts(result, start.items[7])
    return result


def _by_role(roles: list[str], values: list[AnyValue] | dict[str, AnyValue] | None) -> dict[str, AnyValue]:
    if isinstance(values, list):
        return dict(zip(roles, values, strict=False))
    return values or {}


def _add_facts(plain: PlainRecord, facts: dict[str, Any]) -> None:
    target = cast("dict[str, Any]", plain)
    for key, value in facts.items():
        known = target.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            target[key] = {**known, **value}
        elif isinstance(known, list) and isinstance(value, list):
            target[key] = known + value
        else:
            target[key] = value


def _add_exception_event(plain: PlainRecord) -> None:
    """Give an error the span event by which it travels; the journal has it once."""
    if "error" not in plain:
        return
    error = plain["error"]
    said = {
        names.EXCEPTION_TYPE: error.get("type"),
        names.EXCEPTION_MESSAGE: error.get("message"),
        names.EXCEPTION_STACKTRACE: error.get("stacktrace"),
    }
    attributes: dict[str, AnyValue] = {name: value for name, value in said.items() if value is not None}
    plain["events"] = [
        *plain.get("events", ()),
        {"name": names.EXCEPTION_EVENT, "time": plain["ended_at"], "attributes": attributes},
    ]
