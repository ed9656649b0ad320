"""Values on the wire: what OTLP's AnyValue holds goes as it is, everything else as a tagged map.

A captured value has three forms: the Python value, the `AnyValue` form, and the protobuf message. The journal, the
stores and the content hash all work on the second.

A tagged map has the reserved key ``provtel.type``. A user's own map that has this key, or keys that are no strings,
travels as the tag ``map``, which lists its entries; so no map of a user is ever mistaken for a tag.

======================  =====================================================================
tag                     other keys
======================  =====================================================================
``tuple``               ``items``
``set``, ``frozenset``  ``items``, in the order of their canonical bytes
``map``                 ``entries``: list of ``[key, value]``
``int``                 ``value``: hexadecimal text, for integers beyond 64 bits
``str``                 ``value``: bytes, UTF-8 with surrogates passed through
``complex``             ``value``: ``[real, imaginary]``
``decimal``, ``uuid``   ``value``: text
``datetime``, ``date``,
``time``                ``value``: ISO 8601 text
``timedelta``           ``value``: ``[days, seconds, microseconds]``
``path``                ``value``: text, or a ``str`` tag
``object``              ``class``: qualified name, ``fields``: map; an instance with known fields
``reference``           see `Reference`
======================  =====================================================================
"""

from __future__ import annotations

import datetime as dt
import decimal
import pathlib
import uuid
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from provtel_model.anyvalue import TYPE_KEY, AnyValue
from provtel_model.errors import MalformedError
from provtel_model.hashing import canonical_bytes

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_DECODE_DEPTH: Final = 100
_FILE_SCHEME: Final = "file://"
_PLAIN_TYPES: Final = frozenset({type(None), bool, float, bytes})


@dataclass(frozen=True, slots=True)
class Reference:
    """Stands for a value that the record does not hold: large, opaque, or outside the process.

    Args:
        type: Qualified name of the value's type, or ``file``.
        hash: ``sha256:<hex>`` of the whole content, or ``fp1:<hex>``, a sampled fingerprint, which is never evidence
            of equality.
        shape: Lengths along each axis.
        dtype: Element type as the value's library writes it.
        nbytes: Size of the content in bytes.
        preview: A short text for people.
        uri: Where the content lies.
    """

    type: str
    hash: str | None = None
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    nbytes: int | None = None
    preview: str | None = None
    uri: str | None = None

    def __fspath__(self) -> str:
        """Return the path of a file here, so that a reference to one opens like a path.

        Raises:
            TypeError: It refers to something else.
        """
        from urllib.parse import unquote

        if self.uri is None or not self.uri.startswith(_FILE_SCHEME):
            msg = f"a reference to {self.uri or self.type} is no path"
            raise TypeError(msg)
        return unquote(self.uri.removeprefix(_FILE_SCHEME))

    def to_value(self) -> dict[str, AnyValue]:
        """Return the AnyValue form; what is unknown is left out."""
        result: dict[str, AnyValue] = {TYPE_KEY: "reference", "type": self.type}
        for key in ("hash", "dtype", "nbytes", "preview", "uri"):
            known = getattr(self, key)
            if known is not None:
                result[key] = known
        if self.shape is not None:
            result["shape"] = list(self.shape)
        return result


@dataclass(frozen=True, slots=True)
class ObjectValue:
    """An instance of a class of the user's (a dataclass, an Enum member …), kept by its fields."""

    type: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """A tagged map that this version does not know; kept as it came."""

    raw: dict[str, AnyValue]


def encode(value: object, fallback: Callable[[object], AnyValue] | None = None) -> AnyValue:
    """Return the AnyValue form of a Python value, without loss.

    Args:
        value: Any value that the table of this module names, nested at will.
        fallback: Called with a value that the table does not name; returns its AnyValue form.

    Raises:
        TypeError: A value is not in the table and there is no fallback.
    """
    leaf = encode_leaf(value)
    if leaf is not NotImplemented:
        return leaf  # type: ignore[return-value]  # NotImplemented is excluded above
    container = _CONTAINERS.get(type(value))
    if container is not None:
        return container(value, fallback)
    if fallback is not None:
        return fallback(value)
    msg = f"{type(value).__qualname__} has no form on the wire"
    raise TypeError(msg)


_Fallback: TypeAlias = "Callable[[object], AnyValue] | None"


def _encode_items(items: Iterable[object], fallback: _Fallback) -> list[AnyValue]:
    return [encode(item, fallback) for item in items]


_CONTAINERS: Final[dict[type, Callable[[Any, _Fallback], AnyValue]]] = {
    list: _encode_items,
    tuple: lambda value, fallback: encode_tuple(_encode_items(value, fallback)),
    set: lambda value, fallback: encode_set(_encode_items(value, fallback)),
    frozenset: lambda value, fallback: encode_set(_encode_items(value, fallback), frozen=True),
    dict: lambda value, fallback: encode_map((encode(key, fallback), encode(value[key], fallback)) for key in value),
    ObjectValue: lambda value, fallback: encode_object(
        value.type, {key: encode(item, fallback) for key, item in value.fields.items()}
    ),
}


def encode_leaf(value: object) -> object:
    """Return the AnyValue form of a value that contains no others, or ``NotImplemented`` for any other value."""
    kind = type(value)
    if kind in _PLAIN_TYPES:
        return value
    encoder = _LEAVES.get(kind)
    if encoder is not None:
        return encoder(value)
    return NotImplemented


def encode_tuple(items: list[AnyValue]) -> dict[str, AnyValue]:
    """Return the form of a tuple of encoded items."""
    return {TYPE_KEY: "tuple", "items": items}


def encode_set(items: list[AnyValue], *, frozen: bool = False) -> dict[str, AnyValue]:
    """Return the form of a set of encoded items, in an order that does not depend on the process."""
    # Of integers, the text that their canonical bytes have in them gives the same order, and faster.
    key: Callable[[Any], Any] = "{};".format if {*map(type, items)} == {int} else canonical_bytes
    return {TYPE_KEY: "frozenset" if frozen else "set", "items": sorted(items, key=key)}


def encode_map(entries: Iterable[tuple[AnyValue, AnyValue]]) -> dict[str, AnyValue]:
    """Return the form of a map of encoded keys and values: itself where every key is text and none is reserved."""
    pairs = list(entries)
    if all(type(key) is str and key != TYPE_KEY for key, _ in pairs):
        return dict(pairs)  # type: ignore[arg-type]  # every key was checked to be text
    return {TYPE_KEY: "map", "entries": [[key, value] for key, value in pairs]}


def encode_object(class_name: str, fields: Mapping[str, AnyValue]) -> dict[str, AnyValue]:
    """Return the form of an instance that is known by its fields."""
    return {TYPE_KEY: "object", "class": class_name, "fields": dict(fields)}


def _encode_int(value: int) -> AnyValue:
    return value if _INT64_MIN <= value <= _INT64_MAX else {TYPE_KEY: "int", "value": hex(value)}


def _encode_str(value: str) -> AnyValue:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return {TYPE_KEY: "str", "value": value.encode("utf-8", "surrogatepass")}
    return value


def _tag(name: str, text: Callable[[Any], AnyValue]) -> Callable[[Any], AnyValue]:
    return lambda value: {TYPE_KEY: name, "value": text(value)}


_LEAVES: Final[dict[type, Callable[[Any], AnyValue]]] = {
    int: _encode_int,
    str: _encode_str,
    bytearray: bytes,
    complex: _tag("complex", lambda value: [value.real, value.imag]),
    decimal.Decimal: _tag("decimal", str),
    uuid.UUID: _tag("uuid", str),
    dt.datetime: _tag("datetime", dt.datetime.isoformat),
    dt.date: _tag("date", dt.date.isoformat),
    dt.time: _tag("time", dt.time.isoformat),
    dt.timedelta: _tag("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    pathlib.PosixPath: _tag("path", lambda value: _encode_str(str(value))),
    pathlib.PurePosixPath: _tag("path", lambda value: _encode_str(str(value))),
    Reference: Reference.to_value,
    Unrecognised: lambda value: value.raw,
}
LEAF_TYPES: Final = (*_PLAIN_TYPES, *_LEAVES)
"""The types of which `encode_leaf` has a form for every instance."""


def decode(value: AnyValue) -> Any:  # any Python value may come out
    """Return the Python value of an AnyValue form.

    Total: a tagged map that is unknown or malformed comes back as `Unrecognised`, never as an error.

    Raises:
        MalformedError: The tree is deeper than 100 levels.
    """
    return _decode(value, 0)


def _decode(value: AnyValue, depth: int) -> Any:
    if isinstance(value, list):
        _check_depth(depth)
        return [_decode(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    _check_depth(depth)
    if TYPE_KEY not in value:
        return {key: _decode(item, depth + 1) for key, item in value.items()}
    tag = value[TYPE_KEY]
    decoder = _DECODERS.get(tag) if isinstance(tag, str) else None
    if decoder is None:
        return Unrecognised(value)
    try:
        return decoder(value, depth + 1)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        return Unrecognised(value)


def _check_depth(depth: int) -> None:
    if depth > _DECODE_DEPTH:
        msg = f"a value is nested deeper than {_DECODE_DEPTH} levels"
        raise MalformedError(msg)


def _list(value: AnyValue) -> list[AnyValue]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _text(value: AnyValue) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _decode_map(value: dict[str, AnyValue], depth: int) -> dict[Hashable, Any]:
    entries = ((_list(entry)[0], _list(entry)[1]) for entry in _list(value["entries"]))
    return {_decode(key, depth): _decode(item, depth) for key, item in entries}


def _decode_object(value: dict[str, AnyValue], depth: int) -> ObjectValue:
    fields = value["fields"]
    if not isinstance(fields, dict):
        raise TypeError
    return ObjectValue(_text(value["class"]), {key: _decode(item, depth) for key, item in fields.items()})


def _decode_reference(value: dict[str, AnyValue], _depth: int) -> Reference:
    known = {key: item for key, item in value.items() if key not in {TYPE_KEY, "shape"}}
    nbytes = known.get("nbytes")
    if not all(isinstance(item, str) for key, item in known.items() if key != "nbytes"):
        raise TypeError
    if nbytes is not None and type(nbytes) is not int:
        raise TypeError
    shape = tuple(_list(value["shape"])) if "shape" in value else None
    if shape is not None and not all(type(length) is int for length in shape):
        raise TypeError
    return Reference(shape=shape, **known)  # type: ignore[arg-type]  # every field was checked above


def _decode_path(value: AnyValue, depth: int) -> pathlib.PurePath:
    return pathlib.Path(_text(_decode(value, depth)))


def _decode_surrogates(value: AnyValue) -> str:
    if not isinstance(value, bytes):
        raise TypeError
    return value.decode("utf-8", "surrogatepass")


def _numbers(value: AnyValue) -> list[Any]:
    items = _list(value)
    if not all(isinstance(item, int | float) for item in items):
        raise TypeError
    return items


_DECODERS: Final[dict[str, Callable[[dict[str, AnyValue], int], Any]]] = {
    "tuple": lambda value, depth: tuple(_decode(item, depth) for item in _list(value["items"])),
    "set": lambda value, depth: {_decode(item, depth) for item in _list(value["items"])},
    "frozenset": lambda value, depth: frozenset(_decode(item, depth) for item in _list(value["items"])),
    "map": _decode_map,
    "int": lambda value, _depth: int(_text(value["value"]), 16),
    "str": lambda value, _depth: _decode_surrogates(value["value"]),
    "complex": lambda value, _depth: complex(*_numbers(value["value"])),
    "decimal": lambda value, _depth: decimal.Decimal(_text(value["value"])),
    "uuid": lambda value, _depth: uuid.UUID(_text(value["value"])),
    "datetime": lambda value, _depth: dt.datetime.fromisoformat(_text(value["value"])),
    "date": lambda value, _depth: dt.date.fromisoformat(_text(value["value"])),
    "time": lambda value, _depth: dt.time.fromisoformat(_text(value["value"])),
    "timedelta": lambda value, _depth: dt.timedelta(*_numbers(value["value"])),
    "path": lambda value, depth: _decode_path(value["value"], depth),
    "object": _decode_object,
    "reference": _decode_reference,
}
