"""Sends OTLP requests over HTTP: one connection, kept open, that says which failures may pass."""

from __future__ import annotations

import http.client
import os
from typing import TYPE_CHECKING, Final

from provtel_model.components import Signal
from provtel_model.errors import PermanentError, RetryableError

from provtel import notices
from provtel.otlp_variables import Way, way_of
from provtel.version import VERSION

if TYPE_CHECKING:
    from provtel_model.components import Batch

_HEADERS: Final = {"Content-Type": "application/x-protobuf", "User-Agent": f"provtel/{VERSION}"}
_RETRYABLE: Final = frozenset({408, 429})
_LONGEST_ANSWER: Final = 200


class RefusedError(PermanentError):
    """The endpoint has no place for a signal.

    Args:
        message: What it answered.
        signal: The signal.
    """

    def __init__(self, message: str, signal: Signal) -> None:
        """Keep the signal beside the message."""
        super().__init__(message)
        self.signal = signal


class Sender:
    """Posts batches to an endpoint; `send` returns only when the endpoint has acknowledged one.

    Args:
        endpoint: Address to which OTLP's own paths are appended, unless the environment has another for a signal.
    """

    def __init__(self, endpoint: str) -> None:
        """Keep the address; nothing is connected yet."""
        self.endpoint = endpoint
        self._ways = {signal: way_of(signal, endpoint, os.environ) for signal in Signal}
        self._connections: dict[tuple[str, str], http.client.HTTPConnection] = {}
        self._refused: dict[Signal, str] = {}

    def send(self, batch: Batch) -> None:
        """Post a batch.

        Raises:
            RefusedError: The endpoint has no place for this signal (404).
            PermanentError: The endpoint will never take this batch.
            RetryableError: It may take it later.
        """
        if batch.signal in self._refused:
            raise RefusedError(self._refused[batch.signal], batch.signal)
        response, answer = self._post(self._ways[batch.signal], batch.payload)
        if response.status < 300:  # noqa: PLR2004  # what is below is a success
            _check_partial_success(batch, answer, self.endpoint)
            return
        said = answer[:_LONGEST_ANSWER].decode("utf-8", "replace").strip()
        message = f"{self.endpoint} answered {response.status} {response.reason} to {batch.signal}: {said}"
        if response.status in _RETRYABLE or response.status >= 500:  # noqa: PLR2004  # the server's fault
            raise RetryableError(message, _seconds(response.getheader("Retry-After")))
        if response.status == 404:  # noqa: PLR2004  # no such path
            self._refused[batch.signal] = message
            raise RefusedError(message, batch.signal)
        raise PermanentError(message)

    def close(self) -> None:
        """Close the connections; the next batch opens another one."""
        while self._connections:
            self._connections.popitem()[1].close()

    def _post(self, way: Way, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        kept_open = way.server in self._connections
        try:
            return self._post_once(way, way.compress(body) if way.compress else body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not kept_open:
                raise RetryableError(f"{self.endpoint} cannot be reached: {error!s}") from error
        # A server may close a connection that was idle; only a fresh one says whether it is there.
        return self._post(way, body)

    def _post_once(self, way: Way, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        if way.server not in self._connections:
            self._connections[way.server] = way.connect()
        connection = self._connections[way.server]
        connection.request("POST", way.path, body, {**_HEADERS, **way.headers})
        response = connection.getresponse()
        answer = response.read()
        if response.will_close:
            self._connections.pop(way.server).close()
        return response, answer


def _seconds(retry_after: str | None) -> float | None:
    # The other form, a date, asks for the servers' clocks to agree.
    return float(retry_after) if retry_after is not None and retry_after.strip().isdecimal() else None


def _check_partial_success(batch: Batch, answer: bytes, endpoint: str) -> None:
    """Say so where an endpoint took a request and left some of it out; OTLP forbids to send that again."""
    if not answer:
        return
    # The codec has loaded them by now; at the head of this module the first activity would wait for protobuf.
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        if batch.signal is Signal.TRACES:
            spans = ExportTraceServiceResponse.FromString(answer).partial_success
            rejected, reason = spans.rejected_spans, spans.error_message
        elif batch.signal is Signal.METRICS:
            points = ExportMetricsServiceResponse.FromString(answer).partial_success
            rejected, reason = points.rejected_data_points, points.error_message
        else:
            logs = ExportLogsServiceResponse.FromString(answer).partial_success
            rejected, reason = logs.rejected_log_records, logs.error_message
    except DecodeError:
        return
    if rejected:
        notices.say("rejected", f"{endpoint} rejected {rejected} records for good: {reason}")
