"""PyTorch: that of this Python, else that of Debian's package, in the Python of the system."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from tests.house.project import ROOT
from tests.services import debian
from tests.services.found import Found, MissingServiceError

VARIABLE = "PROVTEL_TEST_TORCH"
SYSTEM = Path("/usr/bin/python3")
PACKAGE = "python3-torch"
_ROOMS = ("model", "instrumentation")
_DISTRIBUTIONS = ("opentelemetry-api", "ormsgpack", "typing_extensions")


def find() -> Found:
    """Return the Python that has PyTorch; with ``CI=true`` Debian's package is installed where none has it.

    Raises:
        MissingServiceError: There is none.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return _checked(Path(given), f"named by {VARIABLE}")
    if importlib.util.find_spec("torch") is not None:
        return _checked(Path(sys.executable), "in this environment")
    try:
        return _checked(SYSTEM, f"Debian's {PACKAGE}")
    except MissingServiceError:
        if os.environ.get("CI") != "true":
            raise
    return install()


def install() -> Found:
    """Return the Python that has PyTorch, after the installation of Debian's package where none has.

    Raises:
        MissingServiceError: It cannot be installed.
    """
    if importlib.util.find_spec("torch") is not None:
        return _checked(Path(sys.executable), "in this environment")
    try:
        return _checked(SYSTEM, f"Debian's {PACKAGE}")
    except MissingServiceError:
        debian.install("PyTorch", (), "--no-install-recommends", PACKAGE)
    return _checked(SYSTEM, f"Debian's {PACKAGE}")


def _checked(python: Path, how: str) -> Found:
    code = "import sys, torch; print(torch.__version__, *sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError as error:
        raise MissingServiceError(f"no {python}: {error.strerror}; name a Python with PyTorch by {VARIABLE}") from None
    if done.returncode:
        raise MissingServiceError(f"{python} has no PyTorch; install {PACKAGE}, or name a Python by {VARIABLE}")
    version, *python_version = done.stdout.split()
    if [*map(int, python_version)] != [*sys.version_info[:2]]:
        # What is compiled in our dependencies is for one version of Python.
        raise MissingServiceError(f"{python} is Python {'.'.join(python_version)}, and this is another one")
    return Found("torch", python, f"{version}, {how}")


def search_path(folder: Path) -> str:
    """Return a ``PYTHONPATH`` by which that Python has provtel and what it needs, and all else of its own.

    Args:
        folder: An empty folder, which is filled with links.
    """
    for name in _DISTRIBUTIONS:
        for file in importlib.metadata.files(name) or ():
            top = file.parts[0]
            if top not in {"..", "__pycache__"} and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / top)
    return os.pathsep.join([*(str(ROOT / room) for room in _ROOMS), str(folder)])
