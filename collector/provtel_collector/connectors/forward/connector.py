"""The ``forward`` connector."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context

    from provtel_collector.connectors.forward.config import ForwardConfig


class ForwardConnector:
    """Gives every batch to every pipeline that it begins.

    Args:
        _config: What the user wrote: nothing.
        context: Where it stands.
    """

    def __init__(self, _config: ForwardConfig, context: Context) -> None:
        self._next = context.next

    def start(self) -> None:
        """Need nothing."""

    def shutdown(self) -> None:
        """Release nothing."""

    def consume(self, batch: Batch) -> None:
        """Give a batch on."""
        self._next[batch.signal].consume(batch)
