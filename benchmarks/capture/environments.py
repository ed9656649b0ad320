"""An environment of its own for each peer, made once in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.capture.peers import OURS

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "flowcept": ("flowcept[redis,telemetry]==1.0.3", "numpy"),
    "flowcept with LMDB": ("flowcept[lmdb,redis]==1.0.3", "numpy", "pandas"),
    "flowcept with databases": ("flowcept[lmdb,mongo]==1.0.3", "numpy", "pandas"),
    "otel": ("opentelemetry-sdk==1.45.1", "opentelemetry-exporter-otlp-proto-http==1.45.1", "numpy"),
    "logfire": ("logfire==4.41.0", "numpy"),
}
"""Of each environment; ours is the one that the benchmark runs in."""


class UnavailableError(Exception):
    """An environment cannot be made here; the message says why."""


def python_of(environment: str) -> str:
    """Return the interpreter of an environment, which is made where it is not there yet.

    Raises:
        UnavailableError: It cannot be made.
    """
    if environment == OURS:
        return sys.executable
    requirements = REQUIREMENTS[environment]
    digest = hashlib.sha256("\n".join((sys.version, *requirements)).encode()).hexdigest()[:12]
    folder = _cache() / f"{environment.replace(' ', '-')}-{digest}"
    if not (folder / "ready").exists():
        print(f"making the environment of {environment} in {folder}", file=sys.stderr)
        _make(folder, requirements)
    return str(folder / "bin" / "python")


def folder_of(requirement: str) -> Path:
    """Return a folder that has a package and nothing that it needs, for the path of the benchmark's own Python.

    Raises:
        UnavailableError: It cannot be had.
    """
    folder = _cache() / f"{requirement.replace('==', '-')}-alone"
    if not (folder / "ready").exists():
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(folder)]
        _run_pip([*install, requirement])
        (folder / "ready").touch()
    return folder


def _make(folder: Path, requirements: tuple[str, ...]) -> None:
    venv.create(folder, with_pip=True, clear=True)
    _run_pip([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements])
    (folder / "ready").touch()


def _run_pip(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines() or ["no reason given"]
        raise UnavailableError(f"{' '.join(command[1:])} failed: {reason[-1]}")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "provtel-benchmarks"
