"""The compiled way of every call, where it was built and fits; everything in it has a twin in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel_model.compiled import load

from provtel.otel_context import VARIABLE

if TYPE_CHECKING:
    from types import ModuleType

# It needs OpenTelemetry's context in the context variable where it is by default.
accelerator: Final[ModuleType | None] = load("provtel._accelerator") if VARIABLE is not None else None
"""The module ``_accelerator``; ``None`` where everything runs in Python."""
