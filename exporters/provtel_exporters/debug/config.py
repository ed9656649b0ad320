"""What a user writes for the ``debug`` exporter; keys and defaults are the OpenTelemetry Collector's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class DebugConfig:
    """The ``debug`` exporter.

    Args:
        verbosity: How much of each batch: its size, a line for each item, or everything.
    """

    verbosity: Literal["basic", "normal", "detailed"] = "basic"
