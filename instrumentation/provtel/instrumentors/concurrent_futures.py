"""`concurrent.futures`: each call in a pool of threads or processes is a task of who submitted it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from provtel.instrumentors.base import Instrumentor
from provtel.instrumentors.pools import send_initializer, sending
from provtel.instrumentors.submitted import sent, submitted_call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel.instrumentors.base import Patching
    from provtel.instrumentors.patches import Patches

_INTERPRETERS: Final = "concurrent.futures.interpreter"


class ConcurrentFuturesInstrumentor(Instrumentor):
    """Records what runs in `ThreadPoolExecutor` and `ProcessPoolExecutor`, and how long it waited for a worker.

    Initializers and callbacks run in the context in which they were given. What is submitted to other interpreters of
    the same process is left alone: they cannot load what records.
    """

    def patchings(self) -> Mapping[str, Patching]:
        """Return what changes the two modules of pools, and that of futures."""
        return {
            "concurrent.futures._base": _change_futures,
            "concurrent.futures.thread": _change_threads,
            "concurrent.futures.process": _change_processes,
        }


def _change_futures(module: Any, patches: Patches) -> None:
    patches.replace(module.Future, "add_done_callback", _add_done_callback)


def _change_threads(module: Any, patches: Patches) -> None:
    patches.replace(module.ThreadPoolExecutor, "submit", _submit)
    patches.replace(module.ThreadPoolExecutor, "__init__", _init)


def _change_processes(module: Any, patches: Patches) -> None:
    patches.replace(module.ProcessPoolExecutor, "submit", _submit)
    # The items of a chunk are called one by one in the worker, so that what goes there is the function of each.
    patches.replace(module.ProcessPoolExecutor, "map", sending("fn"))
    patches.replace(module.ProcessPoolExecutor, "__init__", send_initializer)


def _submit(original: Callable[..., Any], pool: Any, /, *args: Any, **kwargs: Any) -> Any:
    if not args or _is_of_interpreters(pool):
        return original(pool, *args, **kwargs)
    function, rest = submitted_call(args[0], args[1:])
    return original(pool, function, *rest, **kwargs)


def _add_done_callback(original: Callable[..., Any], future: Any, /, *args: Any, **kwargs: Any) -> Any:
    return original(future, *map(sent, args), **kwargs)


def _init(original: Callable[..., Any], pool: Any, /, *args: Any, **kwargs: Any) -> None:
    if _is_of_interpreters(pool):
        original(pool, *args, **kwargs)
    else:
        send_initializer(original, pool, *args, **kwargs)


def _is_of_interpreters(pool: Any) -> bool:
    module = sys.modules.get(_INTERPRETERS)
    return module is not None and isinstance(pool, module.InterpreterPoolExecutor)
