"""How an edge of the lineage is known, strongest first."""

from __future__ import annotations

import enum
from collections.abc import Collection
from difflib import get_close_matches
from typing import Final, TypeAlias

from provtel_model.errors import UserError


class Evidence(enum.StrEnum):
    """How it is known that a used value is the one that an activity generated; strongest first."""

    DECLARED = "declared"
    """The program said so: it used another task's output."""
    SAME_OBJECT = "same_object"
    """It was the same object in one process."""
    SAME_FILE = "same_file"
    """It was a file of the same path and content."""
    SAME_CONTENT = "same_content"
    """It was a value of the same full hash, large or distinctive enough for equality to mean something."""
    SAME_NAME_AND_VALUE = "same_name_and_value"
    """It had the same role and an equal value within one run."""

    @property
    def text(self) -> str:
        """The evidence as people read it."""
        return self.value.replace("_", " ")


Wanted: TypeAlias = Evidence | str | Collection[Evidence | str] | None

EVERYTHING: Final = frozenset(Evidence)


def chosen(wanted: Wanted) -> frozenset[Evidence]:
    """Return the kinds of evidence that a person wants.

    Args:
        wanted: One kind, for it and all that are stronger; several, for just those; ``None`` for all.

    Raises:
        UserError: A word names no kind.
    """
    if wanted is None:
        return EVERYTHING
    if isinstance(wanted, str):
        order = list(Evidence)
        return frozenset(order[: order.index(_kind(wanted)) + 1])
    return frozenset(_kind(word) for word in wanted)


def _kind(word: str) -> Evidence:
    try:
        return Evidence(word)
    except ValueError:
        near = get_close_matches(word, list(Evidence), 1)
        hint = f"did you mean {str(near[0])!r}?" if near else f"known are {', '.join(Evidence)}"
        raise UserError(f"unknown evidence {word!r}; {hint}") from None
