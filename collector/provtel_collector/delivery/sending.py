"""From batches that were taken together to what a destination is given."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from provtel_model.components import Batch
from provtel_model.errors import MalformedError
from provtel_model.otlp.pieces import merge, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from provtel_model.components import Consumer
    from provtel_model.delivery import QueueBatch


class Sending:
    """Puts batches together and gives them to a consumer, no larger than wished.

    Args:
        consumer: What takes them.
        settings: How they are put together.
        report: Told the size of each batch that is sent.
    """

    def __init__(
        self,
        consumer: Consumer,
        settings: QueueBatch | None,
        report: Callable[[str, int, Mapping[str, str]], None],
    ) -> None:
        self._consumer = consumer
        self._settings = settings
        self._report = report
        self._lock = threading.Lock()
        self.in_flight_requests = 0

    def send(self, batches: Sequence[Batch]) -> None:
        """Send some batches; return when all of them are delivered.

        Raises:
            DeliveryError: Some may be delivered, not all.
        """
        for piece in self._pieces(batches):
            self._report("exporter_queue_batch_send_size", piece.items, {})
            self._report("exporter_queue_batch_send_size_bytes", len(piece.payload), {})
            self._count(1)
            try:
                self._consumer.consume(piece)
            finally:
                self._count(-1)

    def _count(self, more: int) -> None:
        with self._lock:
            self.in_flight_requests += more

    def _pieces(self, batches: Sequence[Batch]) -> Iterator[Batch]:
        settings = self._settings
        if settings is None:
            yield merge(batches)
            return
        for batch in _partitioned(batches, settings.partition.metadata_keys):
            try:
                yield from split(batch, settings.max_size, settings.measure) if settings.max_size else [batch]
            except MalformedError:
                yield batch  # the destination will say what it thinks of it


def _partitioned(batches: Sequence[Batch], keys: Sequence[str]) -> Iterator[Batch]:
    """Yield one batch for each combination of values that batches have under some keys of their metadata."""
    if not keys:
        yield merge(batches)
        return
    groups: dict[tuple[str | None, ...], list[Batch]] = {}
    for batch in batches:
        groups.setdefault(tuple(batch.metadata.get(key.lower()) for key in keys), []).append(batch)
    for values, group in groups.items():
        merged = merge(group)
        shared = {key.lower(): value for key, value in zip(keys, values, strict=True) if value is not None}
        yield Batch(merged.signal, merged.payload, merged.items, merged.metadata or shared)
