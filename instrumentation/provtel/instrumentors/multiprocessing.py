"""`multiprocessing`: each process that a program starts, and each call in a pool, is a task of who started it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from provtel import notices
from provtel.instrumentors.base import Instrumentor
from provtel.instrumentors.pools import send_initializer, sending
from provtel.instrumentors.submitted import Sent
from provtel.instrumentors.tasks_of_calls import begin_undecorated, is_plumbing
from provtel.otel_context import current

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel.activity import Activity
    from provtel.instrumentors.base import Patching
    from provtel.instrumentors.patches import Patches

_METHODS: Final = ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered")
_RUN: Final = "run"


class MultiprocessingInstrumentor(Instrumentor):
    """Records what runs in a `Process` and in a `Pool`, whatever the start method.

    The target of a process is a task, or its `run` where a class has its own. Processes that serve a pool or a manager
    are none.
    """

    def patchings(self) -> Mapping[str, Patching]:
        """Return what changes the modules of processes and pools."""
        return {"multiprocessing.process": _change_processes, "multiprocessing.pool": _change_pools}


def _change_processes(module: Any, patches: Patches) -> None:
    patches.replace(module.BaseProcess, "start", _start)


def _change_pools(module: Any, patches: Patches) -> None:
    for name in _METHODS:
        patches.replace(module.Pool, name, sending("func"))
    patches.replace(module.Pool, "__init__", send_initializer)


def _start(original: Callable[..., Any], process: Any, /, *args: Any, **kwargs: Any) -> Any:
    if not is_instrumentation_enabled() or not _is_the_programs(process):
        return original(process, *args, **kwargs)
    # As long as it starts: a child that is forked has it then, and to any other the process is pickled with it.
    vars(process)[_RUN] = Sent(_run, current(), None)
    try:
        return original(process, *args, **kwargs)
    finally:
        vars(process).pop(_RUN, None)


def _is_the_programs(process: Any) -> bool:
    try:
        return not is_plumbing(_what_runs(process)[0])
    except Exception as error:  # noqa: BLE001  # code of the target's own
        notices.capture_failed("a process", error)
        return False


def _run() -> None:
    """Run the process that this is."""
    process = _here()
    vars(process).pop(_RUN, None)
    activity = _begin(process)
    if activity is None:
        process.run()
        return
    activity.enter()
    try:
        process.run()
    except BaseException as error:
        activity.raised(error)
        raise
    activity.returned(None)


def _begin(process: Any) -> Activity | None:
    function, args, kwargs, name = _what_runs(process)
    return None if function is None else begin_undecorated(function, args, kwargs, name)


def _what_runs(process: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any], str | None]:
    """Return what a process calls, its arguments, and the name where it is not the function's."""
    kind = type(process)
    if kind.run is _base().run:
        target = getattr(process, "_target", None)
        return target, (*getattr(process, "_args", ()),), {**getattr(process, "_kwargs", {})}, None
    return kind.run, (process,), {}, kind.__name__


def _base() -> Any:
    return sys.modules["multiprocessing.process"].BaseProcess


def _here() -> Any:
    return sys.modules["multiprocessing.process"].current_process()
