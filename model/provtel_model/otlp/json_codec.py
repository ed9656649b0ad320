"""OTLP requests in JSON, as the OTLP specification has it.

It is not protobuf's own JSON: trace and span ids are hexadecimal, enums are written as numbers, keys are lowerCamelCase
and nothing else, and what is unknown is ignored. A request is converted once, to the bytes that all others arrive in.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, EncodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from provtel_model.components import Signal
from provtel_model.errors import MalformedError
from provtel_model.otlp.checking import is_repeated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import Descriptor

_REQUESTS: Final[dict[Signal, type[Message]]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}
_SIGNALS: Final = {"resourceSpans": Signal.TRACES, "resourceLogs": Signal.LOGS, "resourceMetrics": Signal.METRICS}
_BEGINNING: Final = re.compile(rb'\s*\{\s*"(resourceSpans|resourceLogs|resourceMetrics)"')
# Each costs a hundred bytes and more, however little it holds; a million of them are 20 MB of any real request.
_OBJECTS: Final = 1_000_000
_ID_SIZES: Final = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
_FLOATS: Final = frozenset({FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT})
_LONGS: Final = frozenset({FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64})
_INTEGERS: Final = _LONGS | {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32}
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def from_json(signal: Signal, text: bytes) -> bytes:
    """Return the protobuf form of a request in JSON.

    Raises:
        MalformedError: It is no JSON, or no request of this signal; the text says where.
    """
    if text.count(b"{") + text.count(b"[") > _OBJECTS:
        raise MalformedError(f"the body has more than {_OBJECTS} objects and arrays; send smaller ones")
    request = _REQUESTS[signal]()
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
        _fill(request, _object(content))
        return request.SerializeToString()
    except _MisplacedError as error:
        raise MalformedError(str(error)) from None
    except (ValueError, EncodeError) as error:
        raise MalformedError(f"the body is no JSON: {error}") from None
    except RecursionError:
        raise MalformedError("the body is nested too deeply") from None


def signal_of_json(text: bytes) -> Signal:
    """Return what a request in JSON carries.

    Raises:
        MalformedError: It is no OTLP request.
    """
    match = _BEGINNING.match(text)
    if match:
        return _SIGNALS[match[1].decode()]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"it is no JSON: {error}") from None
    for key, signal in _SIGNALS.items():
        if isinstance(found, dict) and key in found:
            return signal
    raise MalformedError(f"it is no OTLP request; it has none of {', '.join(_SIGNALS)}")


def to_json(signal: Signal, payload: bytes) -> bytes:
    """Return the JSON form of a request in protobuf, on one line.

    Raises:
        MalformedError: The bytes are no request of this signal.
    """
    return json.dumps(to_object(signal, payload), ensure_ascii=False, separators=(",", ":")).encode()


def to_object(signal: Signal, payload: bytes) -> dict[str, Any]:
    """Return the object that the JSON form of a request in protobuf writes.

    Raises:
        MalformedError: The bytes are no request of this signal.
    """
    kind = _REQUESTS[signal]
    try:
        request = kind.FromString(payload)
    except DecodeError:
        raise MalformedError(f"these {len(payload)} bytes are no {kind.DESCRIPTOR.name}") from None
    return _plain(request)


class _MisplacedError(Exception):
    """A value that its field cannot have; the path grows while it passes the fields around it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.path = ""

    def within(self, step: str) -> _MisplacedError:
        self.path = step + (f".{self.path}" if self.path and self.path[0] != "[" else self.path)
        return self

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a message.

    Args:
        name: What protobuf calls it.
        key: What JSON calls it.
        repeated: It has many values.
        message: Its values are messages.
        read: From JSON's value of a scalar to protobuf's.
        write: And back.
    """

    name: str
    key: str
    repeated: bool
    message: bool
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


@cache
def _fields(descriptor: Descriptor) -> Mapping[str, _Field]:
    """Return the fields of a message by their keys in JSON."""
    return {field.json_name: _field(field) for field in descriptor.fields}


@cache
def _by_name(descriptor: Descriptor) -> Mapping[str, _Field]:
    return {field.name: field for field in _fields(descriptor).values()}


def _field(field: FieldDescriptor) -> _Field:
    message = field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE
    read, write = (_same, _same) if message else _scalar(field)
    return _Field(field.name, field.json_name, is_repeated(field), message, read, write)


def _scalar(field: FieldDescriptor) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return how a scalar is read and written."""
    kind = field.cpp_type
    if field.type == FieldDescriptor.TYPE_BYTES:
        size = _ID_SIZES.get(field.name)
        return (_base64, _to_base64) if size is None else (partial(_hex, size=size), bytes.hex)
    if field.enum_type is not None:
        return _integer, _same
    if kind in _INTEGERS:
        return _integer, str if kind in _LONGS else _same
    if kind in _FLOATS:
        return _float, _to_float
    return (_boolean if kind == FieldDescriptor.CPPTYPE_BOOL else _text), _same


def _fill(message: Message, content: Mapping[str, Any]) -> None:
    known = _fields(message.DESCRIPTOR)
    for key, value in content.items():
        field = known.get(key)
        if field is None or value is None:
            continue
        try:
            _put(message, field, value)
        except _MisplacedError as error:
            raise error.within(key) from None
        except (ValueError, TypeError) as error:  # protobuf's own: out of range, or no UTF-8
            raise _MisplacedError(str(error)).within(key) from None


def _put(message: Message, field: _Field, value: Any) -> None:
    if field.repeated:
        _extend(getattr(message, field.name), field, value)
    elif field.message:
        part = getattr(message, field.name)
        part.SetInParent()
        _fill(part, _object(value))
    else:
        setattr(message, field.name, field.read(value))


def _extend(target: Any, field: _Field, values: Any) -> None:
    if not isinstance(values, list):
        raise _MisplacedError("expected an array")
    for index, value in enumerate(values):
        try:
            if field.message:
                _fill(target.add(), _object(value))
            else:
                target.append(field.read(value))
        except _MisplacedError as error:
            raise error.within(f"[{index}]") from None


def _plain(message: Message) -> dict[str, Any]:
    known = _by_name(message.DESCRIPTOR)
    result: dict[str, Any] = {}
    for descriptor, value in message.ListFields():
        field = known[descriptor.name]
        write = _plain if field.message else field.write
        result[field.key] = [write(one) for one in value] if field.repeated else write(value)
    return result


def _same(value: Any) -> Any:
    return value


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _MisplacedError("expected an object")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _MisplacedError("expected a string")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _MisplacedError("expected true or false")
    return value


def _integer(value: Any) -> int:
    if type(value) is int:
        return value
    try:
        if isinstance(value, str):
            return int(value)
        if isinstance(value, float) and value.is_integer():
            return int(value)
    except ValueError:
        pass
    raise _MisplacedError("expected a whole number")


def _float(value: Any) -> float:
    try:
        if isinstance(value, str):
            return _NOT_FINITE[value] if value in _NOT_FINITE else float(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise _MisplacedError("expected a number")


def _to_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _hex(value: Any, size: int) -> bytes:
    text = _text(value)
    try:
        content = binascii.unhexlify(text)
    except ValueError:
        raise _MisplacedError(f"expected {2 * size} hexadecimal digits") from None
    if content and len(content) != size:
        raise _MisplacedError(f"expected {2 * size} hexadecimal digits, not {len(text)}")
    return content


def _base64(value: Any) -> bytes:
    text = _text(value).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise _MisplacedError("expected bytes in base64") from None


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")
