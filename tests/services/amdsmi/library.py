"""AMD's management library: its real package for Python, and in the place of what comes with ROCm a small one in C."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from tests.services.found import Found, cache_folder
from tests.services.shared_library import compile_library, digest_of, run

SOURCE = Path(__file__).with_name("amdsmi.c")
PACKAGE = "amdsmi==7.0.2"
NAME = "libamd_smi.so"


def build() -> Found:
    """Return a folder for ``PYTHONPATH`` that has the package, and for ``ROCM_PATH`` with the library in ``lib``.

    Raises:
        MissingServiceError: There is no C compiler, or the package cannot be installed.
    """
    folder = cache_folder() / f"amdsmi-{digest_of(SOURCE, sys.version, PACKAGE)}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary) / "made"
            run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(made), PACKAGE])
            rest = Path(temporary) / "rest.c"
            rest.write_text(_rest(made / "amdsmi" / "amdsmi_wrapper.py"))
            (made / "lib").mkdir()
            compile_library(made / "lib" / NAME, [SOURCE, rest])
            made.replace(folder)  # in one step, because two test runs may build at once
    return Found("amdsmi", folder, f"{PACKAGE} over a library compiled from tests/services/amdsmi")


def _rest(wrapper: Path) -> str:
    """Return the functions that the package looks up when it is imported, and that nobody here asks."""
    wanted = set(re.findall(rf"_libraries\['{re.escape(NAME)}'\]\.(\w+)", wrapper.read_text()))
    answered = set(re.findall(r"^int (\w+)\(", SOURCE.read_text(), re.MULTILINE))
    return "".join(f"int {name}(void) {{ return 2; }}\n" for name in sorted(wanted - answered))
