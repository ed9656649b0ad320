"""A program that nobody changed, as the workflow that all it does belongs to: from its first line to its exit."""

from __future__ import annotations

import os
import sys
from typing import Final

from provtel.block import Block
from provtel.carrier import variables
from provtel.definition import WORKFLOW
from provtel.lifetime import end_at_exit
from provtel.naming import program_of
from provtel.recording import recorder

_UNKNOWN: Final = "python"


def begin() -> None:
    """Start the workflow, and say by the environment to processes that are started here that they belong to it.

    Nothing happens where this process belongs to a run already.
    """
    taking = recorder()
    if taking is None or taking.surroundings.is_run:
        return
    activity = Block(WORKFLOW, program_of(sys.orig_argv[1:]) or _UNKNOWN).start()
    if not activity.is_recording():
        return
    os.environ.update(variables())
    end_at_exit(activity)
