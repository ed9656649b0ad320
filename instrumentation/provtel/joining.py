"""Joins this process to the trace and the run of whoever started it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel import surroundings
from provtel.carrier import BAGGAGE, TRACEPARENT, carried
from provtel.otel_context import attach, current
from provtel.run import NO_RUN, Run
from provtel.surroundings import NOWHERE, Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel.recorder import Recorder


def join(recorder: Recorder, environment: Mapping[str, str]) -> None:
    """Let what starts outside of any activity belong to what the environment tells of."""
    found = carried(environment)
    if found.span is not None or found.facts:
        recorder.surroundings = Surroundings(found.span, Run(found.facts) if found.facts else NO_RUN)
    if recorder.surroundings is not NOWHERE:
        surroundings.enter(recorder.surroundings)
    make_current(environment)


def make_current(environment: Mapping[str, str]) -> None:
    """Make what the environment carries current here, for spans and requests of other libraries too."""
    if TRACEPARENT in environment or BAGGAGE in environment:
        before = current()
        context = carried(environment).within(before)
        if context is not before:
            attach(context)
