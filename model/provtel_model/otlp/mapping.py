"""Which attribute of a span is which field of a plain record; both directions from the same tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from provtel_model import attributes as names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainAgent, PlainPlan, PlainRecord

DEFAULT_KIND: Final = "span"
"""Kind of a span that says nothing of PROV."""

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
_RESOURCE: Final[dict[str, tuple[str, type]]] = {
    names.HOST_NAME: ("host", str),
    names.PROCESS_PID: ("pid", int),
    names.MPI_RANK: ("rank", int),
}


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
    says_prov = _take_data(target, attributes)
    kind = attributes.get(names.PROV_ACTIVITY_TYPE)
    if isinstance(kind, str) and kind:
        plain["kind"] = kind
        del attributes[names.PROV_ACTIVITY_TYPE]
    else:
        plain["kind"] = "task" if says_prov else DEFAULT_KIND
    _take(target, _FIELDS, attributes)
    plan = _take({}, _PLAN, attributes)
    if plan:
        plain["plan"] = cast("PlainPlan", plan)
    agent = _take({}, _AGENT, attributes)
    if agent:
        plain["agent"] = cast("PlainAgent", agent)
    _take_telemetry_and_tags(plain, attributes)
    if attributes:
        plain["attributes"] = attributes


def _take(target: dict[str, Any], section: Mapping[str, str], attributes: dict[str, AnyValue]) -> dict[str, Any]:
    for name, key in section.items():
        value = attributes.get(name)
        if type(value) is (int if name == names.CODE_LINE_NUMBER else str):
            target[key] = attributes.pop(name)
    return target


def _take_data(target: dict[str, Any], attributes: dict[str, AnyValue]) -> bool:
    for name, key in _DATA.items():
        whole = attributes.get(name)
        values = dict(whole) if isinstance(whole, dict) else {}
        prefix = name + "."
        for flat in [attribute for attribute in attributes if attribute.startswith(prefix)]:
            values[flat.removeprefix(prefix)] = attributes.pop(flat)
        if values:
            target[key] = values
        if values or isinstance(whole, dict):
            attributes.pop(name, None)
    return "used" in target or "generated" in target


def _take_telemetry_and_tags(plain: PlainRecord, attributes: dict[str, AnyValue]) -> None:
    costs = [name for name in attributes if name.startswith(names.TASK_PREFIX)]
    if costs:
        plain["telemetry"] = {name.removeprefix(names.TASK_PREFIX): attributes.pop(name) for name in costs}
    tags = attributes.get(names.WORKFLOW_TASK_TAGS)
    if isinstance(tags, list) and tags and all(isinstance(tag, str) for tag in tags):
        plain["tags"] = tags
        del attributes[names.WORKFLOW_TASK_TAGS]


def put_resource(plain: PlainRecord, resource: dict[str, AnyValue]) -> None:
    """Give a plain record its resource, and the fields that repeat a part of it."""
    if not resource:
        return
    plain["resource"] = resource
    for name, (key, kind) in _RESOURCE.items():
        value = resource.get(name)
        if type(value) is kind:
            cast("dict[str, Any]", plain)[key] = value
