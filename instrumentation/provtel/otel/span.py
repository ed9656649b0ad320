"""A span of our tracers: its start and its end go to the journal when they happen, as those of tasks do."""

from __future__ import annotations

from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from ormsgpack import packb
from provtel_model import attributes as names
from provtel_model.journal.layout import Kind, pack
from provtel_model.journal.layout import Status as JournalStatus

from provtel import notices
from provtel.errors import LONGEST_MESSAGE, describe, text_of
from provtel.otel.forms import form_of, forms_of, name_of
from provtel.otel.limits import is_never_left_out
from provtel.otel_span import RecordedSpan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainError, PlainEvent, PlainLink

    from provtel.interned import Interned
    from provtel.otel.place import Place
    from provtel.otel.processors import Processors
    from provtel.otel.scope import Scope
    from provtel.recorder import Recorder

_START: Final = Kind.START.value
_END: Final = Kind.END.value
_FINISHED: Final = JournalStatus.FINISHED.value
_ERROR: Final = JournalStatus.ERROR.value
_OK: Final = StatusCode.OK.value
_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
_NO_STATE: Final = TraceState()


class RecordingSpan(RecordedSpan):
    """A span that is being recorded. No method raises, and after the end none does anything.

    Args:
        scope: Of the tracer that makes it.
        recorder: Takes its start and its end.
        place: Where it is in which trace.
        name: Its name.
        kind: Its kind.
        attributes: What is known of it at the start.
        started_at: When it started, where that is not now; in nanoseconds since the epoch.
    """

    # What most spans never have is the class's.
    failure: PlainError | None = None
    ended: bool = False
    end_time: int | None = None
    _status: Status | None = None
    _attributes_dropped = 0
    _records_exception = _sets_status = True

    def __init__(
        self,
        scope: Scope,
        recorder: Recorder,
        place: Place,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any] | None = None,
        started_at: int | None = None,
    ) -> None:
        """Prepare; `begin` writes the start."""
        self.scope = scope
        self.recorder = recorder
        self.place = place
        self.trace, self.span_id = place.trace, place.span_id
        self.run = place.run
        self.kind = kind
        self.facts: dict[str, Any] = {}
        self.definition: Interned
        self.definition, self._name = scope.definition_of(name, kind), name
        self.started_at = time_ns() if started_at is None else int(started_at)
        self._clock = perf_counter_ns() if started_at is None else 0
        self._attributes: dict[str, AnyValue] = {}
        self._events: list[PlainEvent] = []
        self._links: list[PlainLink] = []
        if attributes:
            self._keep(attributes, self._attributes)

    def begin(self) -> None:
        """Write the start, with what is known of it."""
        facts: dict[str, Any] = {"attributes": self._attributes} if self._attributes else {}
        if self.definition.is_nameless:  # type: ignore[attr-defined]  # a scope's
            facts["name"] = self._name
        if self._links:
            facts["links"] = self.facts.pop("links")
        if self.place.state:
            facts["trace_state"] = self.place.state.to_header()
        number, run, place = self.definition.number, self.run.number, self.place
        start = [_START, number, run, self.trace, self.span_id, place.parent_id, self.started_at, None]
        if facts:
            start.append(facts)
        self.start_payload = _packed(start)
        if place.journaled:
            self.recorder.start(self)

    def get_span_context(self) -> SpanContext:
        """Return what children and links need."""
        place = self.place
        flags = _SAMPLED if place.sampled else _NOT_SAMPLED
        return SpanContext(int.from_bytes(self.trace, "big"), self.span_id, False, flags, place.state or _NO_STATE)  # noqa: FBT003

    def set_attribute(self, key: str, value: Any) -> None:
        """Keep an attribute; the last value of a key counts."""
        # As in the SDK, which takes names of other types where there are several.
        is_name = isinstance(key, str)
        self.set_attributes({key if is_name else "": value})

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Keep attributes; the last value of a key counts."""
        if self.ended:
            return
        try:
            self._keep(attributes, self.facts.setdefault("attributes", {}))
        except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
            notices.capture_failed("a span attribute", error)

    def _keep(self, attributes: Mapping[str, Any], later: dict[str, AnyValue]) -> None:
        limits, snapshots, known = self.scope.limits, self.recorder.snapshots, self._attributes
        most, plain = limits.attributes, snapshots.redaction.plain_names
        for key, value in attributes.items():
            if type(key) is not str:
                key = name_of(key)  # noqa: PLW2901  # so that what is usual takes no longer
            if not key:
                self._attributes_dropped += 1
            elif most is None or len(known) < most or key in known or is_never_left_out(key):
                kind = type(value)
                # What is most frequent without a call.
                if key in plain and (kind is float or (kind is int and _INT64_MIN <= value <= _INT64_MAX)):
                    known[key] = later[key] = value
                else:
                    known[key] = later[key] = form_of(snapshots, key, value, limits.span_text)
            else:
                self._attributes_dropped += 1

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        """Keep something that happened now, or at a time in nanoseconds."""
        if self.ended:
            return
        with self.unharmed("a span event"):
            limits = self.scope.limits
            event: PlainEvent = {"name": str(name), "time": time_ns() if timestamp is None else int(timestamp)}
            forms, dropped = forms_of(self.recorder.snapshots, attributes, limits.event_attributes, limits.text)
            if forms:
                event["attributes"] = forms
            if dropped:
                event["dropped"] = dropped
            self._add("events", event, self._events, limits.events)

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Keep a relation to another span; one to no span is kept where it says something of it."""
        if self.ended or not (context.is_valid or attributes or context.trace_state):
            return
        with self.unharmed("a span link"):
            limits = self.scope.limits
            link: PlainLink = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
            if context.trace_state:
                link["trace_state"] = context.trace_state.to_header()
            forms, dropped = forms_of(self.recorder.snapshots, attributes, limits.link_attributes, limits.text)
            if forms:
                link["attributes"] = forms
            if dropped:
                link["dropped"] = dropped
            # Those that came with the start are written already, and count.
            self._add("links", link, self._links, limits.links)

    def _add(self, field: str, entry: Any, known: list[Any], most: int | None) -> None:
        if most is None or len(known) < most:
            known.append(entry)
            self.facts.setdefault(field, []).append(entry)
        else:
            dropped = self._fact("dropped")
            dropped[field] = dropped.get(field, 0) + 1

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Say how it went; that it went well is final, and to say nothing changes nothing."""
        if self.ended:
            return
        if not isinstance(status, Status):
            status = Status(status, description)
        known = self._status
        if status.is_unset or (known is not None and known.status_code is StatusCode.OK):
            return
        self._status = status

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002  # the interface's
    ) -> None:
        """Keep an exception, as an event."""
        if self.ended:
            return
        with self.unharmed("an exception"):
            said = describe(exception, self.recorder.snapshots.redaction)
            told = {
                names.EXCEPTION_TYPE: said.get("type", ""),
                names.EXCEPTION_MESSAGE: said.get("message", ""),
                names.EXCEPTION_STACKTRACE: said.get("stacktrace", ""),
                names.EXCEPTION_ESCAPED: str(escaped),
            }
            self.add_event(names.EXCEPTION_EVENT, {**told, **(attributes or {})}, timestamp)

    def update_name(self, name: str) -> None:
        """Change the name."""
        if not self.ended:
            self._name = self.facts["name"] = str(name)

    def on_exception(self, *, records: bool, sets_status: bool) -> None:
        """Say what becomes of an exception that leaves its block; without it both."""
        self._records_exception, self._sets_status = records, sets_status

    def failed(self, error: BaseException, *, escaped: bool) -> None:
        """Keep the exception that left its block, as far as that is wanted."""
        if self.ended:
            return
        if self._records_exception:
            self.record_exception(error, escaped=escaped)
        if self._sets_status:
            with self.unharmed("an exception"):
                self.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it as the block ended; the exception goes on."""
        if error is not None:
            self.failed(error, escaped=True)
        self.end()

    def end(self, end_time: int | None = None) -> None:
        """End it, now or at a time in nanoseconds."""
        if self.ended:
            return
        try:
            if end_time is not None:
                self.end_time = int(end_time)
            elif self._clock:
                self.end_time = self.started_at + perf_counter_ns() - self._clock
            else:
                self.end_time = time_ns()
            processors: Processors | None = self.scope.processors
            if processors is not None:
                processors.on_ending(self)
            self._write_end()
            if processors is not None:
                processors.on_end(self)
        except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
            notices.capture_failed("the end of a span", error)

    def _write_end(self) -> None:
        if self.ended:
            return
        self.ended = True
        status, facts = _FINISHED, self.facts
        if self._status is not None:
            if self._status.status_code is StatusCode.ERROR:
                status = _ERROR
                said = self._status.description
                facts["error"] = {"message": self._text(said)} if said else {}
            else:
                facts["span_status"] = _OK
        if self._attributes_dropped:
            self._fact("dropped")["attributes"] = self._attributes_dropped
        if self.place.journaled:
            end: list[Any] = [_END, self.span_id, self.end_time, status, None, None, None]
            if facts:
                end.append(facts)
            self.recorder.end(self, _packed(end))

    def _text(self, said: str) -> str:
        return text_of(said, self.recorder.snapshots.redaction, LONGEST_MESSAGE)

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def context(self) -> SpanContext:
        """What children and links need."""
        return self.get_span_context()

    @property
    def parent(self) -> SpanContext | None:
        """Of the span that it is inside of."""
        return self.place.parent

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What was said of it so far."""
        return {**self._attributes}

    @property
    def events(self) -> tuple[PlainEvent, ...]:
        """What happened so far, as a record has it."""
        return (*self._events,)

    @property
    def links(self) -> tuple[PlainLink, ...]:
        """Its relations to others, as a record has them."""
        return (*self._links,)

    @property
    def start_time(self) -> int:
        """When it started, in nanoseconds since the epoch."""
        return self.started_at

    @property
    def status(self) -> Status:
        """How it went, so far as was said."""
        return self._status or Status()


def _packed(items: list[Any]) -> bytes:
    try:
        return packb(items)
    except (TypeError, ValueError) as error:
        try:
            return pack(items)
        except (TypeError, ValueError):
            notices.capture_failed("what a span was told", error)
            return packb(items[:-1])
