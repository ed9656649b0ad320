"""roc-validator, which holds crates to the profiles of RO-Crate: found here, or installed by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from tests.services.found import Found, MissingServiceError, cache_folder

VARIABLE = "PROVTEL_TEST_ROC_VALIDATOR"
REQUIREMENT = "roc-validator==0.13.0"
PROVENANCE = "provenance-run-crate-0.5"
"""The profile that those of workflows and of processes are part of."""
_SCRIPT = Path(__file__).with_name("validate.py")


def find() -> Found:
    """Return the Python that has roc-validator; what it needs would not fit beside our own packages.

    Raises:
        MissingServiceError: There is none, and none can be installed.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return _checked(Path(given), f"named by {VARIABLE}")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache_folder() / f"{REQUIREMENT.replace('==', '-')}-python{version}"
    python = folder / "bin" / "python"
    try:
        return _checked(python, "installed once for the tests")
    except MissingServiceError:
        venv.create(folder, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingServiceError(f"pip cannot install {REQUIREMENT}: {done.stderr.strip()[-300:]}") from None
    return _checked(python, "installed for the tests")


def _checked(python: Path, how: str) -> Found:
    code = "from importlib.metadata import version; import rocrate_validator; print(version('roc-validator'))"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError as error:
        raise MissingServiceError(f"no {python}: {error.strerror}") from None
    if done.returncode:
        raise MissingServiceError(f"{python} has no roc-validator; name a Python that has it by {VARIABLE}")
    return Found("roc-validator", python, f"{done.stdout.strip()}, {how}")


def issues(found: Found, profile: str, contexts: Path, *crates: Path) -> list[list[dict[str, Any]]]:
    """Return what is wrong with each of some crates.

    Args:
        found: The validator.
        profile: The identifier of a profile, as the validator has it; those that it is based on are checked too.
        contexts: A folder with the JSON-LD contexts, because nothing is asked of the web.
        crates: The folders; several at once, because the validator takes longer to start than for a crate.
    """
    command = [str(each) for each in (found.binary, _SCRIPT, profile, contexts, *crates)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: list[list[dict[str, Any]]] = json.loads(done.stdout.splitlines()[-1])
    return result
