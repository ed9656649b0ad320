"""How values are packed: the shape, which many share, apart from the values; large ones compressed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import ormsgpack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ORIGIN: Final = ("resource", "scope", "host", "pid", "rank")
"""The fields that all of one scope of one process share."""
MAPS: Final = frozenset({"used", "generated", "telemetry", "attributes"})
"""The maps whose keys belong to the shape."""

_COMPRESSED: Final = 1
_COMPRESS_FROM: Final = 1024
_LEVEL: Final = 3


def part(plain: Mapping[str, Any], fields: Iterable[str]) -> bytes:
    """Return some fields, packed, to be interned."""
    return ormsgpack.packb([*map(plain.get, fields)])


def put_part(plain: dict[str, Any], fields: Sequence[str], values: Sequence[Any]) -> None:
    """Give fields back what `part` took; what is null was not there."""
    plain.update((field, value) for field, value in zip(fields, values, strict=True) if value is not None)


def shape_and_values(items: Iterable[tuple[str, Any]], elsewhere: Collection[str]) -> tuple[list[Any], list[Any]]:
    """Return the keys that are there, those of maps included, and the values in the same order.

    Args:
        items: Fields and their values.
        elsewhere: Fields that are kept in another place.
    """
    shape: list[Any] = []
    values: list[Any] = []
    for key, value in items:
        if key in elsewhere:
            continue
        if key in MAPS:
            shape.append((key, *value))
            values.extend(value.values())
        else:
            shape.append(key)
            values.append(value)
    return shape, values


def put_values(plain: dict[str, Any], shape: Sequence[Any], values: Sequence[Any]) -> None:
    """Give fields back what `shape_and_values` took."""
    rest = iter(values)
    for key in shape:
        if type(key) is str:
            plain[key] = next(rest)
        else:
            plain[key[0]] = {name: next(rest) for name in key[1:]}


def pack(values: Sequence[Any]) -> tuple[int, bytes]:
    """Return flags and bytes for values; 1 KiB or more is compressed where that makes it smaller.

    Less is not: to set up a decompressor takes longer than to read the whole record.
    """
    return compressed(ormsgpack.packb(values))


def compressed(packed: bytes) -> tuple[int, bytes]:
    """Return flags and bytes for what is packed already."""
    if len(packed) < _COMPRESS_FROM:
        return 0, packed
    smaller = zstd.compress(packed, _LEVEL)
    return (_COMPRESSED, smaller) if len(smaller) < len(packed) else (0, packed)


def unpack(flags: int, packed: Any) -> Any:
    """Return what `pack` packed."""
    return ormsgpack.unpackb(zstd.decompress(packed) if flags & _COMPRESSED else packed)
