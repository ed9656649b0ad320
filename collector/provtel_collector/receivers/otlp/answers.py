"""The answers of OTLP over HTTP: status codes, and ``google.rpc.Status`` bodies for what went wrong."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from provtel_collector.http.messages import Answer
from provtel_collector.receivers.otlp.verdicts import Code

if TYPE_CHECKING:
    from provtel_collector.receivers.otlp.verdicts import Verdict

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
_DEFAULT_WAIT_SECONDS: Final = 1

NOT_FOUND: Final = Answer(HTTPStatus.NOT_FOUND, b"404 page not found\n")
NOT_POST: Final = Answer(
    HTTPStatus.METHOD_NOT_ALLOWED, b"405 method not allowed, supported: [POST]", "text/plain", [(b"allow", b"POST")]
)
NO_FORM: Final = Answer(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    f"415 unsupported media type, supported: [{JSON}, {PROTOBUF}]".encode(),
    "text/plain",
)
# An empty Export…ServiceResponse: everything was taken, nothing is partial.
_TAKEN: Final = {False: Answer(HTTPStatus.OK, b"", PROTOBUF), True: Answer(HTTPStatus.OK, b"{}", JSON)}
_STATUSES: Final = {
    Code.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    Code.RESOURCE_EXHAUSTED: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
}


def answer(verdict: Verdict, *, in_json: bool) -> Answer:
    """Return how a verdict is told to a sender, in the form that it sent."""
    if verdict.code is Code.OK:
        return _TAKEN[in_json]
    headers: list[tuple[bytes, bytes]] = []
    if verdict.code is Code.UNAVAILABLE:
        wait = _DEFAULT_WAIT_SECONDS if verdict.wait is None else math.ceil(verdict.wait)
        headers.append((b"retry-after", str(wait).encode()))
    if verdict.code is Code.UNAUTHENTICATED:
        headers.append((b"www-authenticate", b"Bearer, Basic"))
    status = _STATUSES[verdict.code]
    if in_json:
        said = json.dumps({"code": verdict.code, "message": verdict.text}, ensure_ascii=False).encode()
        return Answer(status, said, JSON, headers)
    return Answer(status, verdict.status(), PROTOBUF, headers)
