"""An exporter with its delivery: queue, dead letters, retry and timeout around it."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from provtel_model.components import Storage
from provtel_model.delivery import RetryOnFailure, SendingQueue
from provtel_model.errors import ConfigError

from provtel_collector.counters import ITEMS
from provtel_collector.delivery.announced import Announced
from provtel_collector.delivery.dead_letters import FOLDER_NAME, DeadLetters, default_folder
from provtel_collector.delivery.isolated import Isolated
from provtel_collector.delivery.memory_queue import PATIENCE_SECONDS, MemoryQueue
from provtel_collector.delivery.persistent_queue import PersistentQueue
from provtel_collector.delivery.retry import Retry
from provtel_collector.delivery.sending import Sending
from provtel_collector.delivery.timeout import Timeout

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from provtel_model.components import Batch, Consumer, Context, Exporter, Signal

_T = TypeVar("_T")

_DRAIN_SECONDS: Final = 5.0


class Delivered:
    """An exporter as a pipeline sees it: with the delivery that its config asks for.

    An exporter whose config has `RetryOnFailure` and `SendingQueue` gets ``queue(retry(timeout(exporter)))``; another
    one is given what comes as it comes. Either way what it refuses for good becomes a dead letter.

    Args:
        exporter: The exporter.
        config: Its config.
        context: Where it stands.
        signals: What pipelines give to it.

    Raises:
        ConfigError: The queue's storage is no storage that runs.
    """

    def __init__(self, exporter: Exporter, config: Any, context: Context, signals: Collection[Signal]) -> None:
        self._exporter = exporter
        self._context = context
        self._stopping = threading.Event()
        self._queue_settings = _field(config, "sending_queue", SendingQueue)
        self._retry_settings = _field(config, "retry_on_failure", RetryOnFailure)
        self._storage = self._find_storage()
        self._timed = self._make_timeout(config)
        self.dead_letters = DeadLetters(dead_letters_folder(config, context), context.id)
        self._way = self._make_way()
        self._queues = self._make_queues(signals)

    def start(self) -> None:
        """Start the exporter, then send what an earlier process left.

        Raises:
            UserError: The exporter cannot run as configured, or the storage cannot be read.
        """
        self._exporter.start()
        for queue in self._queues.values():
            queue.start()

    def consume(self, batch: Batch) -> None:
        """Take a batch; return when it is delivered, on the disk, or among the dead letters.

        Raises:
            RetryableError: It is not, and nobody here will try again.
            PermanentError: It is not and never will be.
        """
        self._queues.get(batch.signal, self._way).consume(batch)
        self._context.report(f"exporter_received_{ITEMS[batch.signal]}", batch.items, {})

    def shutdown(self) -> None:
        """Send what can be sent within some seconds, keep the rest on the disk, and stop the exporter."""
        self._stopping.set()
        deadline = time.monotonic() + _DRAIN_SECONDS
        for queue in self._queues.values():
            queue.shutdown(max(0, deadline - time.monotonic()))
        self._exporter.shutdown()

    def ready(self) -> None:
        """Tell the exporter, if it wants to know, that data flows."""
        getattr(self._exporter, "ready", _do_nothing)()

    def not_ready(self) -> None:
        """Tell the exporter, if it wants to know, that the components are about to stop."""
        getattr(self._exporter, "not_ready", _do_nothing)()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the exporter can be reached, where it can."""
        return getattr(self._exporter, "addresses", ())

    def _find_storage(self) -> Storage | None:
        settings = self._queue_settings
        if settings is None or not settings.enabled or settings.storage is None:
            return None
        storage = self._context.extensions.get(settings.storage)
        path = f"exporters::{self._context.id}::sending_queue::storage"
        if storage is None:
            raise ConfigError(
                f'no storage client extension found: "{settings.storage}" is not run by the service', path
            )
        if not isinstance(storage, Storage):
            raise ConfigError(f'requested extension is not a storage extension: "{settings.storage}"', path)
        return storage

    def _make_timeout(self, config: Any) -> Consumer:
        delivered = self._queue_settings is not None or self._retry_settings is not None
        seconds = getattr(config, "timeout", 0) if delivered else 0
        return Timeout(self._exporter, seconds) if seconds else self._exporter

    def _make_way(self) -> Consumer:
        """Return what stands between the queue and the exporter."""
        kept = self._storage is not None
        fate = "what waits is kept on the disk" if kept else "whoever sent it is told"
        self._announced = Announced(self._timed, f"exporters::{self._context.id}", fate)
        way: Consumer = self._announced
        if self._retry_settings is not None and self._retry_settings.enabled:
            way = Retry(way, self._retry_settings, self._stopping, None if kept else PATIENCE_SECONDS)
        return Isolated(way, self._context.report, self.dead_letters, keeps=kept)

    def _make_queues(self, signals: Collection[Signal]) -> dict[Signal, MemoryQueue | PersistentQueue]:
        settings = self._queue_settings
        if settings is None or not settings.enabled:
            return {}
        return {signal: self._make_queue(signal, settings) for signal in signals}

    def _make_queue(self, signal: Signal, settings: SendingQueue) -> MemoryQueue | PersistentQueue:
        sending = Sending(self._way, settings.batch, self._context.report)
        queue = self._queue_before(sending, signal, settings)
        attributes = {"data_type": str(signal)}
        for name in ("size", "capacity", "items", "restored_items"):
            self._context.observe(f"exporter_queue_{name}", partial(getattr, queue.line, name), attributes)
        in_flight = partial(getattr, sending, "in_flight_requests")
        self._context.observe("exporter_in_flight_requests", in_flight, attributes)
        return queue

    def _queue_before(self, sending: Sending, signal: Signal, settings: SendingQueue) -> MemoryQueue | PersistentQueue:
        name = f"{self._context.id}-{signal}"
        if self._storage is None:
            return MemoryQueue(name, settings, sending, self._announced, self._refused)
        open_shelf = partial(self._storage.shelf, f"exporter/{self._context.id}/{signal}")
        return PersistentQueue(name, signal, settings, sending, open_shelf, self._stopping, self._refused)

    def _refused(self, batch: Batch) -> None:
        self._context.report(f"exporter_enqueue_failed_{ITEMS[batch.signal]}", batch.items, {})


def dead_letters_folder(config: Any, context: Context) -> Path:
    """Return where the dead letters of an exporter are: beside its queue where that is on the disk."""
    settings = _field(config, "sending_queue", SendingQueue)
    name = settings.storage if settings is not None and settings.enabled else None
    storage: object = context.extensions.get(name) if name is not None else None
    return storage.folder / FOLDER_NAME if isinstance(storage, Storage) else default_folder()


def _do_nothing() -> None:
    """Stand for what an exporter does not do."""


def _field(config: Any, name: str, kind: type[_T]) -> _T | None:
    """Return a field of a config where it is of a kind."""
    value = getattr(config, name, None)
    return value if isinstance(value, kind) else None
