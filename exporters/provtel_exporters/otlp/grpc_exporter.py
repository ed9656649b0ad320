"""The ``otlp_grpc`` exporter."""

from __future__ import annotations

import base64
import enum
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from provtel_model.components import Signal
from provtel_model.errors import MalformedError, PermanentError, RetryableError
from provtel_model.unpacking import PACKINGS, TooLargeError, unpack

from provtel_exporters.otlp import answers
from provtel_exporters.otlp.credentials import Headers
from provtel_exporters.otlp.grpc_connection import headers_block
from provtel_exporters.otlp.grpc_pool import GrpcPool
from provtel_exporters.otlp.packing import packer

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context

    from provtel_exporters.otlp.config import OtlpGrpcConfig
    from provtel_exporters.otlp.grpc_connection import GrpcAnswer

_PATHS: Final = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_PREFIX: Final = 5
_MESSAGE_LIMIT: Final = 500
_ANSWER_LIMIT: Final = 2**20


class Code(enum.IntEnum):
    """The codes of gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


# OTLP 1.11, "Failures"; RESOURCE_EXHAUSTED is only for now where the server says when to try again.
_RETRYABLE: Final = frozenset(
    {Code.CANCELLED, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.OUT_OF_RANGE, Code.UNAVAILABLE, Code.DATA_LOSS}
)
_OF_HTTP: Final = {
    "400": Code.INTERNAL,
    "401": Code.UNAUTHENTICATED,
    "403": Code.PERMISSION_DENIED,
    "404": Code.UNIMPLEMENTED,
    "429": Code.UNAVAILABLE,
    "502": Code.UNAVAILABLE,
    "503": Code.UNAVAILABLE,
    "504": Code.UNAVAILABLE,
}


class OtlpGrpcExporter:
    """Calls a server, and returns when it has taken a request.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: OtlpGrpcConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._headers = Headers(config.headers, config.auth, context)
        self._pack = packer(config.compression, framed=True)
        self._pool: GrpcPool | None = None

    def start(self) -> None:
        """Read what TLS and auth name; nothing is sent yet.

        Raises:
            ConfigError: It is not there.
        """
        self._headers.start()
        self._pool = GrpcPool(self._config, f"exporters::{self._context.id}")

    def shutdown(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.close()

    def consume(self, batch: Batch) -> None:
        """Send a request.

        Raises:
            RetryableError: The server did not take it now, or did not answer.
            PermanentError: The server will never take it.
        """
        pool = self._pool
        if pool is None:
            raise RetryableError("the exporter has not started")
        content = batch.payload if self._pack is None else self._pack(batch.payload)
        message = bytes((self._pack is not None,)) + len(content).to_bytes(4, "big") + content
        try:
            answer = pool.call(self._head(pool, batch.signal), message)
        except OSError as error:
            raise RetryableError(f"{pool.where} does not answer: {str(error) or type(error).__name__}") from error
        self._judge(batch, answer, pool.where)

    def _head(self, pool: GrpcPool, signal: Signal) -> bytes:
        headers = {
            ":method": "POST",
            ":scheme": pool.scheme,
            ":path": _PATHS[signal],
            ":authority": pool.authority,
            "content-type": "application/grpc",
            "te": "trailers",
            "user-agent": "provtel",
            "grpc-accept-encoding": "identity,gzip,zstd,snappy",
        }
        if self._config.timeout:
            headers["grpc-timeout"] = f"{min(99_999_999, round(self._config.timeout * 1000))}m"
        if self._pack is not None:
            headers["grpc-encoding"] = self._config.compression
        return headers_block({**headers, **self._headers.now()})

    def _judge(self, batch: Batch, answer: GrpcAnswer, where: str) -> None:
        code = _code(answer)
        if code is Code.OK:
            answers.note_partial_success(batch, _message(answer), where, self._context)
            return
        text = unquote(answer.headers.get("grpc-message", ""))[:_MESSAGE_LIMIT]
        message = f"{where} answered {code.name}{f': {text}' if text else ''}"
        wait = _wait(answer)
        if code in _RETRYABLE or (code is Code.RESOURCE_EXHAUSTED and wait is not None):
            raise RetryableError(message, wait)
        raise PermanentError(message)


def _message(answer: GrpcAnswer) -> bytes:
    """Return the message of an answer; servers pack theirs as the request was, whatever we accept."""
    content = bytes(answer.data[_PREFIX:])
    packing = answer.headers.get("grpc-encoding", "")
    if not answer.data or not answer.data[0]:
        return content
    try:
        return unpack(content, packing, _ANSWER_LIMIT) if packing in PACKINGS else content
    except (MalformedError, TooLargeError) as error:
        raise PermanentError(f"the server's answer cannot be read: {error}") from None


def _code(answer: GrpcAnswer) -> Code:
    told = answer.headers.get("grpc-status")
    if told is None:
        return _OF_HTTP.get(answer.headers.get(":status", ""), Code.UNKNOWN)
    return Code(int(told)) if told.isascii() and told.isdigit() and int(told) in set(Code) else Code.UNKNOWN


def _wait(answer: GrpcAnswer) -> float | None:
    """Return after how many seconds the server asks to try again, where it does."""
    details = answer.headers.get("grpc-status-details-bin", "")
    try:
        status = base64.b64decode(details + "=" * (-len(details) % 4))
    except ValueError:
        return None
    return answers.status_of(status).wait
