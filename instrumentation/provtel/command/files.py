"""The files that a command is told to have used or generated: ``ROLE=PATH``, or a path whose name makes the role."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROLE: Final = re.compile(r"[A-Za-z_][\w-]*")
_NO_ROLE: Final = re.compile(r"\W+")


class File(NamedTuple):
    """A file and the role that it plays.

    Args:
        role: The role; empty where none was said.
        path: Where it is.
    """

    role: str
    path: Path


def file_of(text: str) -> File:
    """Return what ``ROLE=PATH`` or ``PATH`` says; a path with an equals sign in it is written ``./a=b``."""
    role, mark, path = text.partition("=")
    if mark and path and _ROLE.fullmatch(role):
        return File(role, Path(path))
    return File("", Path(text))


def by_role(files: Sequence[File]) -> dict[str, Path]:
    """Return the files by role; a file without one is called by its name, without what follows the first dot.

    Raises:
        ValueError: Two files have the same role.
    """
    found: dict[str, Path] = {}
    for file in files:
        role = file.role or _NO_ROLE.sub("_", file.path.name.lstrip(".").partition(".")[0]) or "file"
        if role in found and found[role] != file.path:
            raise ValueError(
                f"{found[role]} and {file.path} have the same role {role!r}; write ROLE=PATH for one of them"
            )
        found[role] = file.path
    return found
