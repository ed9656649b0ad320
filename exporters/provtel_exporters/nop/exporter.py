"""The ``nop`` exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context

    from provtel_exporters.nop.config import NopConfig


class NopExporter:
    """Drops every batch, which counts as taken.

    Args:
        _config: What the user wrote: nothing.
        _context: Where it stands.
    """

    def __init__(self, _config: NopConfig, _context: Context) -> None:
        """Keep nothing."""

    def start(self) -> None:
        """Need nothing."""

    def shutdown(self) -> None:
        """Release nothing."""

    def consume(self, batch: Batch) -> None:
        """Drop a batch."""
