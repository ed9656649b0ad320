"""The roles of a function's outputs: by ``outputs=``, by the keys of a dict, by position."""

from __future__ import annotations

from typing import Any, Final

RESULT: Final = "result"


class Outputs:
    """Names what a function returns.

    Args:
        names: One name keeps the value whole; several are for the items of a tuple or list, or keys of a dict.
    """

    def __init__(self, names: str | tuple[str, ...] | list[str] | None) -> None:
        """Take one name and a list of one as the same."""
        self._given = names is not None
        self.roles: list[str] = [RESULT] if names is None else [names] if isinstance(names, str) else [*names]

    def split(self, result: Any) -> list[Any] | dict[str, Any]:
        """Return what was generated: in the order of `roles`, or by role where it has others."""
        kind = type(result)
        if not self._given:
            if result is None:
                return {}
            return result if kind is dict and all(type(key) is str for key in result) else [result]
        if len(self.roles) == 1:
            return [result]
        base = next((base for base in (tuple, list) if issubclass(kind, base)), None)
        # Its own class may have other ways to go over it, or fail to.
        if base is not None and base.__len__(result) == len(self.roles):
            return [*base.__iter__(result)]
        if kind is dict and all(role in result for role in self.roles):
            return [result[role] for role in self.roles]
        return {RESULT: result}
