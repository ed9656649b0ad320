"""The roles of a function's inputs: the names of its parameters."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SELF_NAMES: Final = frozenset({"self", "cls"})
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Parameters:
    """Names the arguments of calls.

    Args:
        function: Anything callable; where its signature cannot be read, its arguments are ``args`` and ``kwargs``.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        """Read the signature once."""
        self._signature = _signature(function)
        parameters = [*self._signature.parameters.values()]
        self._variadic = any(parameter.kind in _VARIADIC for parameter in parameters)
        self._defaults = {item.name: item.default for item in parameters if item.default is not item.empty}
        self.roles = [parameter.name for parameter in parameters if parameter.kind not in _VARIADIC]
        first = self.roles[0] if self.roles else ""
        self.receiver = first if first in _SELF_NAMES and _is_method(function) else None
        """The parameter that is the instance or the class that a method belongs to."""
        self.arity = len(parameters) if all(parameter.kind in _POSITIONAL for parameter in parameters) else -1
        """How many arguments a call has that gives all by position; -1 where the roles cannot be told from those."""

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any] | dict[str, Any]:
        """Return the arguments of a call in the order of `roles`, or by role where they are others."""
        missing = len(self.roles) - len(args)
        if self._variadic or missing < 0 or len(kwargs) > missing:
            return self._bind_as_python_does(args, kwargs)
        values, by_name = [*args], 0
        for role in self.roles[len(args) :]:
            if role in kwargs:
                values.append(kwargs[role])
                by_name += 1
            elif role in self._defaults:
                values.append(self._defaults[role])
            else:
                return self._bind_as_python_does(args, kwargs)
        return values if by_name == len(kwargs) else self._bind_as_python_does(args, kwargs)

    def _bind_as_python_does(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {**self._defaults, **self._signature.bind(*args, **kwargs).arguments}
        except TypeError:
            # The call itself will say so.
            return {"args": args, **kwargs} if args else dict(kwargs)


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        kinds = {"args": inspect.Parameter.VAR_POSITIONAL, "kwargs": inspect.Parameter.VAR_KEYWORD}
        return inspect.Signature([inspect.Parameter(name, kind) for name, kind in kinds.items()])


def _is_method(function: Callable[..., Any]) -> bool:
    outer = getattr(function, "__qualname__", "").rpartition(".")[0]
    return bool(outer) and not outer.endswith("<locals>")
