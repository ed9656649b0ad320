"""Calls of functions that nobody decorated, as tasks: which a call is, what it is called, what it used."""

from __future__ import annotations

import functools
import inspect
import weakref
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provtel import calls, notices
from provtel.block import name_of
from provtel.definition import TASK, Definition
from provtel.same_function import identity_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel.activity import Activity

_MAX_DEFINITIONS: Final = 1000
_MAX_WRAPPERS: Final = 100
_PLUMBING: Final = (
    "asyncio.",
    "concurrent.futures.",
    "joblib._",
    "joblib.externals.",
    "joblib.parallel",
    "joblib.pool",
    "loky.",
    "mpi4py.futures.",
    "multiprocessing.",
    "opentelemetry.",
    "provtel.",
)
"""Modules whose functions are the way of a call and not what it does."""
_definitions: Final[dict[Any, Definition]] = {}
_UNSEEN: Final[Any] = object()
_seen: Final[weakref.WeakKeyDictionary[FunctionType, Definition | None]] = weakref.WeakKeyDictionary()


class Begun(NamedTuple):
    """A call whose task has begun.

    Args:
        activity: The task; ``None`` where the call is none.
        function: What is to be called now.
        args: Its arguments.
        kwargs: Those by name.
    """

    activity: Activity | None
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def begin_call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Begun:
    """Begin the task of a call. Never raises.

    A decorated task of ours is begun as itself. What is the way of a call and not what it does is no task, nor is what
    only makes a coroutine or a generator.
    """
    try:
        bare, bare_args, bare_kwargs = _without_partials(function, args, kwargs)
        ours = calls.parts_of(bare)
        if ours is not None:
            inner, definition = ours
            return Begun(calls.begin(definition, bare_args, bare_kwargs), inner, bare_args, bare_kwargs)
        activity = _begin_bare(bare, bare_args, bare_kwargs)
    except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
        notices.capture_failed("a call in another thread or process", error)
        activity = None
    return Begun(activity, function, args, kwargs)


def begin_undecorated(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], name: str | None = None
) -> Activity | None:
    """Begin the task of a call that somebody else makes; none where the call will be recorded as itself. Never raises.

    Args:
        function: What is called.
        args: Its arguments.
        kwargs: Those by name.
        name: Name of the task, where it is not the function's.
    """
    try:
        bare, bare_args, bare_kwargs = _without_partials(function, args, kwargs)
        return None if calls.parts_of(bare) is not None else _begin_bare(bare, bare_args, bare_kwargs, name)
    except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
        notices.capture_failed("a call in another thread or process", error)
        return None


def _begin_bare(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], name: str | None = None
) -> Activity | None:
    if name is None and type(function) is FunctionType:
        definition = _seen.get(function, _UNSEEN)
        if definition is _UNSEEN:
            definition = _look_at(function)
    elif _is_recorded(function):
        definition, args = _definition_of(function, args, name or name_of(function))
    else:
        return None
    return None if definition is None else calls.begin(definition, args, kwargs)


def _look_at(function: FunctionType) -> Definition | None:
    """Return the definition of a function's calls; ``None`` where they are no tasks."""
    definition = _definition_of(function, (), function.__name__)[0] if _is_recorded(function) else None
    # A definition keeps the function that it was made of.
    if len(_seen) >= _MAX_DEFINITIONS:
        _seen.clear()
    _seen[function] = definition
    return definition


def is_plumbing(function: Any) -> bool:
    """Say whether a callable is the way of a call and not what it does."""
    while isinstance(function, functools.partial):
        function = function.func
    module = getattr(function, "__module__", None) or type(function).__module__
    return isinstance(module, str) and f"{module}.".startswith(_PLUMBING)


def _without_partials(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    placeholder = getattr(functools, "Placeholder", functools)
    while type(function) is functools.partial and not any(item is placeholder for item in function.args):
        args, kwargs = (*function.args, *args), {**function.keywords, **kwargs}
        function = function.func
    return function, args, kwargs


def _is_recorded(function: Any) -> bool:
    if is_plumbing(function) or not calls.is_ordinary(function):
        return False
    inner = getattr(function, "__wrapped__", None)
    for _ in range(_MAX_WRAPPERS):
        if inner is None:
            break
        if calls.parts_of(inner) is not None:
            return False  # a decorated task of ours, which is recorded when it is called
        inner = getattr(inner, "__wrapped__", None)
    return True


def _definition_of(function: Any, args: tuple[Any, ...], name: str) -> tuple[Definition, tuple[Any, ...]]:
    """Return the definition of a callable, and the arguments of its call, the instance of a method among them."""
    call = type(function).__call__
    if type(function) is not FunctionType and hasattr(function, "__wrapped__"):
        function = inspect.unwrap(function)  # an instance that stands for a function
    elif type(function) is MethodType:
        function, args = function.__func__, (function.__self__, *args)
    elif type(call) is FunctionType:
        # Not the instance itself: what is kept of it would keep it.
        function, args = call, (function, *args)
    # Of others the definition keeps the callable, so that no other one gets its id.
    identity = identity_of(function)
    key = name, id(function) if identity is None else identity
    known = _definitions.get(key)
    if known is None:
        # Names may be made of data: what is forgotten here is only written once more.
        if len(_definitions) >= _MAX_DEFINITIONS:
            _definitions.clear()
        known = _definitions[key] = Definition(TASK, name, function=function)
    return known, args
