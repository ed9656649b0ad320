"""Sends OTLP requests over HTTP: one connection, kept open, that says which failures may pass."""

from __future__ import annotations

import http.client
import os
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from provtel_model.components import Signal
from provtel_model.errors import PermanentError, RetryableError

from provtel import notices
from provtel.version import VERSION

if TYPE_CHECKING:
    from provtel_model.components import Batch

_TIMEOUT: Final = 10.0
_PATHS: Final = {Signal.TRACES: "/v1/traces", Signal.LOGS: "/v1/logs", Signal.METRICS: "/v1/metrics"}
_RETRYABLE: Final = frozenset({408, 429})
_LONGEST_ANSWER: Final = 200
_HEADERS_VARIABLE: Final = "OTEL_EXPORTER_OTLP_HEADERS"


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
        endpoint: Address to which OTLP's own paths are appended.
    """

    def __init__(self, endpoint: str) -> None:
        """Keep the address; nothing is connected yet."""
        self.endpoint = endpoint
        self._address = urlsplit(endpoint)
        self._headers = {
            "Content-Type": "application/x-protobuf",
            "User-Agent": f"provtel/{VERSION}",
            **_given_headers(os.environ.get(_HEADERS_VARIABLE, "")),
        }
        self._connection: http.client.HTTPConnection | None = None
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
        response, answer = self._post(_PATHS[batch.signal], batch.payload)
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
        """Close the connection; the next batch opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _post(self, path: str, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        kept_open = self._connection is not None
        try:
            return self._post_once(path, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not kept_open:
                raise RetryableError(f"{self.endpoint} cannot be reached: {error!s}") from error
        # A server may close a connection that was idle; only a fresh one says whether it is there.
        return self._post(path, body)

    def _post_once(self, path: str, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request("POST", self._address.path.rstrip("/") + path, body, self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.will_close:
            self.close()
        return response, answer

    def _connect(self) -> http.client.HTTPConnection:
        host = self._address.netloc.rpartition("@")[2]
        if self._address.scheme == "https":
            return http.client.HTTPSConnection(host, timeout=_TIMEOUT)
        return http.client.HTTPConnection(host, timeout=_TIMEOUT)


def _given_headers(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(","))
    return {unquote(key.strip()): unquote(value.strip()) for key, mark, value in pairs if mark and key.strip()}


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
