"""The code that an activity runs: where it is, and a hash of it."""

from __future__ import annotations

import functools
import inspect
import types
from typing import TYPE_CHECKING, Any

from provtel_model.hashing import content_hash

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainPlan


def plan_of(function: Callable[..., Any]) -> PlainPlan:
    """Return what is known of a function's code: of its source where there is one, else of its byte code."""
    bare = _bare(function)
    plan: PlainPlan = {"function": f"{bare.__module__}.{bare.__qualname__}"} if hasattr(bare, "__qualname__") else {}
    code = getattr(bare, "__code__", None)
    if isinstance(code, types.CodeType):
        plan["file"] = code.co_filename
        plan["line"] = code.co_firstlineno
        plan["hash"] = content_hash(_source(bare) or _form_of_code(code))
    return plan


def _bare(function: Any) -> Any:
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    if isinstance(function, types.MethodType):
        return function.__func__
    if isinstance(function, types.FunctionType | type) or not callable(function):
        return function
    return type(function).__call__


def _source(function: Any) -> str | None:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError, SyntaxError, IndexError):
        return None


def _form_of_code(code: types.CodeType) -> AnyValue:
    constants: list[AnyValue] = [
        _form_of_code(item) if isinstance(item, types.CodeType) else repr(item)
        for item in code.co_consts
        if not isinstance(item, frozenset)  # its order is another one in each process
    ]
    return [code.co_code, constants, [*code.co_names], [*code.co_varnames]]
