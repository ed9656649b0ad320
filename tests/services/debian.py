"""Debian's packages, for services that a machine has not and may have: with ``CI=true``, or by ``make services``."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from tests.services.found import MissingServiceError

_OTHERS_SECONDS = 300


def install(what: str, programs: Sequence[str], *packages: str) -> None:
    """Install packages, and return when their programs are on PATH.

    Args:
        what: What is missing, in words.
        programs: What must be there afterwards.
        *packages: The packages, and options of apt-get.

    Raises:
        MissingServiceError: They cannot be installed.
    """
    command = ["apt-get", "install", "--yes", "--quiet", "-o", f"DPkg::Lock::Timeout={_OTHERS_SECONDS}", *packages]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise MissingServiceError(f"no {what} on PATH, and no apt-get to install one: {error}") from None
    if done.returncode or not all(map(shutil.which, programs)):
        raise MissingServiceError(f"no {what} on PATH, and {' '.join(command)} says:\n{done.stderr[-500:]}")
