"""The OpenTelemetry side of an activity: what other libraries may do with the current span."""

from __future__ import annotations

import contextlib
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import Span, SpanContext, StatusCode, TraceFlags
from provtel_model import attributes as names

from provtel import notices
from provtel.errors import describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import Status
    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainError, PlainEvent, PlainLink

    from provtel.recorder import Recorder

_MAX_ENTRIES: Final = 1000
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class RecordedSpan(Span):
    """A span that keeps what it is told until its end is written; afterwards, and on failures, it does nothing."""

    recorder: Recorder
    trace: bytes
    span_id: int
    facts: dict[str, Any]
    """What became known after the start, by fields of the plain record."""
    failure: PlainError | None
    """Why it is an error, where it was told to be one."""
    ended: bool

    def get_span_context(self) -> SpanContext:
        """Return what children and links need."""
        return SpanContext(int.from_bytes(self.trace, "big"), self.span_id, is_remote=False, trace_flags=_SAMPLED)

    def is_recording(self) -> bool:
        """Say whether it has not ended."""
        return not self.ended

    def set_attribute(self, key: str, value: Any) -> None:
        """Keep an attribute; the last value of a key counts."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Keep attributes; the last value of a key counts."""
        if self.ended:
            return
        with self.unharmed("a span attribute"):
            self._fact("attributes").update(self._forms(attributes))

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        """Keep something that happened now, or at a time in nanoseconds."""
        if self.ended:
            return
        with self.unharmed("a span event"):
            event: PlainEvent = {"name": str(name), "time": timestamp or time_ns()}
            if attributes:
                event["attributes"] = self._forms(attributes)
            self.add_entries("events", [event])

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Keep a relation to another span."""
        if self.ended:
            return
        with self.unharmed("a span link"):
            link: PlainLink = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
            if attributes:
                link["attributes"] = self._forms(attributes)
            self.add_entries("links", [link])

    def update_name(self, name: str) -> None:
        """Change the name."""
        if not self.ended:
            self.facts["name"] = str(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Make it an error, or not one any more."""
        code = getattr(status, "status_code", status)
        text = description or getattr(status, "description", None)
        self.failure = ({"message": str(text)} if text else {}) if code is StatusCode.ERROR else None

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002, ARG002  # the interface's
    ) -> None:
        """Keep an exception that was handled, as an event."""
        if self.ended:
            return
        with self.unharmed("an exception"):
            said = describe(exception, self.recorder.snapshots.redaction)
            known = {
                names.EXCEPTION_TYPE: said.get("type"),
                names.EXCEPTION_MESSAGE: said.get("message"),
                names.EXCEPTION_STACKTRACE: said.get("stacktrace"),
            }
            told = {key: value for key, value in known.items() if value is not None}
            self.add_event(names.EXCEPTION_EVENT, {**told, **(attributes or {})}, timestamp)

    def add_entries(self, field: str, entries: list[Any]) -> None:
        """Add to a list of facts, up to a bound; what is beyond is counted as dropped."""
        kept = self.facts.setdefault(field, []) if entries else []
        room = _MAX_ENTRIES - len(kept)
        kept.extend(entries[:room])
        if len(entries) > room:
            dropped = self._fact("dropped")
            dropped[field] = dropped.get(field, 0) + len(entries) - room

    @contextlib.contextmanager
    def unharmed(self, what: str) -> Iterator[None]:
        """Keep a failure of ours from the program."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
            notices.capture_failed(what, error)

    def _fact(self, field: str) -> dict[str, Any]:
        found: dict[str, Any] = self.facts.setdefault(field, {})
        return found

    def _forms(self, attributes: Mapping[str, Any]) -> dict[str, AnyValue]:
        snapshots = self.recorder.snapshots
        return {str(key): snapshots.of_role(str(key), value) for key, value in attributes.items()}
