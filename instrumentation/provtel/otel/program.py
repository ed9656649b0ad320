"""A program that nobody changed, as the workflow that all it does belongs to: from its first line to its exit."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from provtel.block import Block
from provtel.definition import WORKFLOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel.activity import Activity

PARENT_VARIABLE: Final = "TRACEPARENT"
_MODULE: Final = "-m"
_UNKNOWN: Final = "python"


def begin() -> None:
    """Start the workflow, and say by the environment to processes that are started here that they belong to it."""
    activity = Block(WORKFLOW, name_of(sys.orig_argv)).start()
    if not activity.is_recording():
        return
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    os.environ.update({name.upper(): value for name, value in carrier.items()})
    # Registered after what the start registered, and so run before: what ships and shuts down has its end.
    atexit.register(_end, activity, os.getpid())


def _end(activity: Activity, pid: int) -> None:
    if os.getpid() != pid:
        return  # a forked child's exit is not the program's
    # Python keeps what it printed of an exception that nobody handled.
    error = getattr(sys, "last_value", None)
    if isinstance(error, BaseException):
        activity.__exit__(type(error), error, error.__traceback__)
    else:
        activity.end()


def name_of(command: Sequence[str]) -> str:
    """Return the name of what a command of Python runs: the module's or the script's."""
    arguments = iter(command[1:])
    for argument in arguments:
        if argument == _MODULE:
            return next(arguments, _UNKNOWN)
        if argument in {"-W", "-X"}:
            next(arguments, None)
        elif not argument.startswith("-"):
            return Path(argument).stem or _UNKNOWN
        elif argument == "-c":
            return _UNKNOWN
    return _UNKNOWN
