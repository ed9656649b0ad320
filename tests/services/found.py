"""What a test needs that is not Python: a real server, and where this machine has it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class MissingServiceError(Exception):
    """A server that a test needs cannot be had here; the message says what to do."""


@dataclass(frozen=True)
class Found:
    """A real server that this machine has.

    Attributes:
        service: The server's name.
        binary: The program to start.
        how: Where it came from, in words for the end of a test run.
    """

    service: str
    binary: Path
    how: str

    def __str__(self) -> str:
        """Tell it in one line."""
        return f"{self.service}: {self.binary} ({self.how})"


def cache_folder() -> Path:
    """Return the folder that keeps what was built for the tests from one run to the next."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "provtel-tests"


@contextmanager
def alone(service: str) -> Iterator[None]:
    """Let no other process that runs tests look for a service meanwhile: what one of them brings the others find."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{service}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
