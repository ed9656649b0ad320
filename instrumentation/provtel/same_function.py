"""Functions that are the same: made twice by one definition, or come twice from another process."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

_PLAIN: Final = frozenset({bool, bytes, float, int, str, types.NoneType})


def identity_of(function: Any) -> Hashable | None:
    """Return what two functions have in common that nobody can tell apart but by what they close over.

    ``None`` where that cannot be said: of what is no function, and of one whose defaults may differ unseen.
    """
    if type(function) is not types.FunctionType:
        return None
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    if not all(type(value) in _PLAIN for value in defaults):
        return None
    code = function.__code__
    # 1 and True are equal, and so are codes of two files.
    kinds = tuple(map(type, defaults))
    return function.__module__, function.__qualname__, code.co_filename, code, kinds, defaults
