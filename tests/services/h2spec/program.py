"""h2spec, which asks a server of HTTP/2 for everything that RFC 9113 and RFC 7541 demand; found or built here."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.services.found import Found, MissingServiceError, cache_folder

VERSION = "v2.2.1+incompatible"
MODULE = "github.com/summerwind/h2spec"
BUILD_SECONDS = 300


def find() -> Found:
    """Return the h2spec on PATH, else one built here.

    Raises:
        MissingServiceError: There is none, and nothing to build one with.
    """
    if on_path := shutil.which("h2spec"):
        return Found("h2spec", Path(on_path), "on PATH")
    binary = cache_folder() / f"h2spec-{VERSION.partition('+')[0]}"
    if binary.exists():
        return Found("h2spec", binary, "built before from Go's registry")
    if not shutil.which("go"):
        raise MissingServiceError("no h2spec on PATH and no go to build one: install either")
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as folder:
        command = ["go", "install", f"{MODULE}/cmd/h2spec@{VERSION}"]
        done = subprocess.run(
            command,
            env={**os.environ, "GOBIN": folder},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        if done.returncode:
            raise MissingServiceError(f"{' '.join(command)} says:\n{done.stderr[-2000:]}")
        (Path(folder) / "h2spec").replace(binary)  # in one step, because two test runs may build at once
    return Found("h2spec", binary, "built from Go's registry")
