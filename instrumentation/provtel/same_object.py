"""Data flow inside a process by identity: an instance that one activity generated and another one uses.

Only instances that can be referred to weakly are known, so that nothing is kept alive and no number is ever mistaken
for another equal one. Classes, functions, modules and members of enumerations live for ever and pass through every
hand; they tell nothing.
"""

from __future__ import annotations

import enum
import types
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from provtel_model.record import PlainLink

_IMMORTAL: Final = (
    type,
    enum.Enum,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.CodeType,
)


class Origins:
    """Which activity generated an instance, and in which role."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: dict[int, tuple[weakref.ref[object], PlainLink, str]] = {}

    def __bool__(self) -> bool:
        """Say whether any is known."""
        return bool(self._known)

    def put(self, value: object, activity: PlainLink, role: str) -> None:
        """Remember who generated an instance; the last one counts."""
        if issubclass(type(value), _IMMORTAL):
            return
        key = id(value)
        try:
            reference = weakref.ref(value, lambda gone: self._forget(key, gone))
        except TypeError:
            return
        self._known[key] = (reference, activity, role)

    def get(self, value: object) -> tuple[PlainLink, str] | None:
        """Return who generated an instance and in which role, where it is known."""
        found = self._known.get(id(value))
        return None if found is None or found[0]() is not value else found[1:]

    def _forget(self, key: int, gone: weakref.ref[object]) -> None:
        # The id may belong to a new instance by now.
        found = self._known.get(key)
        if found is not None and found[0] is gone:
            del self._known[key]
