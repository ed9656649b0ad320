"""What this process runs in: the trace and the run of whoever started it, which hold where nothing is current."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from provtel.accelerator import accelerator
from provtel.otel_context import RUN_KEY
from provtel.run import NO_RUN, Run

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext


class Surroundings(NamedTuple):
    """Where activities belong that start outside of any other.

    Args:
        span: Their parent; ``None`` for none.
        run: Their run.
        trace: Their trace; ``None`` for the parent's, or a new one each where there is none.
    """

    span: SpanContext | None
    run: Run
    trace: bytes | None = None

    @property
    def is_run(self) -> bool:
        """Say whether what starts here belongs to an activity or a run of somebody else."""
        return self.span is not None or self.run is not NO_RUN


NOWHERE: Final = Surroundings(None, NO_RUN)
"""Those of a process that nobody started who is recorded."""

here = NOWHERE
"""Those of this process."""


def enter(new: Surroundings) -> None:
    """Let these hold from now on, in all threads."""
    global here  # noqa: PLW0603  # there is one environment a process
    here = new
    if accelerator is not None:
        accelerator.configure(no_run=new.run)


def run_in(context: Context) -> Run:
    """Return the run that is current in a context."""
    run = context.get(RUN_KEY)
    return run if type(run) is Run else here.run
