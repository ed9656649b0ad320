"""The HTTP side of the ``otlp`` receiver, as an ASGI application."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import MalformedError, PermanentError, RetryableError
from provtel_model.otlp import check

from provtel_collector.receivers.otlp import answers
from provtel_collector.receivers.otlp.body import PACKINGS, TooLargeError, read_body, unpack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from concurrent.futures import Executor

    from provtel_model.components import Consumer, Signal

    from provtel_collector.receivers.otlp.answers import Answer

_PLAIN: Final = frozenset({"", "identity"})


class OtlpApplication:
    """Answers a posted request only after the consumer returned.

    Args:
        routes: The signal and the consumer of each path.
        limit: The most bytes of a request, packed and unpacked.
        workers: Where requests are unpacked, checked and consumed; the event loop only reads and writes.
    """

    def __init__(self, routes: Mapping[str, tuple[Signal, Consumer]], limit: int, workers: Executor) -> None:
        self._routes = routes
        self._limit = limit
        self._workers = workers

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        answer = await self._answer(scope, receive)
        if answer is not None:
            await _send(answer, send)

    async def _answer(self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]]) -> Answer | None:
        route = self._routes.get(scope["path"])
        if route is None:
            return answers.NOT_FOUND
        if scope["method"] != "POST":
            return answers.NOT_POST
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get(b"content-type", "").partition(";")[0].strip().lower() != answers.PROTOBUF:
            return answers.NOT_PROTOBUF
        packing = headers.get(b"content-encoding", "").strip().lower()
        if packing not in PACKINGS and packing not in _PLAIN:
            return answers.malformed(f"unsupported Content-Encoding: {packing}; supported: {', '.join(PACKINGS)}")
        try:
            body = await read_body(receive, self._limit)
        except TooLargeError:
            return answers.too_large(self._limit)
        if body is None:
            return None
        return await asyncio.get_running_loop().run_in_executor(self._workers, self._take, route, packing, body)

    def _take(self, route: tuple[Signal, Consumer], packing: str, body: bytes) -> Answer:
        """Give a request on, and return what to answer."""
        signal, consumer = route
        try:
            payload = body if packing in _PLAIN else unpack(body, packing, self._limit)
            batch = check(signal, payload)
            if batch.items:
                consumer.consume(batch)
        except TooLargeError:
            return answers.too_large(self._limit)
        except MalformedError as error:
            return answers.malformed(str(error))
        except RetryableError as error:
            return answers.try_again(str(error), error.retry_after)
        except PermanentError as error:
            return answers.refused(str(error))
        return answers.TAKEN


async def _send(answer: Answer, send: Callable[[Mapping[str, Any]], Awaitable[None]]) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status.value, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
