"""Records, data points and log records as BSON documents that people can query, and back without loss.

A document has the fields of the record as they are, so that ``used.lr`` is found under ``used.lr``. Attributes, whose
names have dots, are nested: the resource attribute ``host.name`` is at ``resource.host.name``. What a document cannot
hold as it is is there in a form for people, and in whole under ``provtel.exact``, packed by MessagePack: fields with
names that hold dots, dollar signs or NUL, or that collide when they are nested; integers beyond 64 bits; what is nested
deeper than MongoDB takes. What makes a document larger than MongoDB takes is split off into other documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import bson
import ormsgpack
from bson.binary import Binary
from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from provtel_model.record import PlainRecord, key_of, run_of
from provtel_model.telemetry import PlainLog, PlainPoint, check_observation, observation_id, records_of

from provtel_exporters.mongodb import layout
from provtel_exporters.mongodb.layout import OURS, compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

LAST_INT: Final = 2**63 - 1
FIRST_INT: Final = -(2**63)
MAX_DOCUMENT: Final = 16 * 2**20 - 2**14
PART_BYTES: Final = 8 * 2**20

_MAX_DEPTH: Final = 40
_SHOWN_DEPTH: Final = 10
_ATTRIBUTES: Final = "attributes"
_ATTRIBUTE_MAPS: Final = frozenset({"resource", "telemetry", _ATTRIBUTES})
_WITH_ATTRIBUTES: Final = frozenset({"events", "links", "exemplars", "scope"})
_SHARED: Final = frozenset({"resource", "scope"})
_NEVER_APART: Final = frozenset({"trace_id", "span_id", "kind", "status", "started_at", "time"})
_SCALARS: Final = frozenset({str, float, bool, type(None), bytes})
_NOT_OF_THE_RECORD: Final = ("_id", "id", "run", "duration", OURS)


class _Integers(TypeDecoder):
    """Makes 64-bit integers plain ones, which pymongo does only with those of 32 bits."""

    bson_type = Int64

    def transform_bson(self, value: Any) -> int:
        """Return the plain integer."""
        return int(value)


CODEC: Final[CodecOptions[dict[str, Any]]] = CodecOptions(type_registry=TypeRegistry([_Integers()]))
"""How documents are read."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of what is too large for its document."""

    id: str
    of: str
    data: bytes

    def document(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {"_id": self.id, "of": self.of, "data": Binary(self.data)}


class Document(NamedTuple):
    """A document that is ready to be written.

    Args:
        id: Its ``_id``.
        content: All of it, in BSON.
        parts: What must be written before it.
    """

    id: str
    content: bytes
    parts: Sequence[Part] = ()


class Encoder:
    """Makes documents of what one call writes; what many of them share is looked at once."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[object, Any, bool]] = {}
        self._shared: dict[int, tuple[object, bytes | None]] = {}

    def record(self, identity: str, plain: PlainRecord, stamp: dict[str, Any]) -> Document:
        """Return the document of a record.

        Args:
            identity: Its ``_id``.
            plain: The record.
            stamp: Who writes it, and when: ``by``, ``batch``, ``number``.

        Raises:
            ValueError: A part of it that cannot be split off is too large.
            TypeError: A value is of no type that a record can have.
        """
        if compiled is not None:
            content = compiled.record(identity, plain, stamp, self._shared)
            if content is not None:
                return Document(identity, content)
        computed: dict[str, Any] = {"_id": identity, "id": key_of(plain).id, "run": run_of(plain)}
        if "ended_at" in plain:
            computed["duration"] = (plain["ended_at"] - plain["started_at"]) / 1e9
        ours = dict(stamp)
        for role in ("used", "generated"):
            values = cast("dict[str, Any]", plain).get(role)
            if values:
                ours[role] = layout.key_numbers(plain, values)
        if "links" in plain:
            ours["linked"] = layout.linked_ids(plain)
        return self._document(computed, cast("dict[str, Any]", plain), ours)

    def observation(self, plain: PlainPoint | PlainLog) -> Document:
        """Return the document of a data point or a log record.

        Raises:
            ValueError: Its time is none, or a part of it that cannot be split off is too large.
            TypeError: A value is of no type that it can have.
        """
        check_observation(plain)
        identity, named = observation_id(plain), sorted(records_of(plain))
        ours: dict[str, Any] = {"records": named} if named else {}
        if compiled is not None:
            content = compiled.observation(identity, plain, ours, self._shared)
            if content is not None:
                return Document(identity, content)
        return self._document({"_id": identity}, cast("dict[str, Any]", plain), ours)

    def _document(self, computed: dict[str, Any], plain: dict[str, Any], ours: dict[str, Any]) -> Document:
        exact: dict[str, Any] = {}
        result = computed
        for name, value in plain.items():
            kind = type(value)
            if kind is str or (kind is int and FIRST_INT <= value <= LAST_INT):
                result[name] = value
                continue
            readable, is_exact = self._shared_readable(name, value) if name in _SHARED else _readable(name, value)
            result[name] = readable
            if not is_exact:
                exact[name] = Binary(_pack(value))
        if exact:
            ours["exact"] = exact
        if ours:
            result[OURS] = ours
        content = bson.encode(result)
        if len(content) <= MAX_DOCUMENT:
            return Document(result["_id"], content)
        return _split(result, plain, ours)

    def _shared_readable(self, name: str, value: Any) -> tuple[Any, bool]:
        """Return `_readable` of what all records of one process share, encoded once."""
        known = self._seen.get(id(value))
        if known is None:
            readable, is_exact = _readable(name, value)
            raw = RawBSONDocument(_encoded(readable)) if isinstance(readable, dict) else readable
            known = self._seen[id(value)] = (value, raw, is_exact)
        return known[1:]


def _encoded(document: dict[str, Any]) -> bytes:
    """Return a document within another in BSON: of one alone pymongo would put a field ``_id`` first."""
    return bson.encode({"": document})[6:-1]


def _readable(name: str, value: Any) -> tuple[Any, bool]:
    """Return what a document holds of a field, and whether that is all of it."""
    if type(value) is int:
        return max(FIRST_INT, min(value, LAST_INT)), False
    if name in _ATTRIBUTE_MAPS:
        nested = _nested(value)
    elif name in _WITH_ATTRIBUTES:
        nested = _with_nested(value)
    else:
        nested = value if _is_plain(value) else None
    return (_shown(value), False) if nested is None and value is not None else (nested, True)


def to_plain(document: Mapping[str, Any], read_parts: Callable[[str, list[str]], bytes]) -> dict[str, Any]:
    """Return the record, data point or log record that a document, or a projection of one, holds.

    Args:
        document: What was read, with `CODEC`.
        read_parts: Returns what was split off of a document, by its ``_id`` and those of the parts.
    """
    plain = {name: value for name, value in document.items() if name not in _NOT_OF_THE_RECORD}
    exact = document.get(OURS, {}).get("exact", {})
    for name in _ATTRIBUTE_MAPS & plain.keys():
        if name not in exact:
            plain[name] = _flat(plain[name])
    for name in _WITH_ATTRIBUTES & plain.keys():
        if name not in exact:
            plain[name] = _with_flat(plain[name])
    for name, packed in exact.items():
        data = packed if isinstance(packed, bytes) else read_parts(document["_id"], packed["parts"])
        plain[name] = ormsgpack.unpackb(data)
    return plain


def _pack(value: Any) -> bytes:
    packed: bytes = ormsgpack.packb(value)
    return packed


def _split(result: dict[str, Any], plain: dict[str, Any], ours: dict[str, Any]) -> Document:
    """Return a document without its largest fields, which become parts of their own."""
    packed = {name: _pack(value) for name, value in plain.items() if name not in _NEVER_APART}
    exact, parts = dict(ours.get("exact", {})), []
    result[OURS] = {**ours, "exact": exact}
    for name in sorted(packed, key=lambda name: len(packed[name]), reverse=True):
        own = [*_parts(result["_id"], name, packed[name])]
        parts += own
        exact[name] = {"parts": [part.id for part in own]}
        result.pop(name)
        content = bson.encode(result)
        if len(content) <= MAX_DOCUMENT:
            return Document(result["_id"], content, parts)
    raise ValueError(f"it has {len(content)} bytes in what cannot be split off, and MongoDB takes {MAX_DOCUMENT}")


def _parts(identity: str, name: str, data: bytes) -> Iterator[Part]:
    digest = blake2b(data, digest_size=16).hexdigest()
    for number, start in enumerate(range(0, len(data), PART_BYTES)):
        yield Part(f"{identity}/{name}/{digest}/{number:06}", identity, data[start : start + PART_BYTES])


@lru_cache(maxsize=4096)
def _path(key: str) -> tuple[str, ...] | None:
    """Return the names that a name with dots is nested under; ``None`` where it cannot be."""
    parts = tuple(key.split("."))
    return (
        parts
        if len(parts) <= _MAX_DEPTH and all(part and part[0] != "$" and "\0" not in part for part in parts)
        else None
    )


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Say whether BSON holds a value as it is, and MongoDB finds what is in it by its path."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is int:
        return bool(FIRST_INT <= value <= LAST_INT)
    if depth == _MAX_DEPTH:
        return False
    if kind is dict:
        for key, item in value.items():
            if not _is_plain_key(key) or (type(item) not in _SCALARS and not _is_plain(item, depth + 1)):
                return False
        return True
    if kind is list:
        return all(type(item) in _SCALARS or _is_plain(item, depth + 1) for item in value)
    return isinstance(value, str)


@lru_cache(maxsize=4096)
def _is_plain_key(key: str) -> bool:
    path = _path(key)
    return path is not None and len(path) == 1


def _nested(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return attributes nested by the dots in their names; ``None`` where `_flat` would not give the same."""
    result: dict[str, Any] = {}
    for key, value in attributes.items():
        path = _path(key)
        if path is None or (type(value) not in _SCALARS and (type(value) is dict or not _is_plain(value))):
            return None
        place = result
        for name in path[:-1]:
            place = place.setdefault(name, {})
            if type(place) is not dict:
                return None
        if path[-1] in place:
            return None
        place[path[-1]] = value
    return result


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in nested.items():
        if type(value) is dict:
            result |= _flat(value, f"{prefix}{name}.")
        else:
            result[prefix + name] = value
    return result


def _with_nested(value: Any) -> Any:
    """Return a scope, or events, links or exemplars, with nested attributes; ``None`` where that cannot be undone."""
    if isinstance(value, list):
        items = [_with_nested(item) for item in value]
        return None if any(item is None for item in items) else items
    if not isinstance(value, dict):
        return None
    rest = {name: item for name, item in value.items() if name != _ATTRIBUTES}
    if not _is_plain(rest):
        return None
    if _ATTRIBUTES not in value:
        return rest
    nested = _nested(value[_ATTRIBUTES])
    return None if nested is None else {**rest, _ATTRIBUTES: nested}


def _with_flat(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_flat(item) for item in value]
    return {**value, _ATTRIBUTES: _flat(value[_ATTRIBUTES])} if _ATTRIBUTES in value else value


def _shown(value: Any, depth: int = 0) -> Any:
    """Return a form for people of what BSON cannot hold, or whose parts have no path."""
    if isinstance(value, list | dict) and depth == _SHOWN_DEPTH:
        return "…"
    if isinstance(value, list):
        return [_shown(item, depth + 1) for item in value]
    if isinstance(value, dict):
        result: dict[str, Any] = {}
        for key, item in value.items():
            _put_shown(result, [_shown_key(part) for part in key.split(".")][:_MAX_DEPTH], _shown(item, depth + 1))
        return result
    if type(value) is int:
        return max(FIRST_INT, min(value, LAST_INT))
    return value


def _put_shown(place: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        inner = place.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        place = inner
    place.setdefault(path[-1], value)


def _shown_key(part: str) -> str:
    clean = part.replace("\0", "␀") or "␀"
    return f"＄{clean[1:]}" if clean.startswith("$") else clean  # noqa: RUF001  # a dollar sign that is no operator


def configure() -> None:
    """Tell the compiled encoder what Python knows."""
    if compiled is not None:
        known = (layout.name_group, layout.member_numbers, layout.linked_ids, layout.CONTENT_GROUP)
        compiled.configure(*known, MAX_DOCUMENT)


configure()
