"""Actions on attributes, as the processors ``attributes`` and ``resource`` share them."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from provtel_collector.attribute_lists import as_text, drop_key, get, put, set_raw
from provtel_collector.patterns import compile_pattern
from provtel_collector.requests import drop

_PUTTING: Final = frozenset({"insert", "update", "upsert"})
_NAMES: Final = (*sorted(_PUTTING), "delete", "hash", "extract", "convert")
_CONVERTED: Final = ("string", "int", "double")
_METADATA: Final = "metadata."
_NO_METADATA: Final = ("auth.", "client.address")
_INT_LIMIT: Final = 2**63

Do = Callable[[Any, Mapping[str, str]], bool]
"""Does an action on a list of attributes, given the metadata of the request; returns whether it may have changed it."""


@dataclass(frozen=True)
class ActionConfig:
    """An action on attributes.

    Args:
        key: The attribute that is changed, or that ``extract`` reads.
        action: ``insert`` where it is missing, ``update`` where it is there, ``upsert`` in both cases; ``delete``,
            ``hash`` (SHA-256), ``extract`` by the named groups of a pattern, ``convert`` to another type.
        value: What it becomes.
        default_value: What it becomes where the source has nothing.
        from_attribute: The attribute whose value it becomes.
        from_context: The metadata of the request, such as ``metadata.tenant``, that it becomes.
        pattern: A regular expression: of keys to delete or hash, or of the value to extract from.
        converted_type: What ``convert`` makes of it, ``int``, ``double`` or ``string``.
    """

    key: str = ""
    action: str = ""
    value: Any = None
    default_value: Any = None
    from_attribute: str = ""
    from_context: str = ""
    pattern: str = ""
    converted_type: str = ""

    def __post_init__(self) -> None:
        """Refuse what does not fit together, in the OpenTelemetry Collector's words.

        Raises:
            ValueError: It does not.
        """
        name = self.action.lower()
        if name not in _NAMES:
            raise ValueError(f'unsupported action "{self.action}" (valid values: [{" ".join(_NAMES)}])')
        if self.from_context.startswith(_NO_METADATA):
            raise ValueError(f'from_context "{self.from_context}" is not available; metadata.KEY is')
        problem = _missing(self, name) or _superfluous(self, name)
        if problem:
            raise ValueError(f'error with key "{self.key}": {problem}')
        make_action(self)


def _missing(config: ActionConfig, name: str) -> str:
    if name in {"delete", "hash"}:
        return "" if config.key or config.pattern else 'at least one of "key" and "pattern" have to be used'
    if not config.key:
        return 'missing required field "key"'
    if name in _PUTTING and not (_has_source(config) or config.default_value is not None):
        return 'either field "value", "from_attribute", "from_context", or "default_value" must be specified'
    if name == "extract" and not config.pattern:
        return f'missing required field "pattern" for action "{name}"'
    if name == "convert" and not config.converted_type:
        return f'missing required field "converted_type" for action "{name}"'
    return ""


def _superfluous(config: ActionConfig, name: str) -> str:
    if name in _PUTTING and sum(_sources(config)) > 1:
        return "multiple value sources being set"
    if name not in _PUTTING and _has_source(config):
        return f'action "{name}" does not use "value" or "from_attribute" field. These must not be specified'
    if config.pattern and (name in _PUTTING or name == "convert"):
        return f'action "{name}" does not use the "pattern" field. This must not be specified'
    if config.converted_type and name != "convert":
        return f'action "{name}" does not use the "converted_type" field. This must not be specified'
    if config.converted_type and config.converted_type not in _CONVERTED:
        return f'invalid value "{config.converted_type}" in field "converted_type" for action "{name}"'
    return ""


def _has_source(config: ActionConfig) -> bool:
    return any(_sources(config))


def _sources(config: ActionConfig) -> tuple[bool, ...]:
    return config.value is not None, bool(config.from_attribute), bool(config.from_context)


class Actions:
    """Does several actions, one after the other.

    Args:
        configs: What the user wrote.
    """

    def __init__(self, configs: Sequence[ActionConfig]) -> None:
        self._actions = tuple(map(make_action, configs))

    def apply(self, attributes: Any, metadata: Mapping[str, str] = MappingProxyType({})) -> bool:
        """Change a list of attributes in place; return whether anything may have changed."""
        changed = False
        for action in self._actions:
            changed = action(attributes, metadata) or changed
        return changed


def make_action(config: ActionConfig) -> Do:
    """Return what does an action.

    Raises:
        ValueError: A pattern or a value is none.
    """
    name = config.action.lower()
    if name in _PUTTING:
        return _putting(config, name)
    makers: dict[str, Callable[[ActionConfig], Do]] = {
        "delete": _deleting,
        "hash": _hashing,
        "extract": _extracting,
        "convert": _converting,
    }
    return makers[name](config)


def _putting(config: ActionConfig, name: str) -> Do:
    given, default = _prepared(config.value), _prepared(config.default_value)

    def do(attributes: Any, metadata: Mapping[str, str]) -> bool:
        source = given
        if source is None and config.from_context:
            source = _prepared(metadata.get(config.from_context.removeprefix(_METADATA).lower()))
        if source is None and config.from_attribute:
            source = get(attributes, config.from_attribute)
        if source is None:
            source = default
        exists = get(attributes, config.key) is not None
        if source is None or (exists and name == "insert") or (not exists and name == "update"):
            return False
        copied = AnyValue()
        copied.CopyFrom(source)
        put(attributes, config.key).CopyFrom(copied)
        return True

    return do


def _prepared(raw: Any) -> AnyValue | None:
    if raw is None:
        return None
    value = AnyValue()
    set_raw(value, raw)
    return value


def _deleting(config: ActionConfig) -> Do:
    pattern = compile_pattern(config.pattern) if config.pattern else None

    def do(attributes: Any, _metadata: Mapping[str, str]) -> bool:
        changed = drop_key(attributes, config.key)
        return (pattern is not None and drop(attributes, lambda pair: bool(pattern.search(pair.key)))) or changed

    return do


def _hashing(config: ActionConfig) -> Do:
    pattern = compile_pattern(config.pattern) if config.pattern else None

    def do(attributes: Any, _metadata: Mapping[str, str]) -> bool:
        found = get(attributes, config.key)
        hashed = [] if found is None else [found]
        if pattern is not None:
            hashed += [pair.value for pair in attributes if pattern.search(pair.key)]
        for value in hashed:
            _hash(value)
        return bool(hashed)

    return do


def _hash(value: Any) -> None:
    content = _hashed_bytes(value)
    value.string_value = "" if content is None else hashlib.sha256(content).hexdigest()


def _hashed_bytes(value: Any) -> bytes | None:
    match value.WhichOneof("value"):
        case "string_value":
            return str(value.string_value).encode()
        case "bool_value":
            return bytes((value.bool_value,))
        case "int_value":
            return struct.pack("<q", value.int_value)
        case "double_value":
            return struct.pack("<d", value.double_value)
    return None


def _extracting(config: ActionConfig) -> Do:
    pattern = compile_pattern(config.pattern)
    names = {number: name for name, number in pattern.groupindex.items()}
    if not names:
        raise ValueError('field "pattern" contains no named matcher groups')
    if len(names) < pattern.groups:
        raise ValueError('field "pattern" contains at least one unnamed matcher group')

    def do(attributes: Any, _metadata: Mapping[str, str]) -> bool:
        source = get(attributes, config.key)
        if source is None or not source.HasField("string_value"):
            return False
        match = pattern.search(source.string_value)
        if match is None:
            return False
        for number in sorted(names):
            put(attributes, names[number]).string_value = match.group(number) or ""
        return True

    return do


def _converting(config: ActionConfig) -> Do:
    convert = {"string": _to_string, "int": _to_int, "double": _to_double}[config.converted_type]

    def do(attributes: Any, _metadata: Mapping[str, str]) -> bool:
        value = get(attributes, config.key)
        if value is None:
            return False
        convert(value)
        return True

    return do


def _to_string(value: Any) -> None:
    if not value.HasField("string_value"):
        value.string_value = as_text(value)


def _to_int(value: Any) -> None:
    match value.WhichOneof("value"):
        case "double_value" if math.isfinite(value.double_value) and abs(value.double_value) < _INT_LIMIT:
            value.int_value = int(value.double_value)
        case "bool_value":
            value.int_value = int(value.bool_value)
        case "string_value":
            number = _parsed_int(value.string_value)
            if number is not None:
                value.int_value = number


def _parsed_int(text: str) -> int | None:
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    number = int(text)
    return number if -_INT_LIMIT <= number < _INT_LIMIT else None


def _to_double(value: Any) -> None:
    match value.WhichOneof("value"):
        case "int_value":
            value.double_value = value.int_value
        case "bool_value":
            value.double_value = value.bool_value
        case "string_value":
            number = _parsed_double(value.string_value)
            if number is not None:
                value.double_value = number


def _parsed_double(text: str) -> float | None:
    # Go reads no blanks and no lone underscores, which Python does.
    if not text or text != text.strip() or "_" in text or not text.isascii():
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) or "n" in text.lower() else None
