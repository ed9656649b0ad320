"""An environment of its own for each peer, made once in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "flowcept": ("flowcept==1.0.3", "numpy"),
    "otel": ("opentelemetry-sdk==1.45.1", "opentelemetry-exporter-otlp-proto-http==1.45.1", "numpy"),
}
"""Of each environment; ours is the one that the benchmark runs in."""

OURS = "provtel"


def python_of(environment: str) -> str:
    """Return the interpreter of an environment, which is made where it is not there yet."""
    if environment == OURS:
        return sys.executable
    requirements = REQUIREMENTS[environment]
    digest = hashlib.sha256("\n".join((sys.version, *requirements)).encode()).hexdigest()[:12]
    folder = _cache() / f"{environment}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"making the environment of {environment} in {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        (folder / "ready").touch()
    return str(python)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "provtel-benchmarks"
