"""The answers of OTLP over HTTP: status codes, and ``google.rpc.Status`` bodies for what went wrong."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

PROTOBUF: Final = "application/x-protobuf"
_DEFAULT_WAIT_SECONDS: Final = 1
_MESSAGE_LIMIT: Final = 4096
_VARINT_BITS: Final = 7
_VARINT_MORE: Final = 0x80


class Code(enum.IntEnum):
    """The codes of ``google.rpc.Status`` that are used here."""

    INVALID_ARGUMENT = 3
    RESOURCE_EXHAUSTED = 8
    INTERNAL = 13
    UNAVAILABLE = 14


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request.

    Args:
        status: HTTP's status.
        body: What is said.
        content_type: In which form.
        headers: Further headers.
    """

    status: HTTPStatus
    body: bytes = b""
    content_type: str = PROTOBUF
    headers: Sequence[tuple[bytes, bytes]] = ()


# An empty Export…ServiceResponse has no bytes: everything was taken, nothing is partial.
TAKEN: Final = Answer(HTTPStatus.OK)
NOT_FOUND: Final = Answer(HTTPStatus.NOT_FOUND, b"404 page not found\n", "text/plain; charset=utf-8")
NOT_POST: Final = Answer(
    HTTPStatus.METHOD_NOT_ALLOWED, b"405 method not allowed, supported: [POST]", "text/plain", [(b"allow", b"POST")]
)
NOT_PROTOBUF: Final = Answer(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"415 unsupported media type, supported: [{PROTOBUF}]".encode(), "text/plain"
)


def malformed(message: str) -> Answer:
    """Answer bytes that are no request."""
    return Answer(HTTPStatus.BAD_REQUEST, _status(Code.INVALID_ARGUMENT, message))


def too_large(limit: int) -> Answer:
    """Answer a request that is longer than allowed."""
    message = f"the request has more than {limit} bytes, the max_request_body_size of this receiver; send smaller ones"
    return Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _status(Code.RESOURCE_EXHAUSTED, message))


def try_again(message: str, wait: float | None) -> Answer:
    """Answer a request that was not taken but may be later."""
    seconds = _DEFAULT_WAIT_SECONDS if wait is None else math.ceil(wait)
    retry = (b"retry-after", str(seconds).encode())
    return Answer(HTTPStatus.SERVICE_UNAVAILABLE, _status(Code.UNAVAILABLE, message), headers=[retry])


def refused(message: str) -> Answer:
    """Answer a request that will never be taken."""
    return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, _status(Code.INTERNAL, message))


def _status(code: Code, message: str) -> bytes:
    """Return a serialised ``google.rpc.Status``: field 1 is the code, field 2 the message."""
    text = message.encode(errors="replace")[:_MESSAGE_LIMIT].decode(errors="ignore").encode()
    return bytes((0x08, code, 0x12)) + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    written = bytearray()
    while number >= _VARINT_MORE:
        written.append(number & (_VARINT_MORE - 1) | _VARINT_MORE)
        number >>= _VARINT_BITS
    return bytes([*written, number])
