"""OTLP requests to plain records."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeVar, cast

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from provtel_model import attributes as names
from provtel_model.compiled import load
from provtel_model.components import Batch, Signal
from provtel_model.errors import MalformedError
from provtel_model.otlp.mapping import FLATTENED, PLAIN_PLACES, put_resource, take_attributes
from provtel_model.record import PlainError, PlainEvent, PlainLink, PlainRecord, PlainScope, State, record_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue as WireValue
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

    from provtel_model.anyvalue import AnyValue

_T = TypeVar("_T")
_Request = TypeVar("_Request", bound=Message)

_STATUS_OK: Final = 1
_STATUS_ERROR: Final = 2
_LAST_TIME: Final = 2**63 - 1
_OPEN_STATES: Final = {
    names.EVENT_STARTED: State.RUNNING,
    names.EVENT_HEARTBEAT: State.RUNNING,
    names.EVENT_LOST: State.LOST,
}


def decode(batch: Batch) -> list[PlainRecord]:
    """Return the activities of a batch; log records that are no activity events, and metrics, are none.

    A span without a trace id or a span id cannot be addressed and is left out.

    Raises:
        MalformedError: The bytes are no request of the batch's signal.
    """
    if batch.signal is Signal.TRACES:
        return _records_of_spans(batch.payload)
    if batch.signal is Signal.LOGS:
        return list(_events(parse(ExportLogsServiceRequest, batch.payload)))
    return []


def _records_of_spans(payload: bytes) -> list[PlainRecord]:
    if _compiled is not None:
        records: list[PlainRecord] | None = _compiled.decode(payload, _read_origin, _read_span)
        if records is not None:
            return records
    return list(_spans(parse(ExportTraceServiceRequest, payload)))


def parse(kind: type[_Request], payload: bytes) -> _Request:
    """Return the request of a kind that some bytes are.

    Raises:
        MalformedError: They are none.
    """
    try:
        return kind.FromString(payload)
    except DecodeError:
        msg = f"these {len(payload)} bytes are no {kind.DESCRIPTOR.name}"
        raise MalformedError(msg) from None


def _spans(request: ExportTraceServiceRequest) -> Iterator[PlainRecord]:
    for group in request.resource_spans:
        for scoped in group.scope_spans:
            origin = origin_of(group.resource, scoped.scope, scoped.schema_url)
            for span in scoped.spans:
                if span.trace_id and span.span_id:
                    yield _from_span(span, origin)


def _read_origin(scope: bytes, resource: bytes, schema_url: bytes) -> PlainRecord:
    return origin_of(Resource.FromString(resource), InstrumentationScope.FromString(scope), schema_url.decode())


def _read_span(content: bytes, origin: PlainRecord) -> PlainRecord | None:
    span = Span.FromString(content)
    return _from_span(span, origin) if span.trace_id and span.span_id else None


def _events(request: ExportLogsServiceRequest) -> Iterator[PlainRecord]:
    for group in request.resource_logs:
        for scoped in group.scope_logs:
            origin = origin_of(group.resource, scoped.scope, scoped.schema_url)
            for log in scoped.log_records:
                if is_activity_event(log):
                    yield _from_log(log, origin)


def is_activity_event(log: LogRecord) -> bool:
    """Say whether a log record stands for an activity that has not ended."""
    return log.event_name in _OPEN_STATES and bool(log.trace_id and log.span_id)


def _from_span(span: Span, origin: PlainRecord) -> PlainRecord:
    plain: PlainRecord = {"trace_id": span.trace_id.hex(), "span_id": span.span_id.hex(), "name": span.name}
    if span.parent_span_id:
        plain["parent_id"] = record_id(plain["trace_id"], span.parent_span_id.hex())
    plain["started_at"] = time_of(span.start_time_unix_nano)
    if span.end_time_unix_nano:
        plain["ended_at"] = time_of(span.end_time_unix_nano)
    if span.events:
        plain["events"] = [_event(event) for event in span.events]
    if span.links:
        plain["links"] = [_link(link) for link in span.links]
    attributes = attributes_of(span.attributes)
    plain["status"] = _status(span, attributes)
    if plain["status"] != State.FINISHED:
        _put_error(plain, span.status.message, attributes)
    take_attributes(plain, attributes)
    _put_rest(plain, span)
    plain.update(origin)
    return plain


def _status(span: Span, attributes: dict[str, AnyValue]) -> str:
    if attributes.get(names.PROV_ACTIVITY_STATE) == State.CANCELLED:
        del attributes[names.PROV_ACTIVITY_STATE]
        return State.CANCELLED.value
    return (State.ERROR if span.status.code == _STATUS_ERROR else State.FINISHED).value


def _put_error(plain: PlainRecord, message: str, attributes: dict[str, AnyValue]) -> None:
    raised = [event for event in plain.get("events", ()) if event["name"] == names.EXCEPTION_EVENT]
    said = raised[-1].get("attributes", {}) if raised else {}
    kind = attributes.get(names.ERROR_TYPE)
    if not (isinstance(kind, str) and kind):
        kind = said.get(names.EXCEPTION_TYPE)
    if isinstance(kind, str):
        attributes.pop(names.ERROR_TYPE, None)
    if plain["status"] == State.CANCELLED:
        message = ""
    found = {
        "type": kind,
        "message": _own_words(message, said),
        "stacktrace": said.get(names.EXCEPTION_STACKTRACE),
    }
    error = {key: value for key, value in found.items() if isinstance(value, str) and value}
    if error:
        plain["error"] = cast("PlainError", error)


def _own_words(message: str, said: Mapping[str, AnyValue]) -> AnyValue:
    """Return what an error says; stock SDKs write ``ValueError: too high`` where the exception said ``too high``."""
    words, kind = said.get(names.EXCEPTION_MESSAGE), said.get(names.EXCEPTION_TYPE)
    if not (isinstance(words, str) and isinstance(kind, str)):
        return message or words
    return words if message in {"", f"{kind.rpartition('.')[2]}: {words}"} else message


def _put_rest(plain: PlainRecord, span: Span) -> None:
    if span.kind:
        plain["span_kind"] = int(span.kind)
    if span.status.code == _STATUS_OK:
        plain["span_status"] = _STATUS_OK
    if span.trace_state:
        plain["trace_state"] = span.trace_state
    counts = {
        "attributes": span.dropped_attributes_count,
        "events": span.dropped_events_count,
        "links": span.dropped_links_count,
    }
    dropped: dict[str, AnyValue] = {key: count for key, count in counts.items() if count}
    if dropped:
        plain["dropped"] = dropped


def origin_of(resource: Resource, scope: InstrumentationScope, schema_url: str) -> PlainRecord:
    """Return the fields that all records of one scope of one process share."""
    origin: PlainRecord = {}
    put_resource(origin, attributes_of(resource.attributes))
    known = _scope(scope, schema_url)
    if known:
        origin["scope"] = known
    return origin


def _scope(scope: InstrumentationScope, schema_url: str) -> PlainScope:
    result: PlainScope = {}
    if scope.name:
        result["name"] = scope.name
    if scope.version:
        result["version"] = scope.version
    if scope.attributes:
        result["attributes"] = attributes_of(scope.attributes)
    if schema_url:
        result["schema_url"] = schema_url
    return result


def _event(event: Span.Event) -> PlainEvent:
    result: PlainEvent = {"name": event.name, "time": time_of(event.time_unix_nano)}
    if event.attributes:
        result["attributes"] = attributes_of(event.attributes)
    if event.dropped_attributes_count:
        result["dropped"] = event.dropped_attributes_count
    return result


def _link(link: Span.Link) -> PlainLink:
    result: PlainLink = {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()}
    if link.trace_state:
        result["trace_state"] = link.trace_state
    if link.attributes:
        result["attributes"] = attributes_of(link.attributes)
    if link.dropped_attributes_count:
        result["dropped"] = link.dropped_attributes_count
    return result


def _from_log(log: LogRecord, origin: PlainRecord) -> PlainRecord:
    attributes = attributes_of(log.attributes)
    seen = time_of(log.time_unix_nano or log.observed_time_unix_nano)
    state = _OPEN_STATES[log.event_name]
    if attributes.get(names.PROV_ACTIVITY_STATE) == State.SUBMITTED:
        del attributes[names.PROV_ACTIVITY_STATE]
        state = State.SUBMITTED
    plain: PlainRecord = {
        "trace_id": log.trace_id.hex(),
        "span_id": log.span_id.hex(),
        "name": _pop(attributes, names.PROV_ACTIVITY_NAME, str, ""),
        "started_at": time_of(_pop(attributes, names.PROV_ACTIVITY_START_TIME, int, seen)),
        "last_seen_at": seen,
        "status": state.value,
    }
    parent = _pop(attributes, names.PROV_ACTIVITY_PARENT_ID, str, "")
    if parent and _is_hex(parent):
        plain["parent_id"] = record_id(plain["trace_id"], parent)
    links = [link for link in _pop(attributes, names.PROV_ACTIVITY_LINKS, list, []) if _is_link(link)]
    if links:
        plain["links"] = cast("list[PlainLink]", links)
    take_attributes(plain, attributes)
    plain.update(origin)
    return plain


def time_of(nanoseconds: int) -> int:
    """Return a time that every store can hold: of OTLP's 64 bits a store may have 63."""
    return min(max(nanoseconds, 0), _LAST_TIME)


def _pop(attributes: dict[str, AnyValue], name: str, kind: type[_T], default: _T) -> _T:
    value = attributes.pop(name, default)
    return value if type(value) is kind else default


def _is_hex(text: AnyValue) -> bool:
    try:
        return isinstance(text, str) and bool(text) and bytes.fromhex(text).hex() == text
    except ValueError:
        return False


def _is_link(link: AnyValue) -> bool:
    return isinstance(link, dict) and _is_hex(link.get("trace_id")) and _is_hex(link.get("span_id"))


def attributes_of(pairs: Iterable[KeyValue]) -> dict[str, AnyValue]:
    """Return repeated ``KeyValue`` as a map; of a key that comes twice the last counts."""
    return {pair.key: value_of(pair.value) for pair in pairs}


def value_of(value: WireValue) -> AnyValue:
    """Return a value that came by OTLP."""
    return _READERS[value.WhichOneof("value")](value)


_READERS: Final[dict[str | None, Callable[[WireValue], AnyValue]]] = {
    None: lambda _value: None,
    "string_value": attrgetter("string_value"),
    "bool_value": attrgetter("bool_value"),
    "int_value": attrgetter("int_value"),
    "double_value": attrgetter("double_value"),
    "bytes_value": attrgetter("bytes_value"),
    "array_value": lambda value: [value_of(item) for item in value.array_value.values],
    "kvlist_value": lambda value: attributes_of(value.kvlist_value.values),
}

_compiled: Final = load("provtel_model.otlp._decode")
if _compiled is not None:
    _compiled.configure(PLAIN_PLACES, names.TASK_PREFIX, names.PROV_ACTIVITY_STATE, FLATTENED)
