"""How a record becomes a row, and back.

What many records share is interned in `parts`: the origin (process and scope), the activity (code and agent), the run,
and the shape (which keys are there, in `used` and its like too). A row is::

    flags 1 byte | origin, activity, run, shape 4 bytes each | trace id 16 | span id 8 | values

The values are a list in the order of the shape. Parts and values are MessagePack; values of 1 KiB or more are
compressed with Zstandard where that makes them smaller.
"""

from __future__ import annotations

import struct
from itertools import count
from operator import add
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import ormsgpack
from provtel_model.compiled import load
from provtel_model.record import PlainRecord, State

from provtel_exporters.lmdb import layout
from provtel_exporters.lmdb.index.block import Entry
from provtel_exporters.lmdb.index.keys import CONTENT_KEYS, compound_keys, name_part, packed_keys
from provtel_exporters.lmdb.packing import (
    MAPS,
    ORIGIN,
    compressed,
    pack,
    part,
    put_part,
    put_values,
    shape_and_values,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provtel_exporters.lmdb.parts import Parts

ACTIVITY: Final = ("plan", "agent", "kind", "span_kind")
RUN: Final = ("workflow_id", "workflow_name", "campaign_id")
_ELSEWHERE: Final = frozenset({*ORIGIN, *ACTIVITY, *RUN, "trace_id", "span_id"})

_STATES: Final = frozenset(state.value for state in State)
_HEADER: Final = struct.Struct(">B4I16s8s")
_HEAD: Final = struct.Struct(">B4I")
_ID_BYTES: Final = 24


class EncodedRecord(NamedTuple):
    """A record ready to be written, but for the numbers of its parts.

    Args:
        plain: The record.
        key: Its key in `ids`.
        parts: What it shares with others, packed: origin, activity, run, shape.
        flags: How the values are packed.
        end: The end of its row: ids and values.
        keys: The keys that lead to it, as `provtel_exporters.lmdb.index.keys.packed_keys` has them.
    """

    plain: PlainRecord
    key: bytes
    parts: tuple[bytes, bytes, bytes, bytes]
    flags: int
    end: bytes
    keys: bytes

    @property
    def size(self) -> int:
        """How long its row is."""
        return _HEAD.size + len(self.end)

    def row(self, numbers: tuple[int, int, int, int]) -> bytes:
        """Return the row, given the numbers of its parts."""
        return _HEAD.pack(self.flags, *numbers) + self.end


def encode_all(plains: Sequence[PlainRecord]) -> list[EncodedRecord]:
    """Return what `encode` does of each, compiled where it can be."""
    if _compiled is None:
        return [*map(encode, plains)]
    return _compiled.encode_all(plains, encode)  # type: ignore[no-any-return]  # it is what `encode` returns


def rows_of(
    flags: Sequence[int], numbers: Sequence[tuple[int, int, int, int]], ends: Sequence[bytes]
) -> Iterator[bytes]:
    """Return what `EncodedRecord.row` returns of each."""
    heads = {begin: _HEAD.pack(begin[0], *begin[1]) for begin in {*zip(flags, numbers, strict=True)}}
    return map(add, map(heads.__getitem__, zip(flags, numbers, strict=True)), ends)


def encode(plain: PlainRecord) -> EncodedRecord:
    """Return a record ready to be written.

    Raises:
        KeyError: The record lacks what every record has.
        ValueError: An id, the start or the status is not what it should be.
        TypeError: A value is not in AnyValue form, or nested too deep to be packed.
    """
    if plain["status"] not in _STATES:
        raise ValueError(f"status {plain['status']!r} is none of {', '.join(sorted(_STATES))}")
    whole = cast("dict[str, Any]", plain)
    if "parent_id" in whole:
        whole = {**whole, "parent_id": _parent(plain["trace_id"], plain["parent_id"])}
    shape, values = shape_and_values(whole.items(), _ELSEWHERE)
    flags, packed = pack(values)
    parts = (part(plain, ORIGIN), part(plain, ACTIVITY), part(plain, RUN), ormsgpack.packb(shape))
    key = layout.id_key(plain)
    return EncodedRecord(plain, key, parts, flags, key[:_ID_BYTES] + packed, packed_keys(plain))


def entry_of(number: int, row: Any, parts: Parts) -> Entry:
    """Return what the index says of a row, given its number."""
    plain = decode(row, parts)
    return Entry(number, plain, parts_of(row), layout.id_key(plain), packed_keys(plain))


def parts_of(row: Any) -> tuple[int, int, int, int]:
    """Return the numbers of the interned parts of a row."""
    _, origin, activity, run, shape, _, _ = _HEADER.unpack_from(row)
    return origin, activity, run, shape


def id_of(row: Any) -> bytes:
    """Return trace id and span id of the record in a row."""
    return bytes(row[_HEADER.size - _ID_BYTES : _HEADER.size])


def decode(row: Any, parts: Parts) -> PlainRecord:
    """Return the record of a row; what it shares with others is not to be changed."""
    flags, origin, activity, run, shape, trace_id, span_id = _HEADER.unpack_from(row)
    plain: dict[str, Any] = {"trace_id": trace_id.hex(), "span_id": span_id.hex()}
    for fields, number in ((ACTIVITY, activity), (RUN, run), (ORIGIN, origin)):
        put_part(plain, fields, parts[number])
    put_values(plain, parts[shape], unpack(flags, row[_HEADER.size :]))
    if type(plain.get("parent_id")) is bytes:
        plain["parent_id"] = f"{plain['trace_id']}-{plain['parent_id'].hex()}"
    return cast("PlainRecord", plain)


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


_compiled: Final = load("provtel_exporters.lmdb._encode")
if _compiled is not None:
    _places = dict(zip((*ORIGIN, *ACTIVITY, *RUN), count()))
    _places |= dict.fromkeys(MAPS, len(_places))
    _remembered = ("trace_id", "span_id", "parent_id", "status", "started_at", "links", "used", "generated")
    _places |= dict(zip(_remembered, count(len({*_places.values()}))))
    _compiled.configure(_places, _STATES, EncodedRecord, compressed, name_part, compound_keys, *CONTENT_KEYS)
