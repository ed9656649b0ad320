"""What happens in each Python that `provtel run` starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

FOLDER: Final = str(Path(__file__).with_name("site"))
"""Goes to the front of PYTHONPATH; Python finds its ``sitecustomize`` there."""
_DISTRO: Final = "OTEL_PYTHON_DISTRO"
_OURS: Final = "provtel"
_INITIALIZED: Final = "opentelemetry.instrumentation.auto_instrumentation"


def instrument() -> None:
    """Do what ``opentelemetry-instrument`` does, once."""
    if _INITIALIZED in sys.modules:
        return
    from opentelemetry.instrumentation.auto_instrumentation import initialize

    # Of several distros this one; processes that are started here may want another.
    named = os.environ.setdefault(_DISTRO, _OURS)
    try:
        initialize()
    finally:
        if named == _OURS:
            os.environ.pop(_DISTRO, None)


def python_path(before: str | None) -> str:
    """Return the PYTHONPATH of a command, whose Pythons are to be instrumented."""
    kept = [] if not before else [entry for entry in before.split(os.pathsep) if entry != FOLDER]
    return os.pathsep.join([FOLDER, *kept])
