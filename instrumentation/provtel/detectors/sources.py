"""Reading what says where a process runs: variables and small files, of which none need be there."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from provtel_model.anyvalue import AnyValue

_LONGEST_FILE: Final = 2**20
_LONGEST_VALUE: Final = 1000
_MOST_DIGITS: Final = 18


def text_of(file: Path) -> str:
    """Return the beginning of a file; nothing where it cannot be read."""
    with contextlib.suppress(OSError), file.open(encoding="utf-8", errors="replace") as opened:
        return opened.read(_LONGEST_FILE)
    return ""


def first(environment: Mapping[str, str], *variables: str) -> str | None:
    """Return the first of several variables that says something."""
    found = (environment.get(variable, "").strip() for variable in variables)
    return next((value[:_LONGEST_VALUE] for value in found if value), None)


def number(environment: Mapping[str, str], *variables: str) -> int | None:
    """Return the first of several variables that is a number."""
    for variable in variables:
        value = environment.get(variable, "").strip()
        if value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS:
            return int(value)
    return None


def known(pairs: Iterable[tuple[str, AnyValue]]) -> dict[str, AnyValue]:
    """Return those attributes that have a value."""
    return {name: value for name, value in pairs if value is not None and value != ""}
