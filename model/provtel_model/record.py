"""The record of one activity: what readers return, the same from every backend.

A `Record` is the typed view of a `PlainRecord`, the one storage form: a map in `AnyValue` form with integer
nanoseconds, from which everything unknown is left out. Stores keep plain records, filters look into them, the
canonical hash is computed over them.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict, cast

from provtel_model.values import decode

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue


DEFAULT_KIND: Final = "span"
"""Kind of a span that says nothing of PROV."""


class State(enum.StrEnum):
    """Where an activity stands; the order of definition is the order of the merge."""

    SUBMITTED = "submitted"
    RUNNING = "running"
    LOST = "lost"
    FINISHED = "finished"
    ERROR = "error"
    CANCELLED = "cancelled"

    @property
    def rank(self) -> int:
        """Return the place in ``submitted < running < lost < ended``; the three ended states are equal."""
        return _RANKS[self]

    @property
    def ended(self) -> bool:
        """Say whether the activity's own process recorded its end."""
        return self.rank == _RANKS[State.FINISHED]


_RANKS: Final = {
    State.SUBMITTED: 0,
    State.RUNNING: 1,
    State.LOST: 2,
    State.FINISHED: 3,
    State.ERROR: 3,
    State.CANCELLED: 3,
}


class PlainError(TypedDict, total=False):
    """Why an activity failed."""

    type: str
    message: str
    stacktrace: str


class PlainPlan(TypedDict, total=False):
    """The code that ran."""

    hash: str
    function: str
    file: str
    line: int


class PlainAgent(TypedDict, total=False):
    """Who acted."""

    id: str
    name: str
    type: str
    acted_on_behalf_of: str


class PlainScope(TypedDict, total=False):
    """The instrumentation scope that made the span."""

    name: str
    version: str
    attributes: dict[str, AnyValue]
    schema_url: str


class PlainEvent(TypedDict, total=False):
    """A span event; `time` in nanoseconds since the epoch."""

    name: str
    time: int
    attributes: dict[str, AnyValue]
    dropped: int


class PlainLink(TypedDict, total=False):
    """A span link; a data-flow edge where its attributes name a ``prov.relation``."""

    trace_id: str
    span_id: str
    trace_state: str
    attributes: dict[str, AnyValue]
    dropped: int


class PlainRecord(TypedDict, total=False):
    """The storage form of a record; a key whose value is unknown or empty is absent.

    ``trace_id`` (32 hex digits), ``span_id`` (16), ``name``, ``kind``, ``status`` and ``started_at`` are always there.
    `host`, `pid` and `rank` repeat what `resource` says, so that filters are short. ``span_status`` is 1 where the
    program said that all is well, which OpenTelemetry tells from nothing said.
    """

    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    name: str
    workflow_id: str
    workflow_name: str
    campaign_id: str
    status: str
    error: PlainError
    started_at: int
    ended_at: int
    last_seen_at: int
    used: dict[str, AnyValue]
    generated: dict[str, AnyValue]
    plan: PlainPlan
    agent: PlainAgent
    host: str
    pid: int
    rank: int
    telemetry: dict[str, AnyValue]
    resource: dict[str, AnyValue]
    scope: PlainScope
    tags: list[AnyValue]
    events: list[PlainEvent]
    links: list[PlainLink]
    attributes: dict[str, AnyValue]
    span_kind: int
    span_status: int
    trace_state: str
    dropped: dict[str, AnyValue]


class Key(NamedTuple):
    """What makes two copies the same record: the span's ids and its start."""

    id: str
    started_at: int


def record_id(trace_id: str, span_id: str) -> str:
    """Return the id of a record, ``<trace id>-<span id>`` in hexadecimal."""
    return f"{trace_id}-{span_id}"


def key_of(plain: PlainRecord) -> Key:
    """Return the identity of a plain record."""
    return Key(record_id(plain["trace_id"], plain["span_id"]), plain["started_at"])


def run_of(plain: PlainRecord) -> str:
    """Return the run of a plain record: its workflow, or its trace where it has none."""
    return plain.get("workflow_id") or plain["trace_id"]


def ancestors(record_id: str, get: Callable[[str], Record | None]) -> list[Record]:
    """Return the parent of a record, the parent's parent and so on, up to one that there is not or that came before.

    Args:
        record_id: The record.
        get: Returns a record by its id.
    """
    found: dict[str, Record] = {}
    record = get(record_id)
    while record is not None and record.parent_id is not None and record.parent_id not in {record_id, *found}:
        record = get(record.parent_id)
        if record is not None:
            found[record.id] = record
    return list(found.values())


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why an activity failed, as its exception said it."""

    type: str | None = None
    message: str | None = None
    stacktrace: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The code that ran: a hash of its source and where it is."""

    hash: str | None = None
    function: str | None = None
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Agent:
    """Who acted, and on whose behalf."""

    id: str | None = None
    name: str | None = None
    type: str | None = None
    acted_on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened while the activity ran."""

    name: str
    at: dt.datetime
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """A relation to another activity; `attributes` say which."""

    id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """One activity: what it was, what it used and generated, under which code, on whose behalf, at what cost.

    Values are Python values, times are timezone-aware. What is unknown is ``None`` or empty. `plain` is the storage
    form, which also decides equality.
    """

    plain: PlainRecord = field(repr=False)
    id: str = field(init=False, compare=False)
    kind: str = field(init=False, compare=False)
    name: str = field(init=False, compare=False)
    status: State = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Copy out what every reader looks at."""
        set_field = object.__setattr__
        set_field(self, "id", record_id(self.plain["trace_id"], self.plain["span_id"]))
        set_field(self, "kind", self.plain["kind"])
        set_field(self, "name", self.plain["name"])
        set_field(self, "status", State(self.plain["status"]))

    def __hash__(self) -> int:
        """Hash by identity of the activity, which equal records share."""
        return hash(key_of(self.plain))

    @property
    def trace_id(self) -> str:
        """The W3C trace id, 32 hexadecimal digits."""
        return self.plain["trace_id"]

    @property
    def span_id(self) -> str:
        """The W3C span id, 16 hexadecimal digits."""
        return self.plain["span_id"]

    @property
    def parent_id(self) -> str | None:
        """Id of the record that this one ran inside."""
        return self.plain.get("parent_id")

    @property
    def workflow_id(self) -> str | None:
        """Id of the workflow that this activity belongs to."""
        return self.plain.get("workflow_id")

    @property
    def workflow_name(self) -> str | None:
        """Name of that workflow."""
        return self.plain.get("workflow_name")

    @property
    def campaign_id(self) -> str | None:
        """Id of the campaign that the workflow belongs to."""
        return self.plain.get("campaign_id")

    @property
    def run(self) -> str:
        """The run: the workflow's id, or the trace's where there is no workflow."""
        return run_of(self.plain)

    @property
    def started_at(self) -> dt.datetime:
        """When it started."""
        return instant(self.plain["started_at"])

    @property
    def ended_at(self) -> dt.datetime | None:
        """When it ended; ``None`` for what has not, or whose end nobody saw."""
        return _instant_or_none(self.plain.get("ended_at"))

    @property
    def last_seen_at(self) -> dt.datetime | None:
        """The last sign of life of an activity that has not ended."""
        return _instant_or_none(self.plain.get("last_seen_at"))

    @property
    def duration(self) -> dt.timedelta | None:
        """How long it took, to the microsecond."""
        ended = self.plain.get("ended_at")
        return None if ended is None else dt.timedelta(microseconds=(ended - self.plain["started_at"]) / 1000)

    @property
    def error(self) -> ErrorInfo | None:
        """Why it failed."""
        return ErrorInfo(**self.plain["error"]) if "error" in self.plain else None

    @property
    def used(self) -> dict[str, Any]:
        """Inputs by role, as they were at the call."""
        return _decode_map(self.plain.get("used"))

    @property
    def generated(self) -> dict[str, Any]:
        """Outputs by role."""
        return _decode_map(self.plain.get("generated"))

    @property
    def plan(self) -> Plan | None:
        """The code that ran."""
        return Plan(**self.plain["plan"]) if "plan" in self.plain else None

    @property
    def agent(self) -> Agent | None:
        """Who acted."""
        return Agent(**self.plain["agent"]) if "agent" in self.plain else None

    @property
    def host(self) -> str | None:
        """Name of the host that it ran on."""
        return self.plain.get("host")

    @property
    def pid(self) -> int | None:
        """Process id on that host."""
        return self.plain.get("pid")

    @property
    def rank(self) -> int | None:
        """MPI rank."""
        return self.plain.get("rank")

    @property
    def telemetry(self) -> dict[str, Any]:
        """What it cost, by attribute name without the prefix ``task.``: ``cpu.user`` in seconds, and so on."""
        return _decode_map(self.plain.get("telemetry"))

    @property
    def resource(self) -> dict[str, Any]:
        """The process that ran it, by OTel resource attributes."""
        return _decode_map(self.plain.get("resource"))

    @property
    def tags(self) -> tuple[str, ...]:
        """The user's tags."""
        return tuple(str(tag) for tag in self.plain.get("tags", ()))

    @property
    def events(self) -> tuple[Event, ...]:
        """Span events, in the order they were added."""
        return tuple(
            Event(event["name"], instant(event["time"]), _decode_map(event.get("attributes")))
            for event in self.plain.get("events", ())
        )

    @property
    def links(self) -> tuple[Link, ...]:
        """Span links."""
        return tuple(
            Link(record_id(link["trace_id"], link["span_id"]), _decode_map(link.get("attributes")))
            for link in self.plain.get("links", ())
        )

    @property
    def attributes(self) -> dict[str, Any]:
        """Every other attribute of the span."""
        return _decode_map(self.plain.get("attributes"))


def instant(nanoseconds: int) -> dt.datetime:
    """Return the aware datetime of nanoseconds since the epoch, cut to microseconds."""
    return _EPOCH + dt.timedelta(microseconds=nanoseconds // 1000)


def nanoseconds_of(moment: dt.datetime) -> int:
    """Return the nanoseconds since the epoch of an aware datetime; a naive one is taken as local time."""
    delta = moment.astimezone(dt.UTC) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1000


_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _instant_or_none(nanoseconds: int | None) -> dt.datetime | None:
    return None if nanoseconds is None else instant(nanoseconds)


def _decode_map(value: Mapping[str, AnyValue] | None) -> dict[str, Any]:
    return {key: decode(item) for key, item in value.items()} if value else {}


def as_any_value(plain: PlainRecord) -> dict[str, AnyValue]:
    """Return a plain record as the map in AnyValue form that it is."""
    return cast("dict[str, AnyValue]", plain)


__all__ = [
    "Agent",
    "ErrorInfo",
    "Event",
    "Key",
    "Link",
    "PlainAgent",
    "PlainError",
    "PlainEvent",
    "PlainLink",
    "PlainPlan",
    "PlainRecord",
    "PlainScope",
    "Plan",
    "Record",
    "State",
    "ancestors",
    "as_any_value",
    "instant",
    "key_of",
    "nanoseconds_of",
    "record_id",
    "run_of",
]
