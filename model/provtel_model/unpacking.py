"""Unpacks requests, never to more bytes than allowed."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN: Final = frozenset({"", "identity", "none"})

# Somebody who compresses to a stream writes a handful; each costs a copy of what follows it.
_MEMBER_LIMIT: Final = 100
# RFC 9659 lets nobody ask for more than 8 MiB of memory to unpack what comes by HTTP.
_ZSTD_WINDOW_LOG: Final = 23
_SNAPPY_NAME: Final = b"\xff\x06\x00\x00sNaPpY"
_SNAPPY_CHECKSUM: Final = 4
# How many times as large as it is a stream can be when it is unpacked, by its format; nobody knows of Zstandard.
_MOST_TIMES: Final = {"gzip": 1032, "zlib": 1032, "deflate": 1032, "lz4": 255, "snappy": 22}
_ANY_TIMES: Final = 2**20


class TooLargeError(Exception):
    """A body has more bytes than allowed."""


def unpack(body: bytes, packing: str, limit: int) -> bytes:
    """Return what a packed body holds.

    Args:
        body: What came.
        packing: One of `PACKINGS`.
        limit: The most bytes that it may hold.

    Raises:
        TooLargeError: It unpacks to more than the limit; no more than that was unpacked.
        MalformedError: It is no such stream, or its end is missing.
    """
    return PACKINGS[packing](body, packing, limit)


def most_times(packing: str) -> int:
    """Return how many times as large as it is a body can be when it is unpacked."""
    return 1 if packing in PLAIN else _MOST_TIMES.get(packing, _ANY_TIMES)


def _unpack_streams(body: bytes, packing: str, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    rest = body
    for _ in range(_MEMBER_LIMIT):
        stream = _STREAMS[packing]()
        try:
            part = stream.decompress(rest, limit - size + 1)
        except Exception as error:  # noqa: BLE001  # each library has errors of its own, one a bare RuntimeError
            raise MalformedError(f"the body is no {packing} stream: {error}") from None
        size += len(part)
        if size > limit:
            raise TooLargeError
        if not stream.eof:
            raise MalformedError(f"the {packing} stream of the body is cut off")
        parts.append(part)
        rest = stream.unused_data
        if not rest:
            return parts[0] if len(parts) == 1 else b"".join(parts)
    raise MalformedError(f"the body has more than {_MEMBER_LIMIT} {packing} streams")


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


def _lz4() -> Any:
    import lz4.frame

    return lz4.frame.LZ4FrameDecompressor()


def _unpack_snappy(body: bytes, packing: str, limit: int) -> bytes:
    """Unpack a single block, as HTTP has it, or a stream of them, as gRPC has it; they begin differently."""
    import cramjam

    framed = body.startswith(_SNAPPY_NAME)
    size = _framed_size(body) if framed else _number(body)[0]
    if size > limit:
        raise TooLargeError
    try:
        return bytes(cramjam.snappy.decompress(body) if framed else cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise MalformedError(f"the body is no {packing} stream: {error}") from None


def _framed_size(body: bytes) -> int:
    """Return to how many bytes a stream of blocks claims to unpack."""
    total, position = 0, 0
    while position < len(body):
        kind, length = body[position], int.from_bytes(body[position + 1 : position + 4], "little")
        begin = position + 4 + _SNAPPY_CHECKSUM
        position += 4 + length
        if position > len(body):
            raise MalformedError("the snappy stream of the body is cut off")
        if kind == 0:
            total += _number(body[begin : begin + 5])[0]
        elif kind == 1:
            total += max(0, length - _SNAPPY_CHECKSUM)
    return total


def _number(data: bytes) -> tuple[int, int]:
    """Return the varint that bytes begin with, and its length."""
    number = 0
    for index, byte in enumerate(data[:5]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004  # the bit that says that more follows
            return number, index + 1
    raise MalformedError("the body is no snappy stream: it does not begin with its length")


_STREAMS: Final[dict[str, Callable[[], Any]]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "zstd": _zstd,
    "zlib": zlib.decompressobj,
    "deflate": zlib.decompressobj,
    "lz4": _lz4,
}
PACKINGS: Final[dict[str, Callable[[bytes, str, int], bytes]]] = {
    "gzip": _unpack_streams,
    "zstd": _unpack_streams,
    "zlib": _unpack_streams,
    "snappy": _unpack_snappy,
    "deflate": _unpack_streams,
    "lz4": _unpack_streams,
}
"""How each packing that may be named is unpacked."""
