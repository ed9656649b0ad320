"""Marks in the store folder of what is recorded once, whichever process comes first."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER: Final = "once"


def is_marked(store: Path, name: str) -> bool:
    """Say whether a thing was recorded into a store."""
    return (store / _FOLDER / name).exists()


def mark(store: Path, name: str) -> bool:
    """Mark a thing as recorded; say whether no other process did so before. Where that cannot be told, none did."""
    with contextlib.suppress(OSError):
        folder = store / _FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            os.close(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return False
    return True
