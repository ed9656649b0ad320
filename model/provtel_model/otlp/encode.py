"""Plain records to OTLP requests."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

from provtel_model import attributes as names
from provtel_model.components import Batch, Signal
from provtel_model.hashing import canonical_bytes
from provtel_model.otlp import wire
from provtel_model.otlp.mapping import to_attributes
from provtel_model.record import PlainEvent, PlainLink, PlainRecord, PlainScope, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provtel_model.anyvalue import AnyValue
    from provtel_model.telemetry import PlainLog, PlainPoint

MAX_ITEMS: Final = 512
MAX_BYTES: Final = 4 * 2**20

_STATUS_ERROR: Final = 2


def encode(records: Iterable[PlainRecord]) -> Iterator[Batch]:
    """Yield requests that carry the records, in their order: ended ones as spans, the others as log records.

    A request has at most 512 items and, unless a single item is larger, at most 4 MiB. Records with equal resource and
    scope share one header in it.
    """
    pending: dict[Signal, Request] = {}
    for plain in records:
        signal, item = _item(plain)
        request = pending.setdefault(signal, Request(signal))
        if not request.has_room(len(item)):
            yield request.batch()
            request = pending[signal] = Request(signal)
        request.add(plain, item)
    yield from (request.batch() for request in pending.values())


class Request:
    """A request that is being filled.

    Args:
        signal: What it carries.
    """

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._groups: dict[tuple[bytes, bytes], list[bytes]] = {}
        self._headers: dict[int, tuple[object, bytes]] = {}
        self._items = 0
        self._bytes = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added yet."""
        return not self._items

    def has_room(self, nbytes: int) -> bool:
        """Say whether an item of a length may be added."""
        return self._items < MAX_ITEMS and (not self._items or self._bytes + nbytes <= MAX_BYTES)

    def add(self, plain: PlainRecord | PlainPoint | PlainLog, item: bytes, items: int = 1) -> None:
        """Add encoded items that have the resource and the scope of a plain form."""
        key = (self._header(plain.get("resource", _NOTHING)), self._header(plain.get("scope", _NO_SCOPE)))
        self._groups.setdefault(key, []).append(item)
        self._items += items
        self._bytes += len(item)

    def _header(self, content: Mapping[str, AnyValue] | PlainScope) -> bytes:
        known = self._headers.get(id(content))
        if known is None:
            known = content, canonical_bytes(cast("dict[str, AnyValue]", content))
            self._headers[id(content)] = known
        return known[1]

    def batch(self) -> Batch:
        """Return what it holds."""
        contents: dict[bytes, Any] = {canonical: content for content, canonical in self._headers.values()}
        groups = (
            group(contents[resource], contents[scope], [wire.join(2, items)])
            for (resource, scope), items in self._groups.items()
        )
        return Batch(self._signal, b"".join(chain.from_iterable(groups)), self._items)


_NOTHING: Final[dict[str, AnyValue]] = {}
_NO_SCOPE: Final[PlainScope] = {}


def group(resource: dict[str, AnyValue], scope: PlainScope, items: list[bytes]) -> list[bytes]:
    """Return the pieces of a resource group; they are large, and joined once."""
    header = wire.text(1, scope.get("name", "")) + wire.text(2, scope.get("version", ""))
    header += wire.key_values(3, scope.get("attributes", {}))
    scoped = [wire.sized(1, header), *items, wire.text(3, scope.get("schema_url", ""))]
    size = sum(map(len, scoped))
    before = wire.sized(1, wire.key_values(1, resource)) + wire.head(2, size)
    return [wire.head(1, len(before) + size), before, *scoped]


def _item(plain: PlainRecord) -> tuple[Signal, bytes]:
    state = State(plain["status"])
    return (Signal.TRACES, encode_span(plain)) if state.ended else (Signal.LOGS, _log_record(plain, state))


def encode_span(plain: PlainRecord) -> bytes:
    """Return the content of the ``Span`` of a record that has ended."""
    state = State(plain["status"])
    attributes = to_attributes(plain)
    error = plain.get("error", {})
    if state is State.CANCELLED:
        attributes[names.PROV_ACTIVITY_STATE] = state.value
    if "type" in error:
        attributes[names.ERROR_TYPE] = error["type"]
    dropped = cast("dict[str, int]", plain.get("dropped", {}))
    parts = [
        wire.sized(1, bytes.fromhex(plain["trace_id"])),
        wire.sized(2, bytes.fromhex(plain["span_id"])),
        wire.text(3, plain.get("trace_state", "")),
        _parent(4, plain),
        wire.text(5, plain["name"]),
        wire.number(6, plain.get("span_kind", 0)),
        wire.fixed64(7, plain["started_at"]),
        wire.fixed64(8, plain.get("ended_at", 0)),
        wire.key_values(9, attributes),
        wire.number(10, dropped.get("attributes", 0)),
        wire.join(11, map(_event, plain.get("events", ()))),
        wire.number(12, dropped.get("events", 0)),
        wire.join(13, map(_link, plain.get("links", ()))),
        wire.number(14, dropped.get("links", 0)),
    ]
    if state is State.ERROR:
        parts.append(wire.sized(15, wire.text(2, error.get("message", "")) + wire.number(3, _STATUS_ERROR)))
    elif "span_status" in plain:
        parts.append(wire.sized(15, wire.number(3, plain["span_status"])))
    return b"".join(parts)


def _parent(field: int, plain: PlainRecord) -> bytes:
    parent = plain.get("parent_id")
    return wire.sized(field, bytes.fromhex(parent.partition("-")[2])) if parent else b""


def _event(event: PlainEvent) -> bytes:
    return (
        wire.fixed64(1, event["time"])
        + wire.text(2, event["name"])
        + wire.key_values(3, event.get("attributes", {}))
        + wire.number(4, event.get("dropped", 0))
    )


def _link(link: PlainLink) -> bytes:
    return (
        wire.sized(1, bytes.fromhex(link["trace_id"]))
        + wire.sized(2, bytes.fromhex(link["span_id"]))
        + wire.text(3, link.get("trace_state", ""))
        + wire.key_values(4, link.get("attributes", {}))
        + wire.number(5, link.get("dropped", 0))
    )


def _log_record(plain: PlainRecord, state: State) -> bytes:
    attributes = to_attributes(plain)
    attributes[names.PROV_ACTIVITY_NAME] = plain["name"]
    attributes[names.PROV_ACTIVITY_START_TIME] = plain["started_at"]
    if "parent_id" in plain:
        attributes[names.PROV_ACTIVITY_PARENT_ID] = plain["parent_id"].partition("-")[2]
    if "links" in plain:
        attributes[names.PROV_ACTIVITY_LINKS] = cast("list[Any]", plain["links"])
    if state is State.SUBMITTED:
        attributes[names.PROV_ACTIVITY_STATE] = state.value
    seen = plain.get("last_seen_at", plain["started_at"])
    return b"".join(
        (
            wire.fixed64(1, seen),
            wire.key_values(6, attributes),
            wire.sized(9, bytes.fromhex(plain["trace_id"])),
            wire.sized(10, bytes.fromhex(plain["span_id"])),
            wire.fixed64(11, seen),
            wire.text(12, _event_name(plain, state)),
        )
    )


def _event_name(plain: PlainRecord, state: State) -> str:
    if state is State.LOST:
        return names.EVENT_LOST
    seen = plain.get("last_seen_at", plain["started_at"])
    return names.EVENT_HEARTBEAT if seen > plain["started_at"] else names.EVENT_STARTED
