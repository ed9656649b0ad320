"""The exporter ``lmdb``: OTLP batches in, records in the store out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model.components import Batch, Context, Factory
from provtel_model.errors import RetryableError
from provtel_model.garbage import without_collector
from provtel_model.store_folder import find_store

from provtel_exporters.lmdb.config import LmdbConfig
from provtel_exporters.lmdb.opening import open_writer
from provtel_exporters.storing import store

if TYPE_CHECKING:
    from provtel_model.components import Writer


class LmdbExporter:
    """A `provtel_model.components.Exporter` that merges activities, data points and log records into an LMDB store.

    Reports, with the attribute ``exporter``, how many of them were stored (`provtel_exporters.storing.STORED`), and how
    many the store already had, or had better (`DUPLICATE`).

    Args:
        config: What the user wrote.
        context: Its place in the collector.
    """

    def __init__(self, config: LmdbConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._writer: Writer | None = None

    @property
    def store(self) -> Path:
        """The store folder."""
        return Path(self._config.store).expanduser().absolute() if self._config.store else find_store()

    def start(self) -> None:
        """Make the store folder where it is missing, and open the store.

        Raises:
            StoreError: The store cannot be written.
        """
        self._writer = open_writer(str(self.store))

    def consume(self, batch: Batch) -> None:
        """Merge what a batch holds into the store; return when it is on the disk.

        Raises:
            RetryableError: The disk is full, or the store cannot be reached now.
            PermanentError: The batch is malformed, or holds what no store can keep.
        """
        if self._writer is None:
            raise RetryableError(f"the exporter {self._context.id} was not started")
        with without_collector():
            store(batch, self._writer, self._context)

    def shutdown(self) -> None:
        """Close the store; safe when never started and when called twice."""
        if self._writer is not None:
            self._writer.close()


factory: Final = Factory(type="lmdb", config=LmdbConfig, create=LmdbExporter)
