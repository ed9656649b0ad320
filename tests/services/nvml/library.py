"""NVIDIA's management library: a small one in C that a script tells what to answer, and the real one where it is."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.services.found import Found, cache_folder
from tests.services.shared_library import compile_library, digest_of

SOURCE = Path(__file__).with_name("nvml.c")
NAME = "libnvidia-ml.so.1"
ASK = """
import pynvml
pynvml.nvmlInit()
for index in range(pynvml.nvmlDeviceGetCount()):
    print(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index)))
"""


def build() -> Found:
    """Return the library that answers by a script, compiled here.

    Raises:
        MissingServiceError: There is no C compiler.
    """
    library = cache_folder() / f"nvml-{digest_of(SOURCE)}" / NAME
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            made = Path(folder) / NAME
            compile_library(made, [SOURCE])
            made.replace(library)  # in one step, because two test runs may build at once
    return Found("nvml", library, "compiled from tests/services/nvml, answers by a script")


def find_device() -> str | None:
    """Return the names of the real GPUs of this machine; ``None`` where there is none, or no driver."""
    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=False)
    return ", ".join(asked.stdout.splitlines()) or None if asked.returncode == 0 else None
