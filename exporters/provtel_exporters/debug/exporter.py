"""The ``debug`` exporter."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from provtel_exporters.debug.text import details, items, summary

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context

    from provtel_exporters.debug.config import DebugConfig

_log = logging.getLogger("provtel_exporters.debug")


class DebugExporter:
    """Writes batches to the log and drops them.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: DebugConfig, context: Context) -> None:
        self._verbosity = config.verbosity
        self._id = context.id

    def start(self) -> None:
        """Need nothing."""

    def shutdown(self) -> None:
        """Release nothing."""

    def consume(self, batch: Batch) -> None:
        """Write one entry about a batch; it is dropped, which counts as taken."""
        lines = [summary(batch)]
        if self._verbosity == "normal":
            lines += items(batch)
        elif self._verbosity == "detailed":
            lines += details(batch)
        _log.info("%s: %s", self._id, "\n".join(lines))
