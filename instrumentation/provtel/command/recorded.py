"""A command as an activity: what it was, what it used and generated, how it ended, what it cost."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.context import Context
from provtel_model import attributes as names
from provtel_model.journal.layout import Status
from provtel_model.store_folder import STORE_VARIABLE, find_store

from provtel import notices, surroundings
from provtel.activity import Activity, InertActivity
from provtel.agents import campaign
from provtel.block import Block
from provtel.carrier import carrying
from provtel.command import process
from provtel.command.child import python_path
from provtel.command.files import File, by_role
from provtel.definition import TASK, WORKFLOW
from provtel.files import file
from provtel.naming import program_of
from provtel.otel_context import attach
from provtel.recording import recorder
from provtel.telemetry import Level
from provtel.telemetry.meters import PROCESS

if TYPE_CHECKING:
    from provtel_model.record import PlainError

    from provtel.command.process import Ended

_PYTHON_PATH: Final = "PYTHONPATH"
_PYTHON: Final = re.compile(r"python[\d.]*|pypy[\d.]*")
_BLOCK: Final = 512
_MEMORY_UNIT: Final = 1 if sys.platform == "darwin" else 1024


class Told(NamedTuple):
    """What a person says of a command.

    Args:
        name: Its name; without one it is called by its program, a Python by its script or module.
        campaign: What it belongs to.
        tags: Words to find it by.
        used: Files that it reads.
        generated: Files that it writes.
    """

    name: str | None = None
    campaign: str | None = None
    tags: tuple[str, ...] = ()
    used: tuple[File, ...] = ()
    generated: tuple[File, ...] = ()


def run_recorded(command: tuple[str, ...], told: Told) -> Ended:
    """Run a command to its end, and record it: a workflow, or a task where it is started in one.

    Its files, its terminal, its signals and its process group are those that it would have without us; where it cannot
    be recorded it runs all the same. Programs that it starts belong to it, where they record: its environment carries
    what is current.

    Args:
        command: Its name and its arguments.
        told: What is said of it.

    Raises:
        CannotStartError: It cannot be executed; where it is not there at all, nothing is recorded.
        ValueError: Two files have the same role.
    """
    program = process.find_program(command[0])
    generated = by_role(told.generated)
    used = {role: file(path) for role, path in by_role(told.used).items()}
    with process.signals_held() as before:
        activity = _start(command, told, used)
        if isinstance(activity, InertActivity):
            return process.run(program, command, os.environ, before)
        attributes: dict[str, Any] = {names.PROCESS_EXECUTABLE_PATH: program}
        attributes[names.PROCESS_COMMAND_ARGS] = activity.recorder.snapshots.redaction.arguments(command)
        activity.set_attributes(attributes)
        try:
            ended = process.run(program, command, _environment(), before)
        except process.CannotStartError as error:
            _leave(activity)
            activity.facts["error"] = {"type": str(error.code), "message": str(error)}
            activity.finish(Status.ERROR.value, None)
            raise
        _leave(activity)
    _finish(activity, ended, generated)
    return ended


def store_to_fill() -> Path | None:
    """Return the store into which what was recorded is to be brought by this process, which records no more.

    ``None`` where it is sent to an endpoint, where the run is another one's, who does that, and where nothing is
    recorded.
    """
    taking = recorder()
    if taking is None or taking.settings.endpoint or surroundings.here.is_run:
        return None
    taking.close()
    return find_store().absolute()


def _start(command: tuple[str, ...], told: Told, used: dict[str, Any]) -> Activity:
    recorder()  # it finds out what surrounds this process
    kind = TASK if surroundings.here.is_run else WORKFLOW
    block = Block(kind, told.name or name_of(command), used=used, tags=told.tags, telemetry=Level.OFF)
    if told.campaign is None:
        return block.start()
    with campaign(told.campaign):
        activity = block.start()
        here = activity.context
    if here is not None:
        attach(Context(here))
    return activity


def name_of(command: tuple[str, ...]) -> str:
    """Return what a command is called where nobody says: its program, or what a Python is to run."""
    name = Path(command[0]).name
    return (program_of(command[1:]) if _PYTHON.fullmatch(name) else None) or name


def _environment() -> dict[str, str]:
    environment = carrying(os.environ)
    environment[_PYTHON_PATH] = python_path(os.environ.get(_PYTHON_PATH))
    environment.setdefault(STORE_VARIABLE, str(find_store().absolute()))
    return environment


def _leave(activity: Activity) -> None:
    """Let its time end here, where it is not the current one any more; more may be said of it."""
    activity.leave()
    activity.context = None


def _finish(activity: Activity, ended: Ended, generated: dict[str, Path]) -> None:
    status = Status.FINISHED if ended.code == 0 else Status.ERROR
    try:
        activity.generated(**{role: file(path) for role, path in generated.items()})
        activity.set_attribute(names.PROCESS_EXIT_CODE, ended.code)
        if ended.signal is not None:
            activity.set_attribute(names.PROVTEL_EXIT_SIGNAL, _signal_name(ended))
        if ended.code:
            activity.facts["error"] = _error(ended)
        if activity.recorder.settings.telemetry is not Level.OFF:
            activity.facts["telemetry"] = _cost(ended)
    except Exception as error:  # noqa: BLE001  # the command has run, and its exit code is what counts
        notices.capture_failed("how a command ended", error)
    activity.finish(status.value, None)


def _error(ended: Ended) -> PlainError:
    if ended.signal is not None:
        return {"type": _signal_name(ended), "message": f"the signal {_signal_name(ended)} ended it"}
    return {"type": str(ended.code), "message": f"it exited with code {ended.code}"}


def _signal_name(ended: Ended) -> str:
    return getattr(ended.signal, "name", None) or f"SIG{ended.signal}"


def _cost(ended: Ended) -> dict[str, Any]:
    usage = ended.usage
    peak = usage.ru_maxrss * _MEMORY_UNIT
    found: dict[str, Any] = {
        names.TASK_CPU_USER: round(usage.ru_utime, 6),
        names.TASK_CPU_SYSTEM: round(usage.ru_stime, 6),
        names.TASK_MEMORY_RSS_PEAK: peak,
        names.TASK_IO_READ: usage.ru_inblock * _BLOCK,
        names.TASK_IO_WRITE: usage.ru_oublock * _BLOCK,
        names.TASK_CONTEXT_SWITCHES: usage.ru_nvcsw + usage.ru_nivcsw,
    }
    if peak <= ended.inherited:
        found[names.TASK_MEMORY_SCOPE] = PROCESS
    return {name.removeprefix(names.TASK_PREFIX): figure for name, figure in found.items()}
