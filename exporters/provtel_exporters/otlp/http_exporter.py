"""The ``otlp_http`` exporter."""

from __future__ import annotations

import contextlib
import http.client
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from provtel_model.components import ALL_SIGNALS
from provtel_model.errors import PermanentError, RetryableError
from provtel_model.otlp import to_json

from provtel_exporters.otlp import answers
from provtel_exporters.otlp.credentials import Headers
from provtel_exporters.otlp.http_pool import HttpPool
from provtel_exporters.otlp.packing import packer

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context, Signal

    from provtel_exporters.otlp.config import OtlpHttpConfig
    from provtel_exporters.otlp.http_pool import HttpAnswer

_FORMS: Final = {"proto": "application/x-protobuf", "json": "application/json"}
_RETRYABLE: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_MESSAGE_LIMIT: Final = 500


class OtlpHttpExporter:
    """Posts requests, and returns when the server has taken them.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: OtlpHttpConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._headers = Headers(config.headers, config.auth, context)
        self._pools: dict[Signal, HttpPool] = {}
        self._pack = packer(config.compression, config.compression_params.level)
        self._form = _FORMS[config.encoding]

    def start(self) -> None:
        """Read what TLS and auth name; nothing is sent yet.

        Raises:
            ConfigError: It is not there.
        """
        self._headers.start()
        for signal in ALL_SIGNALS:
            address = self._config.address(signal)
            if address is not None:
                self._pools[signal] = HttpPool(address, self._config, f"exporters::{self._context.id}")

    def shutdown(self) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            pool.close()

    def consume(self, batch: Batch) -> None:
        """Post a request.

        Raises:
            RetryableError: The server did not take it now, or did not answer.
            PermanentError: The server will never take it.
        """
        pool = self._pools.get(batch.signal)
        if pool is None:
            raise PermanentError(f"no endpoint is configured for {batch.signal}")
        body = to_json(batch.signal, batch.payload) if self._config.encoding == "json" else batch.payload
        headers = {"content-type": self._form, **self._headers.now()}
        if self._pack is not None:
            body = self._pack(body)
            headers["content-encoding"] = self._config.compression
        try:
            answer = pool.post(body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise RetryableError(f"{pool.where} does not answer: {str(error) or type(error).__name__}") from error
        self._judge(batch, answer, pool.where)

    def _judge(self, batch: Batch, answer: HttpAnswer, where: str) -> None:
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            self._note(batch, answer, where)
            return
        message = f"{where} answered {answer.status}{_reason(answer)}"
        if answer.status in _RETRYABLE:
            raise RetryableError(message, answers.retry_after(answer.headers.get("retry-after")))
        raise PermanentError(message)

    def _note(self, batch: Batch, answer: HttpAnswer, where: str) -> None:
        if answer.form == _FORMS["proto"]:
            answers.note_partial_success(batch, answer.body, where, self._context)
        elif answer.form == _FORMS["json"] and answer.body:
            content: object = None
            with contextlib.suppress(ValueError):
                content = json.loads(answer.body)
            answers.note_partial_success_in_json(batch, content, where, self._context)


def _reason(answer: HttpAnswer) -> str:
    """Return what a server says of a refusal, in whichever form."""
    text = ""
    if answer.form == _FORMS["proto"]:
        text = answers.status_of(answer.body).message
    elif answer.form == _FORMS["json"]:
        with contextlib.suppress(ValueError, AttributeError):
            text = str(json.loads(answer.body).get("message", ""))
    else:
        text = answer.body.decode(errors="replace").strip()
    return f": {text[:_MESSAGE_LIMIT]}" if text else ""
