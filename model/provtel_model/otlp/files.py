"""OTLP in files and streams: a request a line in JSON, requests behind their lengths, or one request in protobuf.

These are what the ``file`` exporters of provtel and of the OpenTelemetry Collector write, in any of their formats, and
what other programs keep of OTLP. Whole streams may be compressed by gzip or Zstandard besides.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, TypeAlias

from provtel_model.components import Batch, Signal
from provtel_model.errors import MalformedError
from provtel_model.otlp.checking import REQUESTS, check
from provtel_model.otlp.json_codec import from_json, signal_of_json
from provtel_model.unpacking import TooLargeError, unpack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MOST_BYTES: Final = 64 * 2**20
"""The longest request that is read."""
_LENGTH: Final = 4
_MOST_BYTES_FIRST: Final = MOST_BYTES >> 24
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_GROUPS: Final = b"\x0a"
_OBJECT: Final = re.compile(rb'\s*\{\s*"[a-zA-Z]')
_HEAD: Final = 8
_TRACE_ID, _SPAN_ID = 16, 8
_DAMAGE: Final = (OSError, EOFError, zlib.error, zstd.ZstdError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One request of a file, or what stands where one should.

    Args:
        place: Where it is, for people: ``line 3``, ``byte 120``.
        start: The offset that it begins at, where the file is not compressed.
        end: The offset behind it.
        batch: The request.
        error: Why it is none.
        torn: It is the last one, and was not written to its end.
    """

    place: str
    start: int
    end: int
    batch: Batch | None = None
    error: str = ""
    torn: bool = False


_Entries: TypeAlias = Iterator[Entry]


def entries(stream: BinaryIO, signal: Signal | None = None) -> Iterator[Entry]:
    """Yield the requests of a stream, in their order; what is none is told in its place, and what follows comes.

    Args:
        stream: From where it stands on; it need not be seekable.
        signal: What requests in protobuf carry; by default what they look like.
    """
    head, whole = _begun(stream)
    packing: Any = gzip.open if head.startswith(_GZIP) else zstd.open if head.startswith(_ZSTD) else None
    if packing is None:
        yield from _plain(head, whole, signal)
        return
    try:
        with packing(whole) as unpacked:
            yield from _plain(*_begun(io.BufferedReader(_Unpacked(unpacked))), signal)
    except MalformedError as error:
        yield Entry("its rest", 0, 0, error=str(error))


def _begun(stream: BinaryIO) -> tuple[bytes, BinaryIO]:
    """Return how a stream begins, and all of it."""
    head = _read(stream, _HEAD)
    return head, io.BufferedReader(_Joined(head, stream))


def is_lines(head: bytes) -> bool:
    """Say whether a file that begins so has a request a line, and so can be gone on with behind any of them."""
    if head.startswith(_GROUPS):  # the end of an empty line, too
        return not head.strip() or _OBJECT.match(head) is not None
    return not head or (head[0] > _MOST_BYTES_FIRST and not head.startswith((_GZIP, _ZSTD)))


def lines(stream: BinaryIO, number: int = 0, start: int = 0) -> Iterator[Entry]:
    """Yield the requests of lines in JSON.

    Args:
        stream: From where it stands on.
        number: How many lines are before that.
        start: How many bytes are.
    """
    while True:
        line = stream.readline(MOST_BYTES + 1)
        if not line:
            return
        number += 1
        if len(line) > MOST_BYTES and not line.endswith(b"\n"):
            length = len(line) + _skip_line(stream)
            yield Entry(f"line {number}", start, start + length, error=f"it is longer than {MOST_BYTES} bytes")
            start += length
            continue
        if line.strip() == b"{":  # one request, on many lines
            line += stream.read(MOST_BYTES)
        end = start + len(line)
        if line.strip():
            yield _of_line(line, f"line {number}", start, end)
        start = end


class _Joined(io.RawIOBase):
    """What was read of a stream already, and then the rest of it."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(found) :]
        buffer[: len(found)] = found
        return len(found)


class _Unpacked(io.RawIOBase):
    """An unpacked stream that ends where the packed one is cut off."""

    def __init__(self, packed: Any) -> None:
        self._packed = packed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            found = self._packed.read1(len(buffer))  # what it has; `readinto` would lose it to the end that is missing
        except EOFError:
            return 0
        except _DAMAGE as error:
            raise MalformedError(f"the compressed file is damaged: {error}") from None
        buffer[: len(found)] = found
        return len(found)


def _plain(head: bytes, stream: BinaryIO, signal: Signal | None) -> _Entries:
    if is_lines(head):
        return lines(stream)
    return _alone(stream, signal) if head.startswith(_GROUPS) else _framed(stream, signal)


def _of_line(line: bytes, place: str, start: int, end: int) -> Entry:
    try:
        found = signal_of_json(line)
        return Entry(place, start, end, batch=check(found, from_json(found, line)))
    except MalformedError as error:
        torn = not line.endswith(b"\n") and not _is_json(line)
        return Entry(place, start, end, error=str(error), torn=torn)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _skip_line(stream: BinaryIO) -> int:
    length = 0
    while part := stream.readline(2**20):
        length += len(part)
        if part.endswith(b"\n"):
            break
    return length


def _framed(stream: BinaryIO, signal: Signal | None) -> _Entries:
    """Yield requests that stand behind their lengths, each compressed or not, in protobuf or in JSON."""
    start = 0
    while head := _read(stream, _LENGTH):
        place, length = f"byte {start}", int.from_bytes(head, "big")
        if length > MOST_BYTES:
            error = (
                f"a request of {length} bytes is announced, more than {MOST_BYTES}; the rest of the file is not read"
            )
            yield Entry(place, start, start, error=error)
            return
        content = _read(stream, length)
        end = start + _LENGTH + len(content)
        if len(head) < _LENGTH or len(content) < length:
            yield Entry(place, start, end, error="the file ends inside of it", torn=True)
            return
        yield _of_bytes(content, place, start, end, signal)
        start = end


def _alone(stream: BinaryIO, signal: Signal | None) -> _Entries:
    content = _read(stream, MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        yield Entry("byte 0", 0, 0, error=f"it is one request of more than {MOST_BYTES} bytes")
    else:
        yield _of_bytes(content, "byte 0", 0, len(content), signal)


def _of_bytes(content: bytes, place: str, start: int, end: int, signal: Signal | None) -> Entry:
    try:
        return Entry(place, start, end, batch=request_of(content, signal))
    except MalformedError as error:
        return Entry(place, start, end, error=str(error))


def request_of(content: bytes, signal: Signal | None = None) -> Batch:
    """Return the request that some bytes are, in JSON or in protobuf, compressed by Zstandard or not.

    Args:
        content: The bytes.
        signal: What it carries, where it is protobuf; by default what it looks like.

    Raises:
        MalformedError: They are none, or one whose signal cannot be told.
    """
    if content.startswith(_ZSTD):
        try:
            content = unpack(content, "zstd", MOST_BYTES)
        except TooLargeError:
            raise MalformedError(f"it unpacks to more than {MOST_BYTES} bytes") from None
    if content[:1] == b"{":
        found = signal_of_json(content)
        return check(found, from_json(found, content))
    return check(signal or _signal_of(content), content)


def _signal_of(payload: bytes) -> Signal:
    """Return what a request in protobuf carries: only as one of them do its items have what such items must have."""
    from google.protobuf.message import DecodeError

    likely = []
    for signal, looks in _LOOKS.items():
        try:
            request: Any = REQUESTS[signal].FromString(payload)
        except DecodeError:
            continue
        if looks(request):
            likely.append(signal)
    if len(likely) != 1:
        raise MalformedError("it cannot be told whether it carries traces, metrics or logs, if anything; say which")
    return likely[0]


def _spans(request: Any) -> bool:
    items = [item for group in request.resource_spans for scope in group.scope_spans for item in scope.spans]
    return bool(items) and all(len(item.trace_id) == _TRACE_ID and len(item.span_id) == _SPAN_ID for item in items)


def _metrics(request: Any) -> bool:
    items = [item for group in request.resource_metrics for scope in group.scope_metrics for item in scope.metrics]
    return bool(items) and all(item.name and item.WhichOneof("data") for item in items)


def _logs(request: Any) -> bool:
    items = [item for group in request.resource_logs for scope in group.scope_logs for item in scope.log_records]
    return bool(items) and all(item.time_unix_nano or item.observed_time_unix_nano for item in items)


_LOOKS: Final[dict[Signal, Callable[[Any], bool]]] = dict(zip(REQUESTS, (_spans, _metrics, _logs), strict=True))


def _read(stream: BinaryIO, length: int) -> bytes:
    parts = []
    while length > 0 and (part := stream.read(length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
