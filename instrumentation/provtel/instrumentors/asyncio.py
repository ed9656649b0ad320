"""`asyncio`: each coroutine that a program makes a task of its event loop is a task of who made it."""

from __future__ import annotations

import functools
import os
import sysconfig
from types import CodeType, CoroutineType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from provtel_model.journal.layout import Status

from provtel import notices
from provtel.activity import Activity
from provtel.block import definition_of
from provtel.definition import TASK
from provtel.inputs import Inputs
from provtel.instrumentors.base import Instrumentor
from provtel.otel_context import attach, detach
from provtel.plan import plan_of_code
from provtel.recording import recorder
from provtel.telemetry import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel.instrumentors.base import Patching
    from provtel.instrumentors.patches import Patches

NAMES_VARIABLE: Final = "OTEL_PYTHON_ASYNCIO_COROUTINE_NAMES_TO_TRACE"
"""Names of further coroutine functions whose tasks are recorded, with commas between them."""
_INSTALLED: Final = ("stdlib", "platstdlib", "purelib", "platlib")
_FROZEN: Final = "<"


class AsyncioInstrumentor(Instrumentor):
    """Records what runs in the tasks of asyncio's own event loops, from when they are made until they are done.

    Those of the program are recorded, and those whose coroutine functions a variable names; tasks that libraries make
    for themselves are not. A task to which the program gives a context of its own is left alone.
    """

    gives_way_to: ClassVar[str] = "opentelemetry.instrumentation.asyncio"

    def patchings(self) -> Mapping[str, Patching]:
        """Return what changes the module of event loops."""
        return {"asyncio.base_events": _change_loops}


def _change_loops(module: Any, patches: Patches) -> None:
    patches.replace(module.BaseEventLoop, "create_task", _create_task)


def _create_task(original: Callable[..., Any], loop: Any, coroutine: Any, /, *args: Any, **kwargs: Any) -> Any:
    activity = _begin(coroutine) if kwargs.get("context") is None else None
    if activity is None or activity.context is None:
        return original(loop, coroutine, *args, **kwargs)
    # A task takes a copy of what is current where it is made.
    token = attach(activity.context)
    try:
        task = original(loop, coroutine, *args, **kwargs)
    except BaseException as error:
        activity.leave_unentered()
        activity.fail(error)
        raise
    finally:
        detach(token)
    task.add_done_callback(functools.partial(_end, activity))
    return task


def _begin(coroutine: Any) -> Activity | None:
    """Start the task of a coroutine that the program made; never raises."""
    if type(coroutine) is not CoroutineType or not is_instrumentation_enabled():
        return None
    try:
        if not _is_recorded(coroutine.cr_code, coroutine.__name__):
            return None
        writer = recorder()
        if writer is None:
            return None
        inputs = Inputs(writer)
        code = coroutine.cr_code
        # Until it has begun a coroutine has no variables but its arguments.
        arguments = coroutine.cr_frame.f_locals if coroutine.cr_frame is not None else {}
        given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        used = inputs.by_role([(name, arguments[name]) for name in given if name in arguments])
        facts: dict[str, Any] = {"plan": plan_of_code(_module_of(coroutine), coroutine.__qualname__, code)}
        if inputs.links:
            facts["links"] = inputs.links
        return Activity(writer, definition_of(TASK, coroutine.__name__, telemetry=Level.OFF), used, facts)
    except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
        notices.capture_failed("a task of an event loop", error)
        return None


def _end(activity: Activity, task: Any) -> None:
    activity.leave_unentered()
    # To ask the task for its exception would count as if the program had looked at it.
    error = getattr(task, "_exception", None)
    if task.cancelled():
        activity.finish(Status.CANCELLED.value, None)
    elif error is not None:
        activity.fail(error)
    else:
        activity.succeed(task.result())


@functools.lru_cache(maxsize=1000)
def _is_recorded(code: CodeType, name: str) -> bool:
    return not code.co_filename.startswith(_not_the_programs()) or name in _named()


@functools.cache
def _not_the_programs() -> tuple[str, ...]:
    installed = [sysconfig.get_path(name) for name in _INSTALLED]
    own = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120  # compared with what code objects say
    return (_FROZEN, *(os.path.join(path, "") for path in (*installed, own)))  # noqa: PTH118  # as above


@functools.cache
def _named() -> frozenset[str]:
    return frozenset(name.strip() for name in os.environ.get(NAMES_VARIABLE, "").split(",") if name.strip())


def _module_of(coroutine: Any) -> str | None:
    frame = coroutine.cr_frame
    name = frame.f_globals.get("__name__") if frame is not None else None
    return name if isinstance(name, str) else None
