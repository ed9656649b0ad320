"""`subprocess`: each program that a program starts is a task of it, and runs in that task."""

from __future__ import annotations

import atexit
import inspect
import os
import signal
import weakref
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from provtel_model import attributes as names
from provtel_model.journal.layout import Status

from provtel import notices
from provtel.activity import Activity
from provtel.block import definition_of
from provtel.definition import TASK
from provtel.instrumentors.base import Instrumentor
from provtel.instrumentors.command_lines import kept, program_of, words_of
from provtel.instrumentors.environments import taking_along
from provtel.recording import recorder
from provtel.telemetry import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel.instrumentors.base import Patching
    from provtel.instrumentors.patches import Patches

_RETURN_CODE: Final = "returncode"
_SUBTYPE: Final = "process"
_SIGNALLED: Final = 128
"""What shells add to the number of the signal that ended a program."""


class SubprocessInstrumentor(Instrumentor):
    """Records what `subprocess.Popen` starts, and with it `run`, `call`, `check_output` and asyncio's subprocesses.

    A task ends when the program notices that the other one did. One that it never looks at is looked at once when this
    process exits; where it runs on, the task is lost.
    """

    def patchings(self) -> Mapping[str, Patching]:
        """Return what changes the module of subprocesses."""
        return {"subprocess": _change}


def _change(module: Any, patches: Patches) -> None:
    patches.replace(module.Popen, "__init__", _init)
    # Whoever notices the end sets it: `wait`, `poll`, `communicate`, and the event loop.
    patches.put(module.Popen, _RETURN_CODE, _ReturnCode())


def _init(original: Callable[..., Any], process: Any, /, *args: Any, **kwargs: Any) -> None:
    begun = _begin(original, process, args, kwargs)
    if begun is None:
        original(process, *args, **kwargs)
        return
    activity, bound = begun
    try:
        original(*bound.args, **bound.kwargs)
    except BaseException as error:
        activity.leave_unentered()
        activity.fail(error)
        raise
    _watch(process, activity)


def _begin(
    original: Any, process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Activity, inspect.BoundArguments] | None:
    """Start the task of a program, and return it with the arguments by which to start the program; never raises."""
    if not is_instrumentation_enabled():
        return None
    try:
        taking = recorder()
        if taking is None:
            return None
        bound = inspect.signature(original).bind(process, *args, **kwargs)
        said = bound.arguments
        if not isinstance(said["args"], str | bytes | os.PathLike):
            said["args"] = [*said["args"]]  # it may be gone over only once
        words = words_of(said["args"])
        name = program_of(words)
        attributes: dict[str, Any] = {
            names.PROCESS_COMMAND_ARGS: kept(words, taking.snapshots.redaction),
            names.PROCESS_EXECUTABLE_NAME: name,
        }
        if said.get("cwd") is not None:
            attributes[names.PROCESS_WORKING_DIRECTORY] = taking.snapshots.text(os.fsdecode(said["cwd"]))
        definition = definition_of(TASK, name, subtype=_SUBTYPE, telemetry=Level.OFF)
        activity = Activity(taking, definition, {}, {"attributes": attributes})
    except TypeError:
        return None  # the call itself will say so
    except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
        notices.capture_failed("a program that was started", error)
        return None
    with activity.unharmed("what a program takes along"):
        if activity.context is not None:
            said["env"] = taking_along(said.get("env"), activity.context)
    return activity, bound


class _ReturnCode:
    """The `returncode` of a process, in its dictionary as ever; what is set there ends its task."""

    def __get__(self, process: Any, owner: type) -> Any:
        if process is not None and _RETURN_CODE in vars(process):
            return vars(process)[_RETURN_CODE]
        what = f"type object {owner.__name__!r}" if process is None else f"{owner.__name__!r} object"
        raise AttributeError(f"{what} has no attribute {_RETURN_CODE!r}")

    def __set__(self, process: Any, code: Any) -> None:
        vars(process)[_RETURN_CODE] = code
        if code is not None:
            _end(process, code)

    def __delete__(self, process: Any) -> None:
        vars(process).pop(_RETURN_CODE, None)


_watched: Final[weakref.WeakKeyDictionary[Any, Activity]] = weakref.WeakKeyDictionary()
_pid_at_exit = 0


def _watch(process: Any, activity: Activity) -> None:
    global _pid_at_exit  # noqa: PLW0603  # a process exits once
    with activity.unharmed("a program that runs"):
        activity.facts.setdefault("attributes", {})[names.PROCESS_PID] = process.pid
        _watched[process] = activity
        if vars(process).get(_RETURN_CODE) is not None:
            _end(process, process.returncode)
        if _pid_at_exit != os.getpid():
            _pid_at_exit = os.getpid()
            atexit.register(_look_at_all)


def _end(process: Any, code: Any) -> None:
    try:
        activity = _watched.pop(process, None)
        if activity is None:
            return
        activity.leave_unentered()
        _say_how(activity, int(code))
        activity.finish(Status.FINISHED.value, None)
    except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
        notices.capture_failed("a program that ended", error)


def _say_how(activity: Activity, code: int) -> None:
    attributes = activity.facts.setdefault("attributes", {})
    attributes[names.PROCESS_EXIT_CODE] = code if code >= 0 else _SIGNALLED - code
    if code < 0:
        name = _name_of_signal(-code)
        attributes[names.PROVTEL_EXIT_SIGNAL] = name
        activity.failure = {"type": name, "message": f"the signal {name} ended it"}
    elif code:
        activity.failure = {"type": str(code), "message": f"it exited with code {code}"}


def _name_of_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _look_at_all() -> None:
    """End the tasks of programs that are over and that nobody looked at, and leave them for others to wait for."""
    if not hasattr(os, "waitid"):
        return
    for process in [*_watched]:
        try:
            found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except OSError:
            continue  # somebody else has waited for it
        if found is not None:
            _end(process, found.si_status if found.si_code == os.CLD_EXITED else -found.si_status)
