"""What a program calls another one with, and what of it may be kept."""

from __future__ import annotations

import os
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from provtel import preview
from provtel.redaction import WORD

if TYPE_CHECKING:
    from provtel.redaction import Redaction

_MAX_WORDS: Final = 50
_ASSIGNMENT: Final = re.compile(r"\w+=")
_SHELL: Final = "sh"


def words_of(command: Any) -> list[str]:
    """Return the words of a command: a line for the shell, the path of a program, or a list of either's."""
    if isinstance(command, str | bytes | os.PathLike):
        return WORD.findall(_text(os.fsdecode(command)))
    return [_text(os.fsdecode(word)) for word in command]


def kept(words: list[str], redaction: Redaction) -> list[str]:
    """Return what is kept of a command: no secrets, and no more words or longer ones than are needed to know it."""
    found = [preview.cut(word) for word in redaction.arguments(words[: _MAX_WORDS + 1])]
    return [*found[:_MAX_WORDS], *(["…"] if len(found) > _MAX_WORDS else [])]


def program_of(words: list[str]) -> str:
    """Return the name of the program that a command starts."""
    word = next((word for word in words if not _ASSIGNMENT.match(word)), "")
    return PurePath(word.strip("'\"")).name or _SHELL


def _text(words: str) -> str:
    return words.encode("utf-8", "replace").decode()
