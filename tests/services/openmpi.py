"""Open MPI, found or installed from Debian's package; the tests start programs by its `mpirun`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.services import debian
from tests.services.found import Found, MissingServiceError

PROGRAM = "mpirun"
PACKAGE = "openmpi-bin"


def find() -> Found:
    """Return the starter on PATH, else with ``CI=true`` the one of Debian's package, which is installed.

    Raises:
        MissingServiceError: There is none.
    """
    if on_path := shutil.which(PROGRAM):
        return _checked(Path(on_path), "on PATH")
    if os.environ.get("CI") == "true":
        return install()
    raise MissingServiceError(f"no {PROGRAM} on PATH: install Open MPI, or let `make services` do it")


def install() -> Found:
    """Return the starter on PATH, else the one of Debian's package, which is installed.

    Raises:
        MissingServiceError: It cannot be installed.
    """
    if on_path := shutil.which(PROGRAM):
        return _checked(Path(on_path), "on PATH")
    debian.install(PROGRAM, [PROGRAM], "--no-install-recommends", PACKAGE)
    return _checked(Path(shutil.which(PROGRAM) or ""), "installed from Debian's package")


def _checked(program: Path, how: str) -> Found:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    if "Open MPI" not in done.stdout:
        raise MissingServiceError(f"{program} is no Open MPI: put one on PATH before it")
    return Found("openmpi", program, f"{done.stdout.split()[3]}, {how}")


def command(found: Found, ranks: int) -> list[str]:
    """Return the words before a program that start it so many times, on a machine with any number of cores."""
    return [str(found.binary), "--allow-run-as-root", "--oversubscribe", "-n", str(ranks)]
