"""`joblib`: each call of a `Parallel` is a task of who called it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from provtel.instrumentors.base import Instrumentor
from provtel.instrumentors.submitted import submitted
from provtel.otel_context import attach, current, detach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.context import Context

    from provtel.instrumentors.base import Patching
    from provtel.instrumentors.patches import Patches

_OWN_BACKENDS: Final = "joblib."
_PARTS: Final = 3


class JoblibInstrumentor(Instrumentor):
    """Records what `joblib.Parallel` runs: by loky, in threads, by multiprocessing, and one by one.

    The backends of others send calls to machines that may lack what records; they are left alone.
    """

    requires: ClassVar[tuple[str, ...]] = ("joblib >= 1.3",)

    def patchings(self) -> Mapping[str, Patching]:
        """Return what changes the module of `Parallel`."""
        return {"joblib.parallel": _change_parallel}


def _change_parallel(module: Any, patches: Patches) -> None:
    patches.replace(module.Parallel, "__call__", _call)


def _call(original: Callable[..., Any], parallel: Any, /, *args: Any, **kwargs: Any) -> Any:
    backend = getattr(parallel, "_backend", None)
    if backend is not None and not type(backend).__module__.startswith(_OWN_BACKENDS):
        return original(parallel, *args, **kwargs)
    if args:
        return original(parallel, _calls(args[0]), *args[1:], **kwargs)
    if "iterable" in kwargs:
        kwargs["iterable"] = _calls(kwargs["iterable"])
    return original(parallel, **kwargs)


def _calls(iterable: Any) -> Any:
    """Return an iterable of the same calls as tasks; what is none is left to joblib to complain of."""
    if not hasattr(iterable, "__iter__"):
        return iterable
    return (_CountedCalls if hasattr(iterable, "__len__") else _Calls)(iterable, current())


class _Calls:
    """Calls, each made ready when it is asked for, in the context of `Parallel` whichever thread asks."""

    def __init__(self, calls: Any, context: Context) -> None:
        self._calls = calls
        self._context = context

    def __iter__(self) -> Iterator[Any]:
        for call in self._calls:
            yield self._ready(call)

    def _ready(self, call: Any) -> Any:
        if type(call) is not tuple or len(call) != _PARTS:
            return call
        token = attach(self._context)
        try:
            return submitted(call[0]), call[1], call[2]
        finally:
            detach(token)


class _CountedCalls(_Calls):
    """Calls whose number joblib shows."""

    def __len__(self) -> int:
        return len(self._calls)
