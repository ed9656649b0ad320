"""systemd's own check of units, which needs no systemd that runs."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.services.found import Found, MissingServiceError

PROGRAM = "systemd-analyze"


def find() -> Found:
    """Return the program on PATH.

    Raises:
        MissingServiceError: There is none.
    """
    on_path = shutil.which(PROGRAM)
    if on_path is None:
        raise MissingServiceError(f"no {PROGRAM} on PATH: install systemd")
    return Found(PROGRAM, Path(on_path), "on PATH")
