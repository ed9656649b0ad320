"""Reads the body of a request, never more of it than allowed, packed or unpacked."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PACKINGS: Final = {"gzip": 31, "zlib": 15, "deflate": 15}
"""What ``Content-Encoding`` may say beside nothing, and zlib's word for it."""

# Somebody who compresses to a stream writes a handful; each costs a copy of what follows it.
_MEMBER_LIMIT: Final = 100


class TooLargeError(Exception):
    """A body has more bytes than allowed."""


async def read_body(receive: Callable[[], Awaitable[Any]], limit: int) -> bytes | None:
    """Return the body as it was sent, or None where the sender went away before its end.

    Raises:
        TooLargeError: It is longer than the limit; the rest was not read.
    """
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLargeError
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def unpack(body: bytes, packing: str, limit: int) -> bytes:
    """Return what a packed body holds.

    Raises:
        TooLargeError: It unpacks to more than the limit; no more than that was unpacked.
        MalformedError: It is no such stream, or its end is missing.
    """
    parts: list[bytes] = []
    size = 0
    rest = body
    for _ in range(_MEMBER_LIMIT):
        stream = zlib.decompressobj(PACKINGS[packing])
        try:
            part = stream.decompress(rest, limit - size + 1)
        except zlib.error as error:
            raise MalformedError(f"the body is no {packing} stream: {error}") from None
        size += len(part)
        if size > limit:
            raise TooLargeError
        if not stream.eof:
            raise MalformedError(f"the {packing} stream of the body is cut off")
        parts.append(part)
        rest = stream.unused_data
        if not rest:
            return b"".join(parts)
    raise MalformedError(f"the body has more than {_MEMBER_LIMIT} {packing} streams")
