"""What a user writes for the ``forward`` connector."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ForwardConfig:
    """The ``forward`` connector: it has no settings."""
