"""A program that nobody changed, as the workflow that all it does belongs to: from its first line to its exit."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING, Final

from provtel.block import Block
from provtel.carrier import variables
from provtel.definition import WORKFLOW
from provtel.naming import program_of
from provtel.recording import recorder
from provtel.surroundings import NOWHERE

if TYPE_CHECKING:
    from provtel.activity import Activity

_UNKNOWN: Final = "python"


def begin() -> None:
    """Start the workflow, and say by the environment to processes that are started here that they belong to it.

    Nothing happens where this process belongs to a run already.
    """
    taking = recorder()
    if taking is None or taking.surroundings is not NOWHERE:
        return
    activity = Block(WORKFLOW, program_of(sys.orig_argv[1:]) or _UNKNOWN).start()
    if not activity.is_recording():
        return
    os.environ.update(variables())
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
