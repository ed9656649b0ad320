"""The exporter ``mongodb``: OTLP batches in, documents in MongoDB out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel_model.components import Batch, Context, Factory, Signal
from provtel_model.errors import RetryableError

from provtel_exporters.mongodb.address import need_package
from provtel_exporters.mongodb.config import MongodbConfig
from provtel_exporters.storing import report, store

if TYPE_CHECKING:
    from provtel_exporters.mongodb.writer import MongodbWriter

SKIPPED: Final = "exporter_skipped_items"


class MongodbExporter:
    """A `provtel_model.components.Exporter` that merges activities into MongoDB, and adds data points and log records.

    Reports, with the attribute ``exporter``: what was stored (`provtel_exporters.storing.STORED`), what was there
    already, or better (`DUPLICATE`), and items that have no form in a store, such as spans without an id (`SKIPPED`).

    Args:
        config: What the user wrote.
        context: Its place in the collector.
    """

    def __init__(self, config: MongodbConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._writer: MongodbWriter | None = None

    def start(self) -> None:
        """Check what can be checked without a server; connecting is left to the first batch.

        Raises:
            UserError: pymongo or a file of TLS is missing.
        """
        need_package(f"the exporter {self._context.id}")
        from provtel_exporters.mongodb.writer import MongodbWriter

        self._writer = MongodbWriter(self._config.address())

    def consume(self, batch: Batch) -> None:
        """Merge the activities of a batch into the store, and add the rest; return when the server has acknowledged it.

        Raises:
            RetryableError: The server cannot be reached, or refuses for now; some of the batch may be stored.
            PermanentError: The batch is malformed, or holds what no server takes; the rest of it may be stored.
        """
        if self._writer is None:
            raise RetryableError(f"the exporter {self._context.id} was not started")
        kept = store(batch, self._writer, self._context)
        report(self._context, SKIPPED, batch.items - kept)

    def shutdown(self) -> None:
        """Disconnect; safe when never started and when called twice."""
        if self._writer is not None:
            self._writer.close()


factory: Final = Factory(type="mongodb", config=MongodbConfig, create=MongodbExporter, signals=frozenset(Signal))
