"""The canonical bytes of a value, and its content hash.

One encoding, version 1, over the `AnyValue` form, so that the same value hashes equal whoever captured it. Each item is
a letter and its content: ``n`` null, ``t`` and ``f`` the booleans, ``i<decimal>;`` an integer, ``d`` and eight bytes
a float (big-endian IEEE 754, every NaN the same), ``s<length>:`` text in UTF-8, ``b<length>:`` bytes, ``l…e`` a list,
``m…e`` a map with its keys in the order of their UTF-8 bytes. A reference that knows its hash is ``r<length>:<hash>``:
its preview and its place are not content.

The hash is ``sha256:`` and the SHA-256 of these bytes after the prefix ``provtel.value.1`` and a zero byte. A
reference's hash is the one that it carries: for a file the SHA-256 of the file's bytes, as ``sha256sum`` prints it.
"""

from __future__ import annotations

import hashlib
import math
import struct
from typing import TYPE_CHECKING, Any, Final, cast

from provtel_model.anyvalue import TYPE_KEY, AnyValue

if TYPE_CHECKING:
    from collections.abc import Callable

SHA256_PREFIX: Final = "sha256:"
FINGERPRINT_PREFIX: Final = "fp1:"

_DOMAIN: Final = b"provtel.value.1\0"
_NAN: Final = struct.pack(">d", math.nan)
_PACK_FLOAT: Final = struct.Struct(">d").pack


def canonical_bytes(value: AnyValue) -> bytes:
    """Return the canonical encoding of a value, the same in every process and version of Python."""
    parts: list[bytes] = []
    _append(value, parts)
    return b"".join(parts)


def content_hash(value: AnyValue) -> str:
    """Return ``sha256:<hex>`` of a value; for a reference the hash that it carries, where it does.

    An ``fp1:`` comes back for a reference that has only a fingerprint: compare with `SHA256_PREFIX` before taking it
    as evidence.
    """
    carried = _carried_hash(value) if isinstance(value, dict) else None
    return carried or hash_bytes(canonical_bytes(value))


def hash_bytes(*canonical: bytes | bytearray) -> str:
    """Return the content hash of a value whose canonical bytes are at hand, whole or in parts."""
    digest = hashlib.sha256(_DOMAIN)
    for part in canonical:
        digest.update(part)
    return SHA256_PREFIX + digest.hexdigest()


def digest_bytes(canonical: bytes) -> bytes:
    """Return the digest in the content hash of a value whose canonical bytes are at hand."""
    return hashlib.sha256(_DOMAIN + canonical).digest()


def canonical_scalar(value: AnyValue) -> bytes:
    """Return what `canonical_bytes` returns for a value that is no list and no map, in half the time."""
    kind = type(value)
    if kind is float:
        return b"d" + (_NAN if value != value else _PACK_FLOAT(value))  # noqa: PLR0124  # a NaN is not itself
    if kind is str:
        content = cast("str", value).encode()
        return b"s%d:%b" % (len(content), content)
    if kind is int:
        return b"i%d;" % cast("int", value)
    if kind is bool:
        return b"t" if value else b"f"
    return canonical_bytes(value)


def _carried_hash(value: dict[str, AnyValue]) -> str | None:
    carried = value.get("hash") if value.get(TYPE_KEY) == "reference" else None
    return carried if isinstance(carried, str) else None


def _append(value: AnyValue, parts: list[bytes]) -> None:
    if value is None:
        parts.append(b"n")
    elif isinstance(value, bool):
        parts.append(b"t" if value else b"f")
    elif isinstance(value, int):
        parts.append(b"i%d;" % value)
    elif isinstance(value, float):
        parts.append(b"d" + (_NAN if math.isnan(value) else struct.pack(">d", value)))
    elif isinstance(value, str):
        _append_sized(b"s", value.encode(), parts)
    elif isinstance(value, bytes):
        _append_sized(b"b", value, parts)
    elif isinstance(value, list):
        parts.append(b"l")
        _append_items(value, parts)
        parts.append(b"e")
    else:
        _append_map(value, parts)


def _append_items(items: list[AnyValue], parts: list[bytes]) -> None:
    """Append what `_append` appends for each item; ten times as fast where all are of one kind."""
    kinds = {*map(type, items)}
    found = _BULK.get(kinds.pop()) if len(kinds) == 1 else None
    together = found(items) if found is not None else None
    if together is not None:
        parts.append(together)
        return
    for item in items:
        _append(item, parts)


def _all_integers(items: list[Any]) -> bytes:
    return f"i{';i'.join(map(str, items))};".encode()


def _all_floats(items: list[Any]) -> bytes | None:
    total = sum(items)
    if total != total:  # there may be a NaN, which has a form of its own  # noqa: PLR0124
        return None
    length = len(items)
    packed = struct.pack(f">{length}d", *items)
    result = bytearray(b"d" * (9 * length))
    for place in range(8):
        result[place + 1 :: 9] = packed[place::8]
    return bytes(result)


def _all_texts(items: list[Any]) -> bytes | None:
    if not all(map(str.isascii, items)):
        return None
    return "".join([f"s{len(item)}:{item}" for item in items]).encode()


_BULK: Final[dict[type, Callable[[list[Any]], bytes | None]]] = {
    int: _all_integers,
    float: _all_floats,
    str: _all_texts,
}


def _append_map(value: dict[str, AnyValue], parts: list[bytes]) -> None:
    carried = _carried_hash(value)
    if carried is not None:
        _append_sized(b"r", carried.encode(), parts)
        return
    parts.append(b"m")
    for key in sorted(value):
        _append_sized(b"s", key.encode(), parts)
        _append(value[key], parts)
    parts.append(b"e")


def _append_sized(letter: bytes, content: bytes, parts: list[bytes]) -> None:
    parts.append(b"%b%d:" % (letter, len(content)))
    parts.append(content)
