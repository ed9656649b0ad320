"""Wraps functions of every kind, so that each call is an activity and nothing else about them changes."""

from __future__ import annotations

import functools
import inspect
import types
from typing import TYPE_CHECKING, Any, Final

from provtel import inputs, notices
from provtel.accelerator import accelerator
from provtel.activity import Activity
from provtel.recording import recorder
from provtel.stepwise import AsyncSteps, Steps

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from provtel.definition import Definition

    Wrapped = Callable[..., Any]


def _begin(definition: Definition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Activity | None:
    """Start the activity of a call; ``None`` where nothing is recorded. Never raises."""
    try:
        current = recorder()
        if current is None:
            return None
        used, links = inputs.of_call(definition, args, kwargs, current)
        return Activity(current, definition, used, {"links": links} if links else None)
    except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
        notices.capture_failed(f"a call of {definition.name}", error)
        return None


if accelerator is None:
    begin = _begin
else:
    accelerator.configure(begin=_begin)
    begin = accelerator.begin


_STEPWISE: Final = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)


def wrap(function: Any, definition: Definition) -> Any:
    """Return a function that records each call of another one, and is of the same kind."""
    kinds = zip(_STEPWISE, (_wrap_coroutine, _wrap_async_generator, _wrap_generator), strict=True)
    make = next((make for fits, make in kinds if fits(_what_runs(function))), _wrap_function)
    wrapper = make(function, definition)
    # A partial or another callable has no name of its own to take over.
    return functools.update_wrapper(wrapper, function)


def parts_of(function: Any) -> tuple[Wrapped, Definition] | None:
    """Return the function whose calls a wrapper of ours records, and their definition.

    ``None`` for what is no wrapper of ours, or one of a coroutine or a generator.
    """
    if getattr(function, "__code__", None) != _CALL:
        return None
    cells = dict(zip(_CALL.co_freevars, function.__closure__, strict=True))
    return cells["function"].cell_contents, cells["definition"].cell_contents


def is_ordinary(function: Any) -> bool:
    """Say whether a call of a callable runs it: a coroutine or a generator is only made by a call."""
    return not any(fits(_what_runs(function)) for fits in _STEPWISE)


def shares_thread(function: Any) -> bool:
    """Say whether other activities may run in the thread between a call's start and its end."""
    runs = _what_runs(function)
    return inspect.iscoroutinefunction(runs) or inspect.isasyncgenfunction(runs)


def _what_runs(function: Any) -> Any:
    """Return the function whose kind a call of a callable has: of an instance that can be called its ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    call = type(function).__call__
    return call if isinstance(call, types.FunctionType) else function


def _wrap_function(function: Wrapped, definition: Definition) -> Wrapped:
    def call(*args: Any, **kwargs: Any) -> Any:
        activity = begin(definition, args, kwargs)
        if activity is None:
            return function(*args, **kwargs)
        activity.enter()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            activity.raised(error)
            del activity  # whoever keeps the exception keeps this frame
            raise
        activity.returned(result)
        return result

    return call


_CALL: Final[types.CodeType] = _wrap_function(types.FunctionType, None).__code__  # type: ignore[arg-type]  # for its code


def _wrap_coroutine(function: Wrapped, definition: Definition) -> Wrapped:
    async def call(*args: Any, **kwargs: Any) -> Any:
        activity = begin(definition, args, kwargs)
        if activity is None:
            return await function(*args, **kwargs)
        activity.enter()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            activity.raised(error)
            del activity  # whoever keeps the exception keeps this frame
            raise
        activity.returned(result)
        return result

    return call


def _wrap_generator(function: Wrapped, definition: Definition) -> Wrapped:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        activity = begin(definition, args, kwargs)
        if activity is None:
            return (yield from generator)
        steps = Steps(generator, activity)
        sent = thrown = None
        # By hand: `yield from` does not pass on the exception that closes a generator, and so not what comes of it.
        while True:
            try:
                value = [steps.step(sent, thrown)]
            except StopIteration as stop:
                return stop.value
            finally:
                sent = thrown = None
            try:
                sent = yield value.pop()
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is the generator's
                thrown = error

    return call


def _wrap_async_generator(function: Wrapped, definition: Definition) -> Wrapped:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        activity = begin(definition, args, kwargs)
        steps = AsyncSteps(generator, activity)
        sent = thrown = None
        while True:
            try:
                value = [await steps.step(sent, thrown)]
            except StopAsyncIteration:
                return
            finally:
                sent = thrown = None
            try:
                sent = yield value.pop()
            except BaseException as error:  # noqa: BLE001  # as above
                thrown = error

    return call
