"""The compiled twins of some modules: which of the two runs is decided here and nowhere else."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import ModuleType

VARIABLE: Final = "PROVTEL_PURE_PYTHON"
"""Set to 1 it keeps everything in Python: to compare the two ways, or to rule one out."""


def load(name: str) -> ModuleType | None:
    """Return a compiled module by its full name; ``None`` where it was not compiled here or is not wanted."""
    if os.environ.get(VARIABLE, "") not in {"", "0"}:
        return None
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
