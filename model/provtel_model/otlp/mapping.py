"""Which attribute of a span is which field of a plain record; both directions from the same tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from provtel_model import attributes as names
from provtel_model.origin import fields_of
from provtel_model.record import DEFAULT_KIND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainRecord

_FIELDS: Final = {
    names.WORKFLOW_ID: "workflow_id",
    names.WORKFLOW_NAME: "workflow_name",
    names.WORKFLOW_CAMPAIGN_ID: "campaign_id",
}
_PLAN: Final = {
    names.PROV_PLAN_HASH: "hash",
    names.CODE_FUNCTION_NAME: "function",
    names.CODE_FILE_PATH: "file",
    names.CODE_LINE_NUMBER: "line",
}
_AGENT: Final = {
    names.PROV_AGENT_ID: "id",
    names.PROV_AGENT_NAME: "name",
    names.PROV_AGENT_TYPE: "type",
    names.PROV_AGENT_ACTED_ON_BEHALF_OF: "acted_on_behalf_of",
}
_DATA: Final = {names.PROV_USED: "used", names.PROV_GENERATED: "generated"}


def to_attributes(plain: PlainRecord) -> dict[str, AnyValue]:
    """Return the span attributes of a plain record."""
    result: dict[str, AnyValue] = {}
    source = cast("Mapping[str, Any]", plain)
    if plain["kind"] != DEFAULT_KIND or "used" in plain or "generated" in plain:
        result[names.PROV_ACTIVITY_TYPE] = plain["kind"]
    for name, key in (*_FIELDS.items(), *_DATA.items()):
        if key in source:
            result[name] = source[key]
    _put_section(result, _PLAN, source.get("plan"))
    _put_section(result, _AGENT, source.get("agent"))
    for key, value in plain.get("telemetry", {}).items():
        result[names.TASK_PREFIX + key] = value
    if "tags" in plain:
        result[names.WORKFLOW_TASK_TAGS] = plain["tags"]
    result.update(plain.get("attributes", {}))
    return result


def _put_section(
    result: dict[str, AnyValue], section: Mapping[str, str], values: Mapping[str, AnyValue] | None
) -> None:
    if values:
        result.update((name, values[key]) for name, key in section.items() if key in values)


def take_attributes(plain: PlainRecord, attributes: dict[str, AnyValue]) -> None:
    """Move span attributes into the fields of a plain record; what has no field stays in ``attributes``.

    An attribute whose type is not the registry's stays an attribute: nothing of a foreign span is lost.
    """
    target = cast("dict[str, Any]", plain)
    rest: dict[str, AnyValue] = {}
    flattened: dict[str, dict[str, AnyValue]] = {}
    for name, value in attributes.items():
        place = _PLACES.get(name)
        if place is None:
            if name.startswith(names.TASK_PREFIX):
                target.setdefault("telemetry", {})[name.removeprefix(names.TASK_PREFIX)] = value
            elif name.startswith(FLATTENED):
                attribute, _, role = name[len(_COMMON) :].partition(".")
                flattened.setdefault(_COMMON + attribute, {})[role] = value
            else:
                rest[name] = value
        elif fits(name, value):
            section = target if place.section is None else target.setdefault(place.section, {})
            section[place.key] = value
        else:
            rest[name] = value
    _join_data(target, flattened, rest)
    if "kind" not in plain:
        plain["kind"] = "task" if "used" in plain or "generated" in plain else DEFAULT_KIND
    if rest:
        plain["attributes"] = rest


def fits(name: str, value: AnyValue) -> bool:
    """Say whether an attribute has the type that the registry gives it; one that is not registered has any."""
    place = _PLACES.get(name)
    return place is None or (type(value) is place.type and place.accepts(value))


class _Place(NamedTuple):
    """Where an attribute of one type goes: a key of the plain record, or of a section of it."""

    section: str | None
    key: str
    type: type
    accepts: Callable[[Any], bool] = lambda _value: True


_PLACES: Final[dict[str, _Place]] = {
    **{name: _Place(None, key, str) for name, key in _FIELDS.items()},
    **{name: _Place("plan", key, int if name == names.CODE_LINE_NUMBER else str) for name, key in _PLAN.items()},
    **{name: _Place("agent", key, str) for name, key in _AGENT.items()},
    **{name: _Place(None, key, dict) for name, key in _DATA.items()},
    names.PROV_ACTIVITY_TYPE: _Place(None, "kind", str, bool),
    names.WORKFLOW_TASK_TAGS: _Place(
        None, "tags", list, lambda tags: bool(tags) and all(isinstance(tag, str) for tag in tags)
    ),
}
TYPED: Final = frozenset(_PLACES)
"""The attributes that must have the type of the registry to be a field of a record; see `fits`."""
FLATTENED: Final = tuple(name + "." for name in _DATA)
"""How attributes begin that are one role each, from SDKs that cannot write maps."""
PLAIN_PLACES: Final = {name: (*place[:3], name != names.WORKFLOW_TASK_TAGS) for name, place in _PLACES.items()}
"""The places as the compiled way reads them: section, key, type, and whether any value that is not empty is fine."""
_COMMON: Final = "prov."


def _join_data(target: dict[str, Any], flattened: Mapping[str, dict[str, AnyValue]], rest: dict[str, AnyValue]) -> None:
    """Join roles that came one by one with those that came as a map; without either there is no such field."""
    for name, key in _DATA.items():
        if name in flattened:
            target[key] = {**target.get(key, {}), **flattened[name]}
            rest.pop(name, None)
        elif key in target and not target[key]:
            del target[key]


def put_resource(plain: PlainRecord, resource: dict[str, AnyValue]) -> None:
    """Give a plain record its resource, and the fields that repeat a part of it."""
    if not resource:
        return
    plain["resource"] = resource
    cast("dict[str, Any]", plain).update(fields_of(resource))
