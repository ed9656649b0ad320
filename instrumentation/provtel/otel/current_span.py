"""`start_as_current_span`: a block in which a new span is current, or what decorates a function with one."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, TypeVar

from opentelemetry.context import Context

from provtel.otel.span import RecordingSpan
from provtel.otel_context import SPAN_KEY, attach, current, detach

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from opentelemetry.trace import Span

    from provtel.otel.tracer import JournalTracer

_put: Final = dict.__setitem__
_F = TypeVar("_F", bound="Callable[..., Any]")


class CurrentSpan:
    """A block in which a new span is current; a decorator whose function gets a new span with each call.

    Args:
        tracer: Starts the span.
        arguments: What it is started with.
        end_on_exit: It ends with the block.
    """

    def __init__(self, tracer: JournalTracer, arguments: tuple[Any, ...], *, end_on_exit: bool) -> None:
        """Keep what was said; nothing starts."""
        self._tracer = tracer
        self._arguments = arguments
        self._end_on_exit = end_on_exit
        self._inside: list[tuple[Span, object]] = []

    def __enter__(self) -> Span:
        span = self._tracer.start_span(*self._arguments)
        context = Context(current())
        # A context refuses entries once it is made, because others may hold it; this one nobody has seen yet.
        _put(context, SPAN_KEY, span)
        self._inside.append((span, attach(context)))
        return span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the span as the block was left; the exception goes on."""
        span, token = self._inside.pop()
        detach(token)
        # What is no Exception is no failure: the end of a generator, of the program.
        if isinstance(error, Exception) and isinstance(span, RecordingSpan):
            span.failed(error, escaped=False)
        if self._end_on_exit:
            span.end()

    def __call__(self, function: _F) -> _F:
        """Decorate a function: each of its calls is a span."""
        if inspect.iscoroutinefunction(function):

            async def call_later(*args: Any, **kwargs: Any) -> Any:
                with self._again():
                    return await function(*args, **kwargs)

            return functools.update_wrapper(call_later, function)  # type: ignore[return-value]  # called as it

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return functools.update_wrapper(call, function)  # type: ignore[return-value]  # as above

    def _again(self) -> CurrentSpan:
        return CurrentSpan(self._tracer, self._arguments, end_on_exit=self._end_on_exit)
