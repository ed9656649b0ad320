"""What a person must know, said once on stderr; never raised, because the program is not ours."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from typing import Final

_counts: Final[Counter[str]] = Counter()


def say(kind: str, text: str) -> None:
    """Say a thing on stderr the first time that it happens, and count it every time.

    Args:
        kind: What makes two notices the same thing.
        text: One line: what happened, where, what to do.
    """
    _counts[kind] += 1
    if _counts[kind] > 1:
        return
    with contextlib.suppress(Exception):
        sys.stderr.write(f"provtel: {text}\n")
        sys.stderr.flush()


def capture_failed(what: str, error: Exception) -> None:
    """Say that a part of the capture failed; the program goes on as without it."""
    kind = type(error)
    say(
        f"capture {what}",
        f"{what} could not be recorded ({kind.__module__}.{kind.__qualname__}); your program goes on unharmed, "
        "and further failures of this kind are only counted",
    )


def count_silently(kind: str) -> None:
    """Count a thing that was said already, or will be."""
    _counts[kind] += 1


def count(kind: str) -> int:
    """Return how often a thing happened in this process."""
    return _counts[kind]
