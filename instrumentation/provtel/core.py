"""The way of every activity from its start to its end: context, clocks, and what its start is.

`ActivityCore` exists twice and does the same: here, and compiled, in ``_accelerator.c``, which is used where it was
built. What is not the plain case comes back to Python from there.
"""

from __future__ import annotations

from threading import get_ident
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import Span
from ormsgpack import packb
from provtel_model.journal.layout import Kind

from provtel import surroundings
from provtel.accelerator import accelerator
from provtel.ids import new_span_id, new_trace_id
from provtel.otel_context import ACTIVITY_KEY, RUN_KEY, SPAN_KEY, attach, current, detach

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainError

    from provtel.definition import Definition
    from provtel.recorder import Recorder
    from provtel.run import Run
    from provtel.telemetry import Meter

_START: Final = Kind.START.value
_put: Final = dict.__setitem__


class ActivityCore:
    """The start and the end of an activity.

    It is current from `enter` to `leave`: what starts in between is its child, be it ours or another library's.

    Attributes:
        recorder: Takes its start and its end.
        trace: Its trace id.
        span_id: Its span id.
        started_at: When it started, in nanoseconds since the epoch.
        facts: What became known after the start, by fields of the plain record.
        failure: Why it is an error, where it was told to be one.
        ended: Its end is written.
        is_past: It was over when it was told of.
        is_watched: Others are told of it.
    """

    recorder: Recorder
    trace: bytes
    span_id: int
    context: Context | None
    facts: dict[str, Any]
    failure: PlainError | None = None
    ended = False
    is_past = False
    is_watched = False
    _thread = 0
    _cpu_known = True
    _token: object = None
    _before: Any = None

    def begin(
        self,
        recorder: Recorder,
        definition: Definition,
        used: list[AnyValue] | dict[str, AnyValue],
        facts: dict[str, Any] | None,
        started_at: int,
        place: tuple[bytes, int, int | None] | None,
    ) -> None:
        """Write the start.

        Args:
            recorder: Takes its start and its end.
            definition: What it has in common with others.
            used: Its inputs, in the order of the definition's roles or by role.
            facts: What else is known at the start, by fields of the plain record.
            started_at: When it started, where that is past; else 0, which is now.
            place: Trace id, span id, and that of the span around it, where somebody else chose them.
        """
        outer = current()
        parent = outer.get(SPAN_KEY)
        parent_id: int | None
        run: Run = outer.get(RUN_KEY, surroundings.here.run)  # type: ignore[assignment]  # nobody else has the key
        if place is not None:
            trace, self.span_id, parent_id = place
        elif isinstance(parent, ActivityCore):
            trace, self.span_id, parent_id = parent.trace, new_span_id(), parent.span_id
        else:
            trace, parent_id = outside(parent)
            self.span_id = new_span_id()
        self.recorder = recorder
        self.trace = trace
        # A context refuses entries once it is made, because others may hold it; this one nobody has seen yet.
        self.context = context = Context(outer)
        _put(context, SPAN_KEY, self)
        _put(context, ACTIVITY_KEY, self)
        if definition.has_own_run:
            run = definition.run_within(run, self.id)  # type: ignore[attr-defined]  # an activity's
            _put(context, RUN_KEY, run)
        self.run: Run = run
        self.definition: Definition = definition
        self.facts = {}
        self._generated: dict[str, AnyValue] = {}
        self._meter = definition.meter
        self._user = self._system = 0.0
        self.started_at = self._ended_at = started_at or time_ns()
        self._clock = perf_counter_ns()
        start = [_START, definition.number, run.number, trace, self.span_id, parent_id, self.started_at, used]
        self.start_payload = packb([*start, facts] if facts else start)
        recorder.start(self)

    def enter(self, meter: Meter | None = None) -> None:
        """Make it current, and measure from here, by another meter where its thread is not its own."""
        if self.context is None:
            return
        self._token = attach(self.context)
        if meter is not None:
            self._meter = meter
            self._thread = get_ident()
        self._before = self._meter.start()

    def leave(self) -> None:
        """Make current what was current before, and measure no further."""
        self._ended_at = self.started_at + perf_counter_ns() - self._clock
        user, system, figures = self._meter.spent(self._before)
        self._user += user
        self._system += system
        if figures is not None:
            known = self.facts.get("telemetry")
            self.facts["telemetry"] = figures if known is None else _combined(known, figures)
        detach(self._token)

    def returned(self, result: object) -> None:
        """Leave it for good, and write the end of a call that returned."""
        self.leave()
        self.context = None  # it holds the activity
        self.succeed(result)  # type: ignore[attr-defined]  # an activity's


def _combined(known: dict[str, AnyValue], later: dict[str, AnyValue]) -> dict[str, AnyValue]:
    """Return the figures of an activity that ran in pieces, as a generator does."""
    from provtel.telemetry import usage  # loaded by the meter

    return usage.combined(known, later)


def outside(parent: object) -> tuple[bytes, int | None]:
    """Return trace and parent of an activity that starts in a span which is not ours, or in none."""
    if parent is not None and isinstance(parent, Span):
        known = parent.get_span_context()
        if known.is_valid:
            return known.trace_id.to_bytes(16, "big"), known.span_id
    around = surroundings.here.span
    if around is not None:
        return around.trace_id.to_bytes(16, "big"), around.span_id
    return surroundings.here.trace or new_trace_id(), None


if accelerator is not None and not TYPE_CHECKING:
    ActivityCore = accelerator.ActivityCore
    accelerator.configure(combined=_combined)
