"""The code that an activity runs: where it is, and a hash of it."""

from __future__ import annotations

import functools
import inspect
import types
from typing import TYPE_CHECKING, Any, Final

from provtel_model.hashing import content_hash

from provtel.anatomy import module_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainPlan

_MAX_PLANS: Final = 1000


def plan_of(function: Callable[..., Any]) -> PlainPlan:
    """Return what is known of a function's code: of its source where there is one, else of its byte code."""
    bare = _bare(function)
    name, module = getattr(bare, "__qualname__", None), getattr(bare, "__module__", None)
    plan: PlainPlan = {"function": f"{module_name(module)}.{name}" if module else name} if name else {}
    code = getattr(bare, "__code__", None)
    if isinstance(code, types.CodeType):
        plan.update(_plan_of_code(code, bare))
    return plan


@functools.lru_cache(maxsize=_MAX_PLANS)
def plan_of_code(module: str | None, name: str, code: types.CodeType) -> PlainPlan:
    """Return what is known of the code of a coroutine, whose function is not at hand."""
    return {"function": f"{module}.{name}" if module else name, **_plan_of_code(code, code)}


def _plan_of_code(code: types.CodeType, owner: object) -> PlainPlan:
    return {
        "file": code.co_filename,
        "line": code.co_firstlineno,
        "hash": content_hash(_source(owner) or _form_of_code(code)),
    }


def _bare(function: Any) -> Any:
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    if isinstance(function, types.MethodType):
        return function.__func__
    call = type(function).__call__
    return call if isinstance(call, types.FunctionType) and not isinstance(function, type) else function


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
