"""What a server says of a request: taken, taken in part, not now, never."""

from __future__ import annotations

import logging
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from provtel_model.components import Signal
from provtel_model.errors import MalformedError, PermanentError
from provtel_model.rpc_status import RpcStatus

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context

_log = logging.getLogger(__name__)

_RESPONSES: Final[dict[Signal, type[Message]]] = {
    Signal.TRACES: ExportTraceServiceResponse,
    Signal.METRICS: ExportMetricsServiceResponse,
    Signal.LOGS: ExportLogsServiceResponse,
}
_REJECTED: Final = {
    Signal.TRACES: ("rejected_spans", "rejectedSpans", "spans"),
    Signal.METRICS: ("rejected_data_points", "rejectedDataPoints", "metric_points"),
    Signal.LOGS: ("rejected_log_records", "rejectedLogRecords", "log_records"),
}


def note_partial_success(batch: Batch, body: bytes, where: str, context: Context) -> None:
    """Count and tell what a server took only in part; that is not sent again, as the protocol demands.

    Raises:
        PermanentError: The body is no answer; who says so is no server of OTLP.
    """
    if not body:
        return
    try:
        response: Any = _RESPONSES[batch.signal].FromString(body)
    except DecodeError:
        raise PermanentError(f"{where} answered {len(body)} bytes that are no answer of OTLP") from None
    partial = response.partial_success
    _note(batch, getattr(partial, _REJECTED[batch.signal][0]), partial.error_message, context)


def note_partial_success_in_json(batch: Batch, content: Any, where: str, context: Context) -> None:
    """Count and tell what a server took only in part, where it answers in JSON.

    Raises:
        PermanentError: It is no answer; who says so is no server of OTLP.
    """
    try:
        partial = content.get("partialSuccess") or {}
        rejected, message = int(partial.get(_REJECTED[batch.signal][1]) or 0), str(partial.get("errorMessage") or "")
    except (AttributeError, TypeError, ValueError):
        raise PermanentError(f"{where} answered JSON that is no answer of OTLP") from None
    _note(batch, rejected, message, context)


def _note(batch: Batch, rejected: int, message: str, context: Context) -> None:
    if rejected:
        name = _REJECTED[batch.signal][2]
        context.report(f"exporter_rejected_{name}", rejected, {})
        _log.warning("%s: the server rejected %d of %d %s: %s", context.id, rejected, batch.items, name, message)
    elif message:
        _log.warning("%s: the server took everything, and warns: %s", context.id, message)


def status_of(body: bytes) -> RpcStatus:
    """Return the status that a body is; an empty one where it is none."""
    try:
        return RpcStatus.parsed(body)
    except MalformedError:
        return RpcStatus()


def retry_after(header: str | None) -> float | None:
    """Return after how many seconds a ``Retry-After`` header asks to try again, where it does."""
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
