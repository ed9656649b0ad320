"""Small libraries in C that answer as a script says, in the place of those that come with a driver."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.services.found import MissingServiceError

SCRIPT: Final = Path(__file__).with_name("script.h")
_FLAGS: Final = ("-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror")


def digest_of(source: Path, *others: str) -> str:
    """Return what changes with a source, with what reads the script, and with what else is named."""
    return hashlib.sha256(source.read_bytes() + SCRIPT.read_bytes() + " ".join(others).encode()).hexdigest()[:16]


def compile_library(made: Path, sources: Iterable[Path]) -> None:
    """Compile sources into a library.

    Raises:
        MissingServiceError: There is no C compiler, or it refuses them.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise MissingServiceError("no C compiler on PATH: install one")
    run([compiler, *_FLAGS, "-I", str(SCRIPT.parent), "-o", str(made), *map(str, sources)])


def run(command: list[str]) -> None:
    """Run a command.

    Raises:
        MissingServiceError: It failed; the text has the end of what it said.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingServiceError(f"{' '.join(command)} says:\n{done.stderr[-2000:]}")
