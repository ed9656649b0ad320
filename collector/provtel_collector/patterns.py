"""Regular expressions of RE2, which never run away, with the OpenTelemetry Collector's ways to match and to replace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def compile_pattern(pattern: str) -> Any:
    """Return a compiled pattern.

    Raises:
        ValueError: It is no regular expression.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f'"{pattern}" is no regular expression of RE2: {reason}') from None


def compile_all(patterns: Iterable[str]) -> tuple[Any, ...]:
    """Return compiled patterns, in their order.

    Raises:
        ValueError: One is no regular expression.
    """
    return tuple(compile_pattern(pattern) for pattern in patterns)


def any_matches(patterns: Sequence[Any], text: str) -> bool:
    """Say whether one of several patterns matches somewhere in a text."""
    return bool(patterns) and any(pattern.search(text) for pattern in patterns)


def replace_all(pattern: Any, text: str, replacement: Callable[[str], str]) -> str:
    """Replace every match; an empty match right behind another one is none, as in Go."""
    parts: list[str] = []
    end = -1
    copied = 0
    for match in pattern.finditer(text):
        start, stop = match.span()
        if start == stop == end:
            continue
        parts += [text[copied:start], replacement(match.group())]
        copied = end = stop
    return "".join([*parts, text[copied:]])
