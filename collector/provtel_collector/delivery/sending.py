"""From batches that were taken together to what a destination is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_model.otlp.pieces import merge, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_model.components import Batch, Consumer
    from provtel_model.delivery import QueueBatch


class Sending:
    """Puts batches together and gives them to a consumer, no larger than wished.

    Args:
        consumer: What takes them.
        settings: How large they may be.
    """

    def __init__(self, consumer: Consumer, settings: QueueBatch | None) -> None:
        self._consumer = consumer
        self._settings = settings

    def send(self, batches: Sequence[Batch]) -> None:
        """Send some batches; return when all of them are delivered.

        Raises:
            DeliveryError: Some may be delivered, not all.
        """
        for piece in self._pieces(merge(batches)):
            self._consumer.consume(piece)

    def _pieces(self, batch: Batch) -> Sequence[Batch]:
        if self._settings is None or not self._settings.max_size:
            return [batch]
        return split(batch, self._settings.max_size, "bytes" if self._settings.sizer == "bytes" else "items")
