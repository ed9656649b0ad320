"""What BuildKit, which is behind `docker build`, reads its files with, built as a program of its own."""

from __future__ import annotations

from pathlib import Path

from tests.services import go_program
from tests.services.found import Found


def find() -> Found:
    """Return the program.

    Raises:
        MissingServiceError: It cannot be built.
    """
    return go_program.built("container", Path(__file__).parent)
