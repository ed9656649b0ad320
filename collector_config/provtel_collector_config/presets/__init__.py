"""The configurations that ship with provtel, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent


def presets() -> dict[str, Path]:
    """Return the file of each preset, by name."""
    return {file.stem: file for file in sorted(_FOLDER.glob("*.yaml"))}
