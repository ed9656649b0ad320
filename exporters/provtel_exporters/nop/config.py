"""What a user writes for the ``nop`` exporter."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NopConfig:
    """The ``nop`` exporter: it has no settings."""
