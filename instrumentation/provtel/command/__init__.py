"""Runs a command of any kind as an activity: what ``provtel run`` does."""

from __future__ import annotations

from provtel.command.files import File, file_of
from provtel.command.process import CannotStartError, Ended, die_by
from provtel.command.recorded import Told, run_recorded, store_to_fill

__all__ = ["CannotStartError", "Ended", "File", "Told", "die_by", "file_of", "run_recorded", "store_to_fill"]
