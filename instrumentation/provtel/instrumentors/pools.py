"""What is changed in pools of every kind."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from provtel.instrumentors.submitted import sent, submitted

if TYPE_CHECKING:
    from collections.abc import Callable

_INITIALIZER: Final = "initializer"


_CALLBACKS: Final = ("callback", "error_callback")


def sending(word: str) -> Callable[..., Any]:
    """Return a change of a method that takes a function and runs it elsewhere.

    Callbacks, which threads of the pool call, run in the context in which they were given.

    Args:
        word: The function's parameter, which is the first.
    """

    def change(original: Callable[..., Any], pool: Any, /, *args: Any, **kwargs: Any) -> Any:
        for name in _CALLBACKS:
            if name in kwargs:
                kwargs[name] = sent(kwargs[name])
        if args:
            return original(pool, submitted(args[0]), *args[1:], **kwargs)
        if word in kwargs:
            kwargs[word] = submitted(kwargs[word])
        return original(pool, **kwargs)

    return change


def send_initializer(original: Callable[..., Any], pool: Any, /, *args: Any, **kwargs: Any) -> None:
    """Let the initializer of a pool's workers run in the context in which the pool is made."""
    try:
        bound = inspect.signature(original).bind(pool, *args, **kwargs)
    except TypeError:
        bound = None  # the call itself will say so
    if bound is None or bound.arguments.get(_INITIALIZER) is None:
        original(pool, *args, **kwargs)
        return
    bound.arguments[_INITIALIZER] = sent(bound.arguments[_INITIALIZER])
    original(*bound.args, **bound.kwargs)
