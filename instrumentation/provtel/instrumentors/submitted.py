"""Functions on their way to another thread or process, where each call is a task of who sent them."""

from __future__ import annotations

import functools
from contextvars import Context as Variables
from types import BuiltinMethodType, FunctionType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from provtel_model import attributes as names

from provtel import notices
from provtel.carrying import Carried, Luggage
from provtel.instrumentors import base
from provtel.instrumentors.tasks_of_calls import begin_call, is_plumbing
from provtel.instrumentors.waiting import HandedOver
from provtel.otel_context import VARIABLE, attach, current, detach

if TYPE_CHECKING:
    from collections.abc import Callable

_QUEUE_WAIT: Final = names.TASK_QUEUE_WAIT.removeprefix(names.TASK_PREFIX)
_CONTRIB_THREADING: Final = "opentelemetry.instrumentation.threading"


class Sent(Carried[..., Any]):
    """Calls a function in the context of who sent it, and brings the active instrumentors along.

    Args:
        function: What is called.
        context: The context of the sender, where that is in this process.
        luggage: What came of it, where it is not.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (type(self), self._packed(), base.active())

    def _packed(self) -> tuple[Any, ...]:
        """Return the arguments by which it is made in another process."""
        _, packed = super().__reduce__()
        return (*packed,)


class Submitted(Sent):
    """Calls a function as a task of the activity that sent it, wherever it is sent.

    A task of ours is recorded as itself; what is the way of a call and not what it does, and what makes a coroutine or
    a generator, only runs in the sender's context. Results and exceptions are the function's own.

    Args:
        function: What is called.
        context: The context of the sender, where that is in this process.
        luggage: What came of it, where it is not.
        handed_over: When it was sent.
    """

    def __init__(
        self, function: Callable[..., Any], context: Context | None, luggage: Luggage | None, handed_over: HandedOver
    ) -> None:
        """Keep what is needed there."""
        super().__init__(function, context, luggage)
        self._handed_over = handed_over

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns."""
        token = attach(self.here())
        try:
            return _run(self.function, args, kwargs, self._handed_over)
        finally:
            detach(token)

    def _packed(self) -> tuple[Any, ...]:
        return *super()._packed(), self._handed_over


def _received(kind: type[Sent], parts: tuple[Any, ...], instrumentors: str) -> Sent:
    base.activate(instrumentors)
    return kind(*parts)


def sent(function: Any) -> Any:
    """Return what is to be sent in place of a function that is no task, such as the initializer of a pool."""
    return _unharmed(lambda: _sent(function), function) if callable(function) else function


def _sent(function: Any) -> Any:
    return function if isinstance(function, Sent) or is_plumbing(function) else Sent(function, current(), None)


def submitted(function: Any) -> Any:
    """Return what is to be sent in place of a function; what was made so already, and what is no function, as it is."""
    if not callable(function) or is_submitted(function) or not is_instrumentation_enabled():
        return function
    return _unharmed(lambda: _submitted(function), function)


def _submitted(function: Any) -> Any:
    handed_over = HandedOver.now()
    function = _without_contrib(function)
    if isinstance(function, functools.partial) and function.args and is_run_of_variables(function.func):
        inner = _in_variables(function.func, function.args[0], handed_over)
        return functools.partial(function.func, inner, *function.args[1:], **function.keywords)
    if type(function) is Carried:
        return Submitted(function.function, function.here(), None, handed_over)
    return Submitted(function, current(), None, handed_over)


def submitted_call(function: Any, args: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Return what is to be sent in place of a function and of the arguments of its call."""
    if is_run_of_variables(function) and args and callable(args[0]) and is_instrumentation_enabled():
        return function, (_in_variables(function, args[0], HandedOver.now()), *args[1:])
    return submitted(function), args


def _unharmed(make: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return make()
    except Exception as error:  # noqa: BLE001  # code of the function's own, which is asked for its name
        notices.capture_failed("a call for another thread or process", error)
        return otherwise


def is_submitted(function: Any) -> bool:
    """Say whether a function was made ready to be sent, be it alone or for the items of a chunk."""
    while isinstance(function, functools.partial):
        if any(isinstance(argument, Submitted) for argument in function.args):
            return True
        function = function.func
    return isinstance(function, Submitted)


def is_run_of_variables(function: Any) -> bool:
    """Say whether a function is `contextvars.Context.run`, which runs another one; `asyncio.to_thread` sends that."""
    return type(function) is BuiltinMethodType and type(function.__self__) is Variables and function.__name__ == "run"


def _in_variables(run: Any, function: Any, handed_over: HandedOver) -> Submitted:
    variables: Variables = run.__self__
    context = current() if VARIABLE is None else variables.get(VARIABLE, Context())
    return Submitted(function, context, None, handed_over)


def _without_contrib(function: Any) -> Any:
    """Return the function that OpenTelemetry's instrumentor of threads has wrapped, to do what we do too."""
    if getattr(function, "__module__", None) != _CONTRIB_THREADING or type(function) is not FunctionType:
        return function
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    inner = cells.get("original_func")
    return function if inner is None else inner.cell_contents


def _run(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], handed_over: HandedOver) -> Any:
    activity, function, args, kwargs = begin_call(function, args, kwargs)
    if activity is None:
        return function(*args, **kwargs)
    if activity.definition.telemetry:
        activity.facts.setdefault("telemetry", {})[_QUEUE_WAIT] = handed_over.waited()
    activity.enter()
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        activity.raised(error)
        del activity  # whoever keeps the exception keeps this frame
        raise
    activity.returned(result)
    return result
