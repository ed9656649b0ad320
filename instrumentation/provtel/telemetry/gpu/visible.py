"""Which GPUs this process may use: as CUDA and ROCm read it from the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def chosen(text: str | None, ids: Sequence[Sequence[str]]) -> list[tuple[int, str | None]]:
    """Return what ``CUDA_VISIBLE_DEVICES`` and the like select: places in `ids`, each with its part if one is meant.

    As CUDA does: what follows a word that names nothing is not seen, and what is named twice is nothing at all.

    Args:
        text: The variable's text; ``None`` where it is not set, which selects all.
        ids: Of each GPU, in order, its UUID and those of its parts.
    """
    if text is None:
        return [(place, None) for place in range(len(ids))]
    found: list[tuple[int, str | None]] = []
    for word in text.split(","):
        one = _find(word.strip(), ids)
        if one is None:
            break
        if one in found:
            return []
        found.append(one)
    return found


def _find(word: str, ids: Sequence[Sequence[str]]) -> tuple[int, str | None] | None:
    if word.isdecimal():
        return (int(word), None) if int(word) < len(ids) else None
    if len(word) < _SHORTEST:
        return None
    # The beginning of a UUID is enough where only one begins so.
    matches = [
        (place, identity if number else None)
        for place, known in enumerate(ids)
        for number, identity in enumerate(known)
        if identity.lower().startswith(word.lower())
    ]
    return matches[0] if len(matches) == 1 else None


_SHORTEST = len("GPU-") + 1
