"""A configuration as a document again: everything that counts, defaults included, secrets hidden unless asked for."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import yaml
from provtel_model.settings import Duration, Secret, Size

if TYPE_CHECKING:
    from provtel_collector_config.configuration import Configuration, Configured, Pipeline
    from provtel_collector_config.ids import ComponentId

_SECOND: Final = 10**9
_USER_OF_URL: Final = re.compile(r"(?<=://)[^/?#\s]+(?=@)")
_FRACTIONS: Final = (("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1))


def as_yaml(document: Mapping[str, Any]) -> str:
    """Return a document in YAML."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, indent=2)


def as_json(document: Mapping[str, Any]) -> str:
    """Return a document in JSON, with line breaks."""
    return json.dumps(document, indent=2) + "\n"


def document(configuration: Configuration, *, reveal: bool = False) -> dict[str, Any]:
    """Return what a configuration says, as plain values.

    Args:
        configuration: The configuration.
        reveal: Show secrets; what is returned can then be loaded, and makes the same configuration.
    """
    sections = {str(kind): _section(configured, reveal=reveal) for kind, configured in configuration.components.items()}
    pipelines = {str(id_): _pipeline(pipeline) for id_, pipeline in configuration.pipelines.items()}
    service = {
        "extensions": _ids(configuration.extensions),
        "pipelines": pipelines,
        "telemetry": plain(configuration.telemetry, reveal=reveal),
    }
    return {**{kind: section for kind, section in sections.items() if section}, "service": service}


def plain(value: Any, *, reveal: bool = False) -> Any:
    """Return a value of a configuration as YAML has it; what is None is left out.

    Args:
        value: The value.
        reveal: Show secrets, and who logs in by a URL, ``http://name:password@host``.
    """
    match value:
        case Secret():
            return value.reveal().replace("$", "$$") if reveal else str(value)
        case Duration():
            return spell_duration(value)
        case Size():
            return int(value)
        case str():
            return (value if reveal else _USER_OF_URL.sub(str(Secret("")), value)).replace("$", "$$")
        case Mapping():
            return {key: plain(item, reveal=reveal) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item, reveal=reveal) for item in value]
    if dataclasses.is_dataclass(value):
        items = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return {name: plain(item, reveal=reveal) for name, item in items.items() if item is not None}
    return value


def spell_duration(duration: float) -> str:
    """Return a length of time as Go writes it: ``200ms``, ``1.5s``, ``1h2m``."""
    nanoseconds = round(abs(duration) * _SECOND)
    minutes, rest = divmod(nanoseconds, 60 * _SECOND)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", _spell_seconds(rest) if rest else ""]
    return ("-" if duration < 0 else "") + ("".join(parts) or "0s")


def _spell_seconds(nanoseconds: int) -> str:
    unit, size = next((unit, size) for unit, size in _FRACTIONS if nanoseconds >= size)
    whole, fraction = divmod(nanoseconds, size)
    digits = f"{fraction:0{len(str(size)) - 1}d}".rstrip("0") if fraction else ""
    return f"{whole}.{digits}{unit}" if digits else f"{whole}{unit}"


def _section(configured: Mapping[ComponentId, Configured], *, reveal: bool) -> dict[str, Any]:
    return {str(id_): plain(one.config, reveal=reveal) for id_, one in configured.items()}


def _pipeline(pipeline: Pipeline) -> dict[str, list[str]]:
    return {
        "receivers": _ids(pipeline.receivers),
        "processors": _ids(pipeline.processors),
        "exporters": _ids(pipeline.exporters),
    }


def _ids(ids: tuple[ComponentId, ...]) -> list[str]:
    return [str(id_) for id_ in ids]
