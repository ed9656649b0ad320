"""Joins this process to the trace and the run of whoever started it, or of the job that it is a part of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import SpanContext, TraceFlags
from provtel_model.record import record_id

from provtel import notices, surroundings
from provtel.carrier import BAGGAGE, TRACEPARENT, carried
from provtel.otel_context import attach, current
from provtel.run import NO_RUN, Run
from provtel.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel.identity import Identity
    from provtel.recorder import Recorder


def join(recorder: Recorder, environment: Mapping[str, str]) -> None:
    """Let what starts outside of any activity belong to what the environment tells of; never raises.

    That is whoever started this process and said so, else the run of a batch job, of MPI or of torchrun.
    """
    try:
        _join(recorder, environment)
        make_current(environment)
    except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
        notices.capture_failed("the run that this process belongs to", error)


def _join(recorder: Recorder, environment: Mapping[str, str]) -> None:
    found = carried(environment)
    if found.span is not None or found.facts:
        _enter(recorder, Surroundings(found.span, Run(found.facts) if found.facts else NO_RUN))
        return
    from provtel.identity import identity_of

    identity = identity_of(environment)
    if identity is None:
        return
    if identity.root is None:
        _enter(recorder, Surroundings(None, NO_RUN, identity.trace))
        return
    if identity.is_first:
        from provtel import root

        root.begin(recorder, identity)
    _enter(recorder, _within(identity, identity.root))


def _within(identity: Identity, root: int) -> Surroundings:
    trace = int.from_bytes(identity.trace, "big")
    span = SpanContext(trace, root, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    workflow_id = record_id(identity.trace.hex(), f"{root:016x}")
    return Surroundings(span, NO_RUN.nested(workflow_id, identity.name, None))


def _enter(recorder: Recorder, new: Surroundings) -> None:
    recorder.surroundings = new
    surroundings.enter(new)


def make_current(environment: Mapping[str, str]) -> None:
    """Make what the environment carries current here, for spans and requests of other libraries too."""
    if TRACEPARENT in environment or BAGGAGE in environment:
        before = current()
        context = carried(environment).within(before)
        if context is not before:
            attach(context)
