"""`carry`: takes the running activity along into a thread or another process."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, ParamSpec, TypeVar

from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, get_current_span
from ormsgpack import unpackb
from provtel_model.journal.layout import pack

from provtel.otel_context import RUN_KEY, SPAN_KEY, attach, current, detach
from provtel.run import NO_RUN, Run
from provtel.surroundings import run_in

if TYPE_CHECKING:
    from collections.abc import Callable


_P = ParamSpec("_P")
_R = TypeVar("_R")
_MAX_RUNS: Final = 1000
_PLAIN: Final = frozenset({bool, bytes, float, int, str})


class Luggage(NamedTuple):
    """What goes to another process.

    Args:
        trace_id: Trace of the span that was current; 0 where there was none.
        span_id: That span.
        trace_flags: Its flags.
        run: Facts of the run, packed.
        baggage: OpenTelemetry's baggage, without what may not be fit to travel.
    """

    trace_id: int
    span_id: int
    trace_flags: int
    run: bytes
    baggage: dict[str, object]

    @classmethod
    def pack(cls, context: Context) -> Luggage:
        """Take what a context has."""
        span = get_current_span(context).get_span_context()
        run = pack([run_in(context).facts])
        entries = {name: value for name, value in baggage.get_all(context).items() if type(value) in _PLAIN}
        return cls(span.trace_id, span.span_id, int(span.trace_flags), run, entries)

    def unpack(self) -> Context:
        """Return a context that has what was taken along, and nothing of what a forked child found current."""
        entries: dict[str, object] = {RUN_KEY: _run_of(self.run)}
        if self.trace_id:
            flags = TraceFlags(self.trace_flags)
            entries[SPAN_KEY] = NonRecordingSpan(SpanContext(self.trace_id, self.span_id, True, flags))  # noqa: FBT003
        context = Context(entries)
        for name, value in self.baggage.items():
            context = baggage.set_baggage(name, value, context)
        return context


@functools.lru_cache(maxsize=_MAX_RUNS)
def _run_of(packed: bytes) -> Run:
    (facts,) = unpackb(packed)
    return Run(facts) if facts else NO_RUN


class Carried(Generic[_P, _R]):
    """Calls a function in the context in which it was made, here or wherever it is sent."""

    def __init__(self, function: Callable[_P, _R], context: Context | None, luggage: Luggage | None) -> None:
        """Keep what is called, and the context, which is unpacked where it is first called."""
        self._function = function
        self._context = context
        self._luggage = luggage
        functools.update_wrapper(self, function, updated=())  # an instance that can be called may have our names

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Return what the function returns."""
        token = attach(self.here())
        try:
            return self._function(*args, **kwargs)
        finally:
            detach(token)

    @property
    def function(self) -> Callable[_P, _R]:
        """What it calls."""
        return self._function

    def here(self) -> Context:
        """Return the context in which it calls."""
        if self._context is None:
            self._context = Context() if self._luggage is None else self._luggage.unpack()
        return self._context

    def __reduce__(self) -> tuple[Any, ...]:
        luggage = self._luggage or Luggage.pack(self.here())
        return Carried, (self._function, None, luggage)


def carry(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Return a function that runs in what is current now, wherever it is called: in a thread, in another process.

    Tasks that it starts are children of the task that is running now, in the same run; OpenTelemetry's baggage goes
    along. What is returned can be pickled where the function can.

    Args:
        function: Anything callable that is no coroutine function; those carry their context by themselves.
    """
    return Carried(function, current(), None)
