"""The frames of HTTP/2 (RFC 9113), as bytes; the gRPC side of receivers and of exporters is made of them."""

from __future__ import annotations

import enum
import struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_SIZE: Final = 9
DEFAULT_WINDOW: Final = 65_535
LARGEST_WINDOW: Final = 2**31 - 1
DEFAULT_FRAME: Final = 16_384

_WORD: Final = struct.Struct(">I")
_SETTING: Final = struct.Struct(">HI")


class Kind(enum.IntEnum):
    """The types of frames."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Flag(enum.IntFlag):
    """What a frame may say of itself."""

    END_STREAM = 1
    ACK = 1
    END_HEADERS = 4
    PADDED = 8
    PRIORITY = 32


class Setting(enum.IntEnum):
    """What the two sides tell each other at the beginning."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class Code(enum.IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class Http2Error(Exception):
    """The other side breaks the rules; the connection ends.

    Args:
        code: How HTTP/2 calls it.
        message: What happened.
    """

    def __init__(self, code: Code, message: str) -> None:
        """Keep the code beside the message."""
        super().__init__(message)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + _WORD.pack(stream) + payload


def settings(values: dict[Setting, int]) -> bytes:
    """Return what one side tells the other of itself."""
    return frame(Kind.SETTINGS, 0, 0, b"".join(_SETTING.pack(*item) for item in values.items()))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Return what the other side tells of itself.

    Raises:
        Http2Error: The frame has no whole settings.
    """
    if len(payload) % _SETTING.size:
        raise Http2Error(Code.FRAME_SIZE_ERROR, "SETTINGS of a wrong length")
    return list(_SETTING.iter_unpack(payload))


def window_update(stream: int, increment: int) -> bytes:
    """Return leave to send more, on a stream or, for stream 0, on the connection."""
    return frame(Kind.WINDOW_UPDATE, 0, stream, _WORD.pack(increment))


def reset(stream: int, code: Code) -> bytes:
    """Return the end of a stream before its time."""
    return frame(Kind.RST_STREAM, 0, stream, _WORD.pack(code))


def goaway(last: int, code: Code, message: str = "") -> bytes:
    """Return the end of a connection: streams after `last` were not looked at."""
    return frame(Kind.GOAWAY, 0, 0, struct.pack(">II", last, code) + message.encode())


def unpadded(flags: int, payload: bytes) -> bytes:
    """Return the payload of a DATA or HEADERS frame without its padding and, where it has one, its priority.

    Raises:
        Http2Error: There is more padding than payload.
    """
    begin, end = 0, len(payload)
    if flags & Flag.PADDED:
        begin, end = 1, end - (payload[0] if payload else end)
    if flags & Flag.PRIORITY:
        begin += 5
    if begin > end:
        raise Http2Error(Code.PROTOCOL_ERROR, "more padding than payload")
    return payload[begin:end]


def word(payload: bytes) -> int:
    """Return the 31-bit number that a frame consists of.

    Raises:
        Http2Error: The frame has another length.
    """
    if len(payload) != _WORD.size:
        raise Http2Error(Code.FRAME_SIZE_ERROR, "a frame of a wrong length")
    return int(_WORD.unpack(payload)[0]) & LARGEST_WINDOW


def literal_headers(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return a header block that needs no table and no Huffman code to be read, nor to be written."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers)


def _text(text: bytes) -> bytes:
    size = len(text)
    if size < 127:  # noqa: PLR2004  # seven bits hold a length, all of them set say that more follow
        return bytes((size,)) + text
    written = bytearray((127,))
    size -= 127
    while size > 127:  # noqa: PLR2004
        written.append(size & 127 | 128)
        size >>= 7
    written.append(size)
    return bytes(written) + text
