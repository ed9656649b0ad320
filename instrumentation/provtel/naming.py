"""What people call a program of Python: the script or the module that it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_WITH_VALUE: Final = frozenset({"-W", "-X"})


def program_of(arguments: Iterable[str]) -> str | None:
    """Return the name of what Python runs that is called with these arguments; ``None`` where it has none."""
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            return Path(argument).stem or None
        if argument.startswith("--") or argument == "-":
            continue
        # Options of one letter may be written together.
        if argument.endswith("m"):
            return next(rest, None)
        if argument.endswith("c"):
            return None
        if argument in _WITH_VALUE:
            next(rest, None)
    return None
