"""Exporters with their delivery, for tests: destinations that do as told, storages, and senders that wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from provtel_collector.counters import Counters
from provtel_collector.delivery.delivered import Delivered
from provtel_collector.extensions.file_storage.config import FileStorageConfig
from provtel_collector.extensions.file_storage.extension import FileStorage
from provtel_model.components import Batch, Component, Context, Signal
from provtel_model.delivery import RetryOnFailure, SendingQueue
from provtel_model.otlp import decode
from provtel_model.settings import Duration

from tests.collector.parts import Recorder, traces

QUICK = RetryOnFailure(initial_interval=Duration(0.01), max_interval=Duration(0.02))
SECONDS = 20


class Destination(Recorder):
    """An exporter that keeps what it is given, or does as told."""

    def start(self) -> None:
        """Need nothing."""

    def shutdown(self) -> None:
        """Release nothing."""

    def spans(self) -> list[str]:
        """Return the ids of the spans that came, in order."""
        return [record["span_id"] for one in list(self.batches) for record in decode(one)]


@dataclass(frozen=True)
class Config:
    """What the config of an exporter for the network has."""

    sending_queue: SendingQueue = SendingQueue()
    retry_on_failure: RetryOnFailure = QUICK
    timeout: Duration = Duration(10)


@dataclass
class Stage:
    """An exporter with its delivery, and the storage that it may use."""

    folder: Path
    destination: Destination = field(default_factory=Destination)
    counters: Counters = field(default_factory=Counters)

    @contextmanager
    def delivering(self, config: Config, signal: Signal = Signal.TRACES) -> Iterator[Delivered]:
        """Run the delivery of a config."""
        with self.storage(config.sending_queue.storage) as extensions:
            context = Context("out", {}, self.counters.add, self.counters.observe, extensions)
            delivered = Delivered(self.destination, config, context, [signal])
            delivered.start()
            try:
                yield delivered
            finally:
                delivered.shutdown()

    @contextmanager
    def storage(self, id_: str | None) -> Iterator[dict[str, Component]]:
        """Run the storage of an id."""
        if id_ is None:
            yield {}
            return
        config = FileStorageConfig(directory=str(self.folder / "queue"), create_directory=True)
        storage = FileStorage(config, Context(id_, {}, self.counters.add))
        storage.start()
        try:
            yield {id_: storage}
        finally:
            storage.shutdown()

    def gauge(self, name: str) -> float:
        """Return a gauge of the queue."""
        name = f"queue_{name}" if name in {"size", "capacity"} else name
        return self.counters.gauges()[f"otelcol_exporter_{name}", (("data_type", "traces"),)]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def sending(delivered: Delivered, *batches: Batch) -> list[Exception | None]:
    """Send batches at the same time, each from a thread of its own; return what becomes of each as it is known."""
    outcomes: list[Exception | None] = []

    def send(one: Batch) -> None:
        try:
            delivered.consume(one)
        except Exception as error:  # noqa: BLE001  # for the test to look at
            outcomes.append(error)
        else:
            outcomes.append(None)

    for one in batches:
        threading.Thread(target=send, args=[one], daemon=True).start()
    return outcomes


def batch_of(number: int) -> Batch:
    """Return a batch of one span with a certain id."""
    return Batch(Signal.TRACES, traces(1, number), 1)


def waiting_for(event: threading.Event) -> Callable[[Batch], None]:
    """Return what a consumer does that hangs until something happens."""

    def hang(_batch: Batch) -> None:
        event.wait(10)

    return hang


class Cupboard:
    """A storage of somebody else; what is in it lasts as long as the process."""

    def __init__(self, folder: Path) -> None:
        """Have no shelves yet."""
        self.folder = folder
        self.shelves: dict[str, Board] = {}

    def start(self) -> None:
        """Need nothing."""

    def shutdown(self) -> None:
        """Release nothing."""

    def shelf(self, name: str) -> Board:
        """Return a shelf."""
        return self.shelves.setdefault(name, Board())


class Board:
    """A shelf of a cupboard."""

    def __init__(self) -> None:
        """Have nothing yet."""
        self.values: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value."""
        self.values[key] = value

    def get(self, key: bytes) -> bytes | None:
        """Return a value."""
        return self.values.get(key)

    def remove(self, keys: Sequence[bytes]) -> None:
        """Remove values."""
        for key in keys:
            self.values.pop(key, None)

    def listed(self, first: bytes, most: int) -> list[tuple[bytes, int]]:
        """Return keys in their order."""
        return [(key, len(self.values[key])) for key in sorted(self.values) if key >= first][:most]
