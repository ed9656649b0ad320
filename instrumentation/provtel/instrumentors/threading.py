"""`threading`: a thread runs in the context of who started it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from provtel import notices
from provtel.instrumentors.base import Instrumentor
from provtel.instrumentors.tasks_of_calls import is_plumbing
from provtel.otel_context import attach, current, detach

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context

    from provtel.instrumentors.base import Patching
    from provtel.instrumentors.patches import Patches

_RUN: Final = "run"


class ThreadingInstrumentor(Instrumentor):
    """Lets what starts in a `Thread` or `Timer` be the child of what was running where the thread was started.

    A thread is no task itself. Threads that serve a pool are left alone.
    """

    gives_way_to: ClassVar[str] = "opentelemetry.instrumentation.threading"

    def patchings(self) -> Mapping[str, Patching]:
        """Return what changes the module of threads."""
        return {"threading": _change_threads}


def _change_threads(module: Any, patches: Patches) -> None:
    patches.replace(module.Thread, "start", _start)


def _start(original: Callable[..., Any], thread: Any, /, *args: Any, **kwargs: Any) -> Any:
    if not _takes_context(thread):
        return original(thread, *args, **kwargs)
    own = vars(thread).get(_RUN)
    vars(thread)[_RUN] = _Running(thread, own, current())
    try:
        return original(thread, *args, **kwargs)
    except BaseException:
        _restore(thread, own)
        raise


def _takes_context(thread: Any) -> bool:
    try:
        # One that was started already says so by itself.
        return (
            thread.ident is None and is_instrumentation_enabled() and not is_plumbing(getattr(thread, "_target", None))
        )
    except Exception as error:  # noqa: BLE001  # code of the target's own
        notices.capture_failed("a thread", error)
        return False


def _restore(thread: Any, own: Any) -> None:
    vars(thread).pop(_RUN, None)
    if own is not None:
        vars(thread)[_RUN] = own


class _Running:
    """The `run` of a thread, in the context of who started it."""

    def __init__(self, thread: Any, own: Any, context: Context) -> None:
        self._thread = thread
        self._own = own
        self._context = context

    def __call__(self) -> None:
        _restore(self._thread, self._own)
        token = attach(self._context)
        try:
            self._thread.run()
        finally:
            detach(token)
