"""AMD's management library: its real package for Python, and in the place of what comes with ROCm a small one in C."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.services.found import Found, MissingServiceError, cache_folder

SOURCE = Path(__file__).with_name("amdsmi.c")
PACKAGE = "amdsmi==7.0.2"
NAME = "libamd_smi.so"
FLAGS = ("-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror")


def build() -> Found:
    """Return a folder for ``PYTHONPATH`` that has the package, and for ``ROCM_PATH`` with the library in ``lib``.

    Raises:
        MissingServiceError: There is no C compiler, or the package cannot be installed.
    """
    digest = hashlib.sha256(SOURCE.read_bytes() + f"{sys.version} {PACKAGE}".encode()).hexdigest()[:16]
    folder = cache_folder() / f"amdsmi-{digest}"
    if not folder.exists():
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise MissingServiceError("no C compiler on PATH: install one")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary) / "made"
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(made), PACKAGE]
            _run(pip)
            rest = Path(temporary) / "rest.c"
            rest.write_text(_rest(made / "amdsmi" / "amdsmi_wrapper.py"))
            (made / "lib").mkdir()
            _run([compiler, *FLAGS, "-o", str(made / "lib" / NAME), str(SOURCE), str(rest)])
            made.replace(folder)  # in one step, because two test runs may build at once
    return Found("amdsmi", folder, f"{PACKAGE} over a library compiled from tests/services/amdsmi")


def _rest(wrapper: Path) -> str:
    """Return the functions that the package looks up when it is imported, and that nobody here asks."""
    wanted = set(re.findall(rf"_libraries\['{re.escape(NAME)}'\]\.(\w+)", wrapper.read_text()))
    answered = set(re.findall(r"^int (\w+)\(", SOURCE.read_text(), re.MULTILINE))
    return "".join(f"int {name}(void) {{ return 2; }}\n" for name in sorted(wanted - answered))


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingServiceError(f"{' '.join(command)} says:\n{done.stderr[-2000:]}")
