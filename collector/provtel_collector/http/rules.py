"""What RFC 9113 asks of a client's frames and headers, whatever they are about; who breaks it loses the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel_model.http2 import DEFAULT_FRAME, LARGEST_WINDOW, Code, Flag, Http2Error, Kind, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OF_STREAMS: Final = frozenset({Kind.DATA, Kind.HEADERS, Kind.PRIORITY, Kind.RST_STREAM, Kind.CONTINUATION})
_OF_CONNECTIONS: Final = frozenset({Kind.SETTINGS, Kind.PING, Kind.GOAWAY})
_SIZES: Final = {Kind.PRIORITY: 5, Kind.RST_STREAM: 4, Kind.PING: 8, Kind.WINDOW_UPDATE: 4}
_LARGEST_FRAME: Final = 2**24 - 1
_PSEUDO: Final = frozenset({b":method", b":scheme", b":path", b":authority"})
_REQUIRED: Final = frozenset({":method", ":scheme", ":path"})
_OF_HTTP1: Final = frozenset({b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
_COLON: Final = ord(":")


def check_frame(kind: int, flags: int, number: int, payload: bytes) -> None:
    """Refuse a frame that is where it cannot be, or has a length that it cannot have.

    Raises:
        Http2Error: It is, or has.
    """
    if number == 0 and kind in _OF_STREAMS:
        raise Http2Error(Code.PROTOCOL_ERROR, "a frame of no stream")
    if number and kind in _OF_CONNECTIONS:
        raise Http2Error(Code.PROTOCOL_ERROR, "a frame of the connection on a stream")
    size = _SIZES.get(Kind(kind)) if kind in _KINDS else None
    if size is not None and len(payload) != size:
        raise Http2Error(Code.FRAME_SIZE_ERROR, "a frame of a wrong length")
    if kind == Kind.SETTINGS and flags & Flag.ACK and payload:
        raise Http2Error(Code.FRAME_SIZE_ERROR, "an acknowledgement with content")
    if kind == Kind.PRIORITY or (kind == Kind.HEADERS and flags & Flag.PRIORITY):
        _check_priority(flags, number, payload)


_KINDS: Final = frozenset(Kind)


def _check_priority(flags: int, number: int, payload: bytes) -> None:
    begin = 1 if flags & Flag.PADDED else 0
    if int.from_bytes(payload[begin : begin + 4], "big") & LARGEST_WINDOW == number:
        raise Http2Error(Code.PROTOCOL_ERROR, "a stream that depends on itself")


def check_setting(name: int, value: int) -> None:
    """Refuse a setting that has a value that it cannot have.

    Raises:
        Http2Error: It has.
    """
    if name == Setting.ENABLE_PUSH and value > 1:
        raise Http2Error(Code.PROTOCOL_ERROR, "a push is allowed or not")
    if name == Setting.INITIAL_WINDOW_SIZE and value > LARGEST_WINDOW:
        raise Http2Error(Code.FLOW_CONTROL_ERROR, "a window that is too large")
    if name == Setting.MAX_FRAME_SIZE and not DEFAULT_FRAME <= value <= _LARGEST_FRAME:
        raise Http2Error(Code.PROTOCOL_ERROR, "a frame size that no frame can have")


def checked_headers(pairs: Iterable[tuple[bytes, bytes]], *, trailers: bool = False) -> Mapping[str, str]:
    """Return the headers of a request by name; those that came several times are joined by commas.

    Raises:
        Http2Error: They are none of a request of HTTP/2.
    """
    headers: dict[str, str] = {}
    regular = trailers
    for name, value in pairs:
        if name and name[0] == _COLON:
            if regular or name not in _PSEUDO or name.decode("latin-1") in headers:
                raise Http2Error(Code.PROTOCOL_ERROR, "a pseudo-header where it cannot be")
        elif name != name.lower() or name in _OF_HTTP1 or (name == b"te" and value != b"trailers"):
            raise Http2Error(Code.PROTOCOL_ERROR, "a header that HTTP/2 does not have")
        else:
            regular = True
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    if not trailers and (not headers.keys() >= _REQUIRED or not headers[":path"]):
        raise Http2Error(Code.PROTOCOL_ERROR, "a request without its method, scheme or path")
    return headers


def check_length(headers: Mapping[str, str], size: int) -> None:
    """Refuse a body that is not as long as its headers say.

    Raises:
        Http2Error: It is not.
    """
    told = headers.get("content-length")
    if told is not None and told != str(size):
        raise Http2Error(Code.PROTOCOL_ERROR, "a body that is not as long as its headers say")
