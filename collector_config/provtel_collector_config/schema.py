"""A JSON schema of a whole configuration file, for editors, from the dataclasses that read it.

It knows the shape of a document: sections, ids, keys and the kinds of their values. What must hold between the parts is
known to `loading` alone. Wherever a value is no text, a reference to one, ``${env:NAME}``, may stand in its place.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin

from provtel_model.settings import Duration, Secret, Size

from provtel_collector_config.ids import Kind
from provtel_collector_config.keys import REQUIRED, Key, is_list_of_texts, is_map, keys_of, summary, without_none
from provtel_collector_config.printing import plain
from provtel_collector_config.telemetry import TelemetryConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.components import Factory

    from provtel_collector_config.loading import Factories

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_REFERENCE: Final = {"type": "string", "pattern": r"\$\{[^}]*\}"}
_PAIRS: Final = {
    "type": "array",
    "items": {"type": "object", "required": ["name", "value"], "additionalProperties": {"type": "string"}},
}
_DURATION: Final = r"^\+?((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+$|^\+?0$"
_SIZE: Final = r"^\d+\s*([KMG]i?B|B)?$"
_ID: Final = r"^[a-zA-Z][0-9a-zA-Z_]{0,62}(/[^\s]+)?$"
_NAMED: Final = r"(\s*/\s*\S+)?\s*$"
_PIPELINE: Final = rf"^(traces|metrics|logs){_NAMED}"


def schema(factories: Factories) -> Schema:
    """Return the schema of a configuration that names some of the component types that there are."""
    sections: Schema = {kind: _section(kind, factories.get(kind, {})) for kind in Kind}
    return {
        "$schema": DIALECT,
        "title": "Configuration of provtel collector",
        "description": "In the grammar of the OpenTelemetry Collector. Several files merge into one configuration.",
        **_map({**sections, "service": _service()}),
    }


def config_schema(config: type[Any]) -> Schema:
    """Return the schema of what a dataclass reads."""
    keys = list(keys_of(config))
    required = [key.name for key in keys if key.default is REQUIRED]
    made = {"description": summary(config), **_map({key.name: _key(key) for key in keys})}
    return {**made, "required": required} if required else made


def _section(kind: Kind, factories: Mapping[str, Factory]) -> Schema:
    types = {f"^{type_}{_NAMED}": config_schema(factory.config) for type_, factory in factories.items()}
    return _optional({"type": "object", "patternProperties": types, "additionalProperties": False}) | {
        "description": f"The {kind} that there are, each type or type/name; those that the service names run."
    }


def _service() -> Schema:
    ids = {"type": "array", "items": {"type": "string", "pattern": _ID}}
    pipeline = _map({name: _or_reference(ids) for name in ("receivers", "processors", "exporters")})
    pipelines = {"type": "object", "patternProperties": {_PIPELINE: pipeline}, "additionalProperties": False}
    telemetry = config_schema(TelemetryConfig)
    return _map({"extensions": _or_reference(ids), "pipelines": _or_reference(pipelines), "telemetry": telemetry})


def _key(key: Key) -> Schema:
    made = _or_reference(_value(key.kind))
    if key.meaning:
        made = {**made, "description": key.meaning}
    told = key.default is not REQUIRED and key.default is not None and key.default != Secret("")
    return {**made, "default": plain(key.default)} if told else made


def _value(kind: Any) -> Schema:
    """Return the schema of a value of a type; whatever a type is that is not known here, anything may be its value."""
    kind = without_none(kind)
    if get_origin(kind) is Union:
        return {"anyOf": [_value(member) for member in get_args(kind)]}
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return config_schema(kind)
    made: Schema
    if is_map(kind):
        inner = get_args(kind)
        made = {"type": "object", "additionalProperties": _or_reference(_value(inner[-1])) if inner else True}
        return {"anyOf": [made, _PAIRS]} if inner and inner[-1] is Secret else made
    if get_origin(kind) in {tuple, list}:
        made = {"type": "array", "items": _or_reference(_value(get_args(kind)[0]))}
        return {"anyOf": [made, {"type": "string"}]} if is_list_of_texts(kind) else made
    return _scalar(kind)


def _scalar(kind: Any) -> Schema:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [member.value for member in kind]}
    known: dict[Any, Schema] = {
        bool: {"type": "boolean"},
        int: {"type": "integer"},
        float: {"type": "number"},
        str: {"type": "string"},
        Secret: {"type": "string"},
        Duration: {"anyOf": [{"type": "string", "pattern": _DURATION}, {"const": 0}]},
        Size: {"anyOf": [{"type": "string", "pattern": _SIZE}, {"type": "integer", "minimum": 0}]},
    }
    return known.get(kind, {})


def _map(properties: Schema) -> Schema:
    return _optional({"type": "object", "properties": properties, "additionalProperties": False})


def _optional(made: Schema) -> Schema:
    """Return the schema of a map that may be null, or come by a reference."""
    return {**made, "type": ["object", "null", "string"], "pattern": _REFERENCE["pattern"]}


def _or_reference(made: Schema) -> Schema:
    """Return a schema that also takes null and a reference."""
    if not made or made.get("type") == "string" or isinstance(made.get("type"), list):
        return {**made, "type": ["string", "null"]} if made.get("type") == "string" else made
    return {"anyOf": [made, _REFERENCE, {"type": "null"}]}
