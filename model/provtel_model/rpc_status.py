"""``google.rpc.Status``, which servers of OTLP answer with when they did not take a request, and its ``RetryInfo``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from provtel_model.errors import MalformedError
from provtel_model.otlp import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

_RETRY_INFO: Final = "type.googleapis.com/google.rpc.RetryInfo"
_VARINT: Final = 0
_SIZED: Final = 2
_FIXED: Final = {1: 8, 5: 4}
_LONGEST_VARINT: Final = 10
_MORE: Final = 0x80


@dataclass(frozen=True, slots=True)
class RpcStatus:
    """Why a request was not taken.

    Args:
        code: One of gRPC's codes.
        message: Why, for a person.
        wait: After how many seconds to send it again, where the server says so.
    """

    code: int = 0
    message: str = ""
    wait: float | None = None

    def serialised(self) -> bytes:
        """Return it as protobuf."""
        details = b""
        if self.wait is not None:
            seconds, rest = divmod(self.wait, 1)
            delay = wire.sized(1, wire.number(1, int(seconds)) + wire.number(2, int(rest * 1e9)))
            details = wire.sized(3, wire.text(1, _RETRY_INFO) + wire.sized(2, delay))
        return wire.number(1, self.code) + wire.text(2, self.message) + details

    @classmethod
    def parsed(cls, content: bytes) -> Self:
        """Return what protobuf says.

        Raises:
            MalformedError: It is no such message.
        """
        code, message, wait = 0, "", None
        for field, value in _fields(content):
            if field == 1 and isinstance(value, int):
                code = value
            elif field == 2 and isinstance(value, bytes):  # noqa: PLR2004  # numbers of fields
                message = value.decode(errors="replace")
            elif field == 3 and isinstance(value, bytes):  # noqa: PLR2004
                wait = _wait(value) if wait is None else wait
        return cls(code, message, wait)


def _wait(detail: bytes) -> float | None:
    """Return what a detail says of when to try again, where it is one that does."""
    content = dict(_fields(detail))
    kind, value = content.get(1, b""), content.get(2, b"")
    if not isinstance(kind, bytes) or not isinstance(value, bytes):
        return None
    if kind.rpartition(b"/")[2].decode(errors="replace") != _RETRY_INFO.rpartition("/")[2]:
        return None
    delay = dict(_fields(value)).get(1, b"")
    parts = dict(_fields(delay)) if isinstance(delay, bytes) else {}
    seconds, nanoseconds = parts.get(1, 0), parts.get(2, 0)
    if isinstance(seconds, int) and isinstance(nanoseconds, int) and seconds < 2**62:
        return seconds + nanoseconds / 1e9
    return 0.0


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message: numbers as such, everything else as bytes."""
    position = 0
    while position < len(content):
        tag, position = _number(content, position)
        kind = tag & 7
        if kind == _VARINT:
            value, position = _number(content, position)
            yield tag >> 3, value
            continue
        size = _FIXED.get(kind)
        if kind == _SIZED:
            size, position = _number(content, position)
        if size is None or position + size > len(content):
            raise MalformedError("these bytes are no google.rpc.Status")
        yield tag >> 3, content[position : position + size]
        position += size


def _number(content: bytes, position: int) -> tuple[int, int]:
    result = 0
    for shift, byte in enumerate(content[position : position + _LONGEST_VARINT]):
        result |= (byte & ~_MORE) << 7 * shift
        if byte < _MORE:
            return result, position + shift + 1
    raise MalformedError("these bytes are no google.rpc.Status")
