"""`carry`: takes the running activity along into a thread or another process."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, ParamSpec, TypeVar

from opentelemetry import baggage
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, get_current_span
from ormsgpack import unpackb
from provtel_model.journal.layout import pack

from provtel.otel_context import RUN_KEY, SPAN_KEY, attach, current, detach, with_entries
from provtel.run import NO_RUN, Run, run_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context

_P = ParamSpec("_P")
_R = TypeVar("_R")
_MAX_RUNS: Final = 1000


class _Luggage(NamedTuple):
    """What goes to another process.

    Args:
        trace_id: Trace of the span that was current; 0 where there was none.
        span_id: That span.
        trace_flags: Its flags.
        run: Facts of the run, packed.
        baggage: OpenTelemetry's baggage.
    """

    trace_id: int
    span_id: int
    trace_flags: int
    run: bytes
    baggage: dict[str, object]

    @classmethod
    def pack(cls, context: Context) -> _Luggage:
        """Take what a context has."""
        span = get_current_span(context).get_span_context()
        run = pack([run_in(context).facts])
        return cls(span.trace_id, span.span_id, int(span.trace_flags), run, dict(baggage.get_all(context)))

    def unpack(self) -> Context:
        """Return what is current here, with what was taken along."""
        entries: dict[str, object] = {RUN_KEY: _run_of(self.run)}
        if self.trace_id:
            flags = TraceFlags(self.trace_flags)
            entries[SPAN_KEY] = NonRecordingSpan(SpanContext(self.trace_id, self.span_id, True, flags))  # noqa: FBT003
        context = with_entries(current(), entries)
        for name, value in self.baggage.items():
            context = baggage.set_baggage(name, value, context)
        return context


@functools.lru_cache(maxsize=_MAX_RUNS)
def _run_of(packed: bytes) -> Run:
    (facts,) = unpackb(packed)
    return Run(facts) if facts else NO_RUN


class _Carried(Generic[_P, _R]):
    """Calls a function in the context in which it was made, here or wherever it is sent."""

    def __init__(self, function: Callable[_P, _R], context: Context | None, luggage: _Luggage | None) -> None:
        self._function = function
        self._context = context
        self._luggage = luggage
        functools.update_wrapper(self, function)

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        token = attach(self._here())
        try:
            return self._function(*args, **kwargs)
        finally:
            detach(token)

    def _here(self) -> Context:
        if self._context is None and self._luggage is not None:
            self._context = self._luggage.unpack()
        return self._context or current()

    def __reduce__(self) -> tuple[Any, ...]:
        luggage = self._luggage or _Luggage.pack(self._context or current())
        return _Carried, (self._function, None, luggage)


def carry(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Return a function that runs in what is current now, wherever it is called: in a thread, in another process.

    Tasks that it starts are children of the task that is running now, in the same run; OpenTelemetry's baggage goes
    along. What is returned can be pickled where the function can.

    Args:
        function: Anything callable that is no coroutine function; those carry their context by themselves.
    """
    return _Carried(function, current(), None)
