"""Whether what was recorded is what was called."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Recorded: TypeAlias = tuple[str, tuple[Any, ...]]
"""Name and numeric arguments of one record."""


def differences(
    expected: Iterable[tuple[str, tuple[Any, ...]]], recorded: Iterable[tuple[str, tuple[Any, ...]]]
) -> str:
    """Return the first difference between two collections of name and arguments, or an empty text."""
    wanted, found = Counter(expected), Counter(recorded)
    if wanted == found:
        return ""
    missing, extra = list((wanted - found).items()), list((found - wanted).items())
    return f"{len(missing)} missing, {len(extra)} extra; {missing[:1]} {extra[:1]}"
