"""Functions of other libraries, replaced and put back."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_ABSENT: Final = object()


class Patches:
    """What was replaced, and what was there before.

    Attributes:
        active: Replacements do what they are for; once undone they only call what was there, should somebody have kept
            one.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.active = True
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def replace(self, owner: Any, name: str, change: Callable[..., Any]) -> None:
        """Replace a function of a class or a module.

        Args:
            owner: The class or module.
            name: Name of the function in it.
            change: Is called in its stead with what was there, and with the arguments of the call.

        Raises:
            AttributeError: There is no such function.
        """
        original = getattr(owner, name)

        @functools.wraps(original)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            if self.active:
                return change(original, *args, **kwargs)
            return original(*args, **kwargs)

        self.put(owner, name, replacement)

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute of a class or a module."""
        before = vars(owner).get(name, _ABSENT)
        setattr(owner, name, value)
        self._replaced.append((owner, name, before, value))

    def undo(self) -> None:
        """Put back what was there, but for what somebody else has replaced since."""
        self.active = False
        while self._replaced:
            owner, name, before, value = self._replaced.pop()
            if vars(owner).get(name) is not value:
                continue
            if before is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
