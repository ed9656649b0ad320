"""Logfire, whose tracer provider is none of ours: in a folder of its own, because it takes part in every import."""

from __future__ import annotations

import hashlib
import subprocess
import sys

from tests.services.found import Found, MissingServiceError, cache_folder

_PACKAGES = ("logfire==5.2.0", "executing==2.3.0")
"""Without what they need, which the tests have."""


def find() -> Found:
    """Return the folder to be put on ``PYTHONPATH``; it is filled once, from the registry that pip's settings name.

    Raises:
        MissingServiceError: It cannot be filled.
    """
    digest = hashlib.sha256("\n".join((sys.version, *_PACKAGES)).encode()).hexdigest()[:12]
    folder = cache_folder() / f"logfire-{digest}"
    if not (folder / "ready").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(folder)]
        done = subprocess.run(
            [*command, *_PACKAGES], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = done.stderr.strip().splitlines() or ["no reason given"]
            raise MissingServiceError(f"pip cannot install {' '.join(_PACKAGES)}: {reason[-1]}")
        (folder / "ready").touch()
    return Found("logfire", folder, " ".join(_PACKAGES))
