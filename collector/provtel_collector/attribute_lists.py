"""Attributes as OTLP carries them, a list of keys with values: found, put, removed, and shown as text."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

# In this order, because a truth is an integer to Python.
_SCALARS: Final = {
    bool: "bool_value",
    int: "int_value",
    float: "double_value",
    str: "string_value",
    bytes: "bytes_value",
}
_LEAST_PLAIN: Final = 1e-6
_LEAST_EXPONENT: Final = 1e21


def get(attributes: Any, key: str) -> Any:
    """Return the value of a key; of a key that comes twice the first counts. ``None`` where there is none."""
    return next((pair.value for pair in attributes if pair.key == key), None)


def put(attributes: Any, key: str) -> Any:
    """Return the value of a key, which gets an empty one where it has none."""
    found = get(attributes, key)
    return attributes.add(key=key).value if found is None else found


def drop_key(attributes: Any, key: str) -> bool:
    """Remove the first attribute of a key; return whether there was one."""
    for index, pair in enumerate(attributes):
        if pair.key == key:
            del attributes[index]
            return True
    return False


def set_raw(value: Any, raw: Any) -> None:
    """Make a value what a configuration says.

    Raises:
        ValueError: No attribute can have it.
    """
    value.Clear()
    if field := next((name for kind, name in _SCALARS.items() if isinstance(raw, kind)), None):
        setattr(value, field, raw)
    elif isinstance(raw, Mapping):
        value.kvlist_value.SetInParent()
        for key, one in raw.items():
            set_raw(value.kvlist_value.values.add(key=key).value, one)
    elif isinstance(raw, list | tuple):
        value.array_value.SetInParent()
        for one in raw:
            set_raw(value.array_value.values.add(), one)
    elif raw is not None:
        raise ValueError(f"{raw!r} cannot be the value of an attribute")


def as_text(value: Any) -> str:
    """Return any value as text, with the words of the OpenTelemetry Collector."""
    kind = value.WhichOneof("value")
    match kind:
        case None:
            return ""
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "double_value":
            return _double_text(value.double_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "array_value" | "kvlist_value":
            try:
                return _json(value)
            except ValueError:  # infinite, or no number: Go's encoder gives up on all of it
                return ""
    return str(getattr(value, kind))


def plain_double(number: float) -> str:
    """Return a number with all its digits and without an exponent, as few as tell it from every other."""
    if not math.isfinite(number):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(number)]
    shown = format(Decimal(repr(number)), "f")
    return shown.removesuffix(".0")


def _double_text(number: float) -> str:
    if not math.isfinite(number):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(number)]
    if number and not _LEAST_PLAIN <= abs(number) < _LEAST_EXPONENT:
        mantissa, _, exponent = repr(number).partition("e")
        return f"{mantissa}e{exponent[0]}{exponent[1:].lstrip('0')}"
    return plain_double(number)


def _json(value: Any) -> str:
    kind = value.WhichOneof("value")
    match kind:
        case None:
            return "null"
        case "string_value":
            return _quoted(value.string_value)
        case "bytes_value":  # none are null to Go's encoder
            return _quoted(base64.b64encode(value.bytes_value).decode()) if value.bytes_value else "null"
        case "double_value" if not math.isfinite(value.double_value):
            raise ValueError("JSON has no such number")
        case "array_value":
            return f"[{','.join(map(_json, value.array_value.values))}]"
        case "kvlist_value":
            members = {pair.key: pair.value for pair in value.kvlist_value.values}
            return "{" + ",".join(f"{_quoted(key)}:{_json(members[key])}" for key in sorted(members)) + "}"
    return as_text(value)


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
