"""This process: its id, when and by what it was started."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model import attributes as names
from provtel_model.journal.liveness import process_started

from provtel import preview, settings
from provtel.detectors.sources import known, text_of
from provtel.redaction import Redaction

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue

_MAX_ARGUMENTS: Final = 50


def detect() -> dict[str, AnyValue]:
    """Return what tells this process from others, and its command without secrets."""
    pid = os.getpid()
    return known(
        [
            (names.PROCESS_PID, pid),
            (names.PROCESS_PARENT_PID, os.getppid()),
            (names.PROCESS_EXECUTABLE_NAME, Path(sys.executable or "python").name),
            (names.PROCESS_EXECUTABLE_PATH, sys.executable or None),
            (names.PROCESS_RUNTIME_NAME, platform.python_implementation().lower()),
            (names.PROCESS_RUNTIME_VERSION, platform.python_version()),
            (names.PROCESS_CREATION_TIME, _creation_time(pid)),
            (names.PROCESS_COMMAND_ARGS, _command(Redaction(settings.current().redact))),
            (names.PROCESS_WORKING_DIRECTORY, _working_folder()),
        ]
    )


def _creation_time(pid: int) -> str | None:
    with contextlib.suppress(ValueError, StopIteration):
        started = process_started(pid)
        lines = text_of(Path("/proc/stat")).splitlines()
        boot = next(int(line.split()[1]) for line in lines if line.startswith("btime"))
        if started is not None:
            seconds = boot + started / os.sysconf("SC_CLK_TCK")
            return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")
    return None


def _command(redaction: Redaction) -> list[AnyValue] | None:
    arguments = [argument.encode("utf-8", "replace").decode() for argument in sys.orig_argv[: _MAX_ARGUMENTS + 1]]
    kept = [preview.cut(argument) for argument in redaction.arguments(arguments)]
    return [*kept[:_MAX_ARGUMENTS], *(["…"] if len(kept) > _MAX_ARGUMENTS else [])] or None


def _working_folder() -> str | None:
    with contextlib.suppress(OSError):
        return str(Path.cwd())
    return None
