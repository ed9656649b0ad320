"""OpenTelemetry's logger provider, with the journal behind it."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import Logger, LoggerProvider, LogRecord
from opentelemetry.trace import SpanContext, TraceFlags
from provtel_model import attributes as names

from provtel import logs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.record import PlainScope


class JournalLoggerProvider(LoggerProvider):
    """Gives loggers whose records are kept in the journal of this process."""

    def get_logger(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Logger:
        """Return the logger of a library."""
        return JournalLogger(name, version, schema_url, attributes)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Let every record reach its destination; say whether all did in time."""
        from provtel.recording import recorder

        taking = recorder()
        return taking is None or taking.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Do nothing: what was emitted is in the journal."""


class JournalLogger(Logger):
    """A logger whose records go to the journal. No method raises."""

    def enabled(self, *_: Any, **__: Any) -> bool:
        """Say that records are wanted, of every severity."""
        return True

    def emit(self, record: LogRecord | None = None, **said: Any) -> None:
        """Write a log record, or what one is made of."""
        emit(LogRecord(**said) if record is None else record, self._scope())

    def _scope(self) -> PlainScope:
        scope: PlainScope = {"name": self._name}
        if self._version:
            scope["version"] = self._version
        if self._schema_url:
            scope["schema_url"] = self._schema_url
        return scope


def emit(record: LogRecord, scope: PlainScope) -> None:
    """Write a record of OpenTelemetry's interface."""
    span = None
    if record.trace_id:
        flags = TraceFlags(record.trace_flags or 0)
        span = SpanContext(record.trace_id, record.span_id or 0, is_remote=False, trace_flags=flags)
    logs.emit(
        record.body,
        severity=record.severity_number.value if record.severity_number else 0,
        severity_text=record.severity_text or "",
        name=getattr(record, "event_name", None) or "",
        attributes={**_raised(getattr(record, "exception", None)), **(record.attributes or {})},
        at=record.timestamp or record.observed_timestamp,
        scope=scope,
        span=span,
    )


def _raised(error: BaseException | None) -> dict[str, str]:
    if error is None:
        return {}
    return {
        names.EXCEPTION_TYPE: type(error).__qualname__,
        names.EXCEPTION_MESSAGE: str(error),
        names.EXCEPTION_STACKTRACE: "".join(traceback.format_exception(error)),
    }
