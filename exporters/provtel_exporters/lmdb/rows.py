"""How a record becomes a row, and back.

What many records share is interned in `parts`: the origin (process and scope), the activity (code and agent), the run,
and the shape (which keys are there, in `used` and its like too). A row is::

    flags 1 byte | origin, activity, run, shape 4 bytes each | trace id 16 | span id 8 | values

The values are a list in the order of the shape. Parts and values are MessagePack; values of 1 KiB or more are
compressed with Zstandard where that makes them smaller.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import ormsgpack
from provtel_model.record import PlainRecord, State

from provtel_exporters.lmdb import layout

if TYPE_CHECKING:
    from provtel_exporters.lmdb.parts import Parts

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_ORIGIN: Final = ("resource", "scope", "host", "pid", "rank")
_ACTIVITY: Final = ("plan", "agent", "kind", "span_kind")
_RUN: Final = ("workflow_id", "workflow_name", "campaign_id")
_ELSEWHERE: Final = frozenset({*_ORIGIN, *_ACTIVITY, *_RUN, "trace_id", "span_id"})
_MAPS: Final = frozenset({"used", "generated", "telemetry", "attributes"})

_STATES: Final = frozenset(State)
_HEADER: Final = struct.Struct(">B4I16s8s")
_COMPRESSED: Final = 1
_COMPRESS_FROM: Final = 1024
_LEVEL: Final = 3


@dataclass(frozen=True, slots=True)
class EncodedRecord:
    """A record ready to be written, but for the numbers of its parts.

    Args:
        plain: The record.
        key: Its key in `ids`.
        parts: What it shares with others, packed: origin, activity, run, shape.
        flags: How `values` is packed.
        values: Everything else.
        lists: Keys of the posting lists that it belongs to.
    """

    plain: PlainRecord
    key: bytes
    parts: tuple[bytes, bytes, bytes, bytes]
    flags: int
    values: bytes
    lists: set[bytes]

    def row(self, parts: Parts) -> bytes:
        """Return the row; the store gets the parts that it does not have."""
        numbers = map(parts.number_of, self.parts)
        return _HEADER.pack(self.flags, *numbers, self.key[:16], self.key[16:24]) + self.values


def encode(plain: PlainRecord) -> EncodedRecord:
    """Return a record ready to be written.

    Raises:
        KeyError: The record lacks what every record has.
        ValueError: An id, the start or the status is not what it should be.
        TypeError: A value is not in AnyValue form, or nested too deep to be packed.
    """
    if plain["status"] not in _STATES:
        raise ValueError(f"status {plain['status']!r} is none of {', '.join(sorted(_STATES))}")
    take, pack = cast("dict[str, Any]", plain).get, ormsgpack.packb
    shape, values = _shape_and_values(plain)
    flags, packed = _compress(pack(values))
    parts = (pack([*map(take, _ORIGIN)]), pack([*map(take, _ACTIVITY)]), pack([*map(take, _RUN)]), pack(shape))
    return EncodedRecord(plain, layout.id_key(plain), parts, flags, packed, layout.posting_keys(plain))


def decode(row: bytes, parts: Parts) -> PlainRecord:
    """Return the record of a row; what it shares with others is not to be changed."""
    flags, origin, activity, run, shape, trace_id, span_id = _HEADER.unpack_from(row)
    packed = row[_HEADER.size :]
    values = iter(ormsgpack.unpackb(zstd.decompress(packed) if flags & _COMPRESSED else packed))
    plain: dict[str, Any] = {"trace_id": trace_id.hex(), "span_id": span_id.hex()}
    for fields, number in ((_ACTIVITY, activity), (_RUN, run), (_ORIGIN, origin)):
        shared = zip(fields, parts[number], strict=True)
        plain.update((field, value) for field, value in shared if value is not None)
    for key in parts[shape]:
        if type(key) is str:
            plain[key] = next(values)
        else:
            plain[key[0]] = {name: next(values) for name in key[1:]}
    if type(plain.get("parent_id")) is bytes:
        plain["parent_id"] = f"{plain['trace_id']}-{plain['parent_id'].hex()}"
    return cast("PlainRecord", plain)


def _shape_and_values(plain: PlainRecord) -> tuple[list[Any], list[Any]]:
    shape: list[Any] = []
    values: list[Any] = []
    for key, value in cast("dict[str, Any]", plain).items():
        if key in _MAPS:
            shape.append((key, *value))
            values.extend(value.values())
        elif key not in _ELSEWHERE:
            shape.append(key)
            values.append(_parent(plain["trace_id"], value) if key == "parent_id" else value)
    return shape, values


def _parent(trace_id: str, parent_id: str) -> str | bytes:
    """Return the span id alone of a parent in the same trace."""
    if not parent_id.startswith(trace_id + "-"):
        return parent_id
    span_id = parent_id[len(trace_id) + 1 :]
    try:
        short = bytes.fromhex(span_id)
    except ValueError:
        return parent_id
    return short if short.hex() == span_id else parent_id


def _compress(packed: bytes) -> tuple[int, bytes]:
    if len(packed) < _COMPRESS_FROM:
        return 0, packed
    smaller = zstd.compress(packed, _LEVEL)
    return (_COMPRESSED, smaller) if len(smaller) < len(packed) else (0, packed)
