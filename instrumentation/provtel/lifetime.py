"""Activities that last as long as their process."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provtel.activity import Activity


def end_at_exit(activity: Activity) -> None:
    """End an activity when this process exits: as an error where an exception that nobody handled ends it.

    Call it when the activity has started: what ships and shuts down was registered before, and so has its end.
    """
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
