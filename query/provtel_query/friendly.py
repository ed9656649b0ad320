"""Values and records as JSON that people and programs read at once: no tags, ISO 8601 times, references as maps."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from provtel_model.anyvalue import TYPE_KEY
from provtel_model.record import instant, key_of, run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainRecord, Record

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_ALWAYS: Final = (
    *("id", "name", "kind", "status", "run", "workflow_id", "workflow_name", "parent_id"),
    *("started_at", "ended_at", "duration", "used", "generated", "error", "telemetry"),
)
_WHERE_KNOWN: Final = (
    *("campaign_id", "last_seen_at", "plan", "agent", "host", "pid", "rank", "tags", "attributes", "events", "links"),
    *("resource", "scope", "trace_state", "dropped"),
)
_TIMES: Final = frozenset({"started_at", "ended_at", "last_seen_at"})


def as_json(value: AnyValue) -> Json:
    """Return a value for JSON.

    Tuples and sets become lists, decimals, times, paths and ids texts, objects and references maps, bytes base64, and
    numbers that JSON lacks the texts ``NaN``, ``Infinity`` and ``-Infinity``. What is told apart in a record may look
    the same here.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return _map(value)
    return value


def record_as_json(record: Record) -> dict[str, Json]:
    """Return a record for JSON: what every record has is always there, ``null`` or empty where it is unknown."""
    plain: Mapping[str, Any] = _with_ids(record.plain)
    result: dict[str, Json] = {key: _field(key, plain.get(key)) for key in _ALWAYS}
    result.update((key, _field(key, plain[key])) for key in _WHERE_KNOWN if key in plain)
    for key in ("used", "generated", "telemetry"):
        result[key] = result[key] or {}
    return result


def _with_ids(plain: PlainRecord) -> dict[str, Any]:
    result: dict[str, Any] = {**plain, "id": key_of(plain).id, "run": run_of(plain)}
    if "ended_at" in plain:
        result["duration"] = (plain["ended_at"] - plain["started_at"]) / 1e9
    if "events" in plain:
        result["events"] = [{**event, "time": instant(event["time"]).isoformat()} for event in plain["events"]]
    return result


def _field(key: str, value: Any) -> Json:
    return instant(value).isoformat() if key in _TIMES and value is not None else as_json(value)


def _map(value: dict[str, AnyValue]) -> Json:
    tag = value.get(TYPE_KEY)
    reader = _TAGS.get(tag) if isinstance(tag, str) else None
    if reader is not None:
        try:
            return reader(value)
        except (KeyError, TypeError, ValueError):
            pass
    return {key: as_json(item) for key, item in value.items()}


def _items(value: dict[str, AnyValue]) -> Json:
    return as_json(value["items"])


def _text(value: dict[str, AnyValue]) -> Json:
    held = value["value"]
    if isinstance(held, dict):
        return as_json(held)
    return held.decode("utf-8", "replace") if isinstance(held, bytes) else as_json(held)


def _entries(value: dict[str, AnyValue]) -> Json:
    entries: Any = value["entries"]
    keys = [as_json(key) for key, _ in entries]
    texts = [key if isinstance(key, str) else str(key) for key in keys]
    if len(set(texts)) < len(texts) or any(isinstance(key, list | dict) for key in keys):
        return as_json(entries)
    return {text: as_json(item) for text, (_, item) in zip(texts, entries, strict=True)}


def _fields(value: dict[str, AnyValue]) -> Json:
    fields: Any = value["fields"]
    return {"class": as_json(value["class"]), **{key: as_json(item) for key, item in fields.items()}}


def _integer(value: dict[str, AnyValue]) -> Json:
    return int(str(value["value"]), 16)


def _reference(value: dict[str, AnyValue]) -> Json:
    return {key: as_json(item) for key, item in value.items() if key != TYPE_KEY}


_TAGS: Final[dict[str, Callable[[dict[str, AnyValue]], Json]]] = {
    "tuple": _items,
    "set": _items,
    "frozenset": _items,
    "map": _entries,
    "object": _fields,
    "int": _integer,
    "reference": _reference,
    **dict.fromkeys(("str", "complex", "decimal", "uuid", "datetime", "date", "time", "timedelta", "path"), _text),
}
