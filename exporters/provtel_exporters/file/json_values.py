"""Values as JSON without loss: what JSON lacks travels as a tagged map, with the tags of `provtel_model.values`.

``bytes`` is base64 in `value`, ``float`` one of ``NaN``, ``Infinity`` and ``-Infinity``, or
the bits of another NaN in hexadecimal. A map that looks like one of
these, or like this, is ``json`` with its `entries`: a list of pairs.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import TYPE_CHECKING, Any, Final

from provtel_model.anyvalue import TYPE_KEY
from provtel_model.errors import MalformedError

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue

_TAGS: Final = frozenset({"bytes", "float", "json"})
_NUMBERS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DOUBLE: Final = struct.Struct(">d")
_SCALARS: Final = frozenset({type(None), bool, int, str})


def to_json(value: AnyValue) -> str:
    """Return a value as JSON, which `from_json` reads back.

    Raises:
        TypeError: It is not in AnyValue form.
    """
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def from_json(text: str) -> AnyValue:
    """Return the value that a text holds.

    Raises:
        MalformedError: It holds none.
    """
    try:
        return _value(json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError, struct.error) as error:
        raise MalformedError(f"{text[:50]!r} is no value in JSON: {error!r}") from None


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is float:
        return value if math.isfinite(value) else _tagged("float", _name(value))
    if kind is bytes:
        return _tagged("bytes", base64.b64encode(value).decode())
    if kind is list:
        return [_plain(item) for item in value]
    if kind is not dict or not all(type(key) is str for key in value):
        msg = f"{kind.__qualname__} has no form in a record"
        raise TypeError(msg)
    tag = value.get(TYPE_KEY)
    if isinstance(tag, str) and tag in _TAGS:
        return {TYPE_KEY: "json", "entries": [[key, _plain(item)] for key, item in value.items()]}
    return {key: _plain(item) for key, item in value.items()}


def _name(value: float) -> str:
    if not math.isnan(value):
        return "Infinity" if value > 0 else "-Infinity"
    bits = _DOUBLE.pack(value)
    return "NaN" if bits == _DOUBLE.pack(math.nan) else bits.hex()


def _tagged(tag: str, value: str) -> dict[str, str]:
    return {TYPE_KEY: tag, "value": value}


def _value(plain: Any) -> AnyValue:
    if isinstance(plain, list):
        return [_value(item) for item in plain]
    if not isinstance(plain, dict):
        return plain  # type: ignore[no-any-return]  # JSON has nothing else
    tag = plain.get(TYPE_KEY)
    if tag == "bytes":
        return base64.b64decode(plain["value"], validate=True)
    if tag == "float":
        name = plain["value"]
        return _NUMBERS[name] if name in _NUMBERS else float(_DOUBLE.unpack(bytes.fromhex(name))[0])
    if tag == "json":
        return {key: _value(item) for key, item in plain["entries"]}
    return {key: _value(item) for key, item in plain.items()}
