"""One partition in the hands of a receiver: what waits, what is done, and the worker that goes through it in order."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from provtel_model.components import Batch, Context, Signal
from provtel_model.errors import DeliveryError, MalformedError, PermanentError, RetryableError
from provtel_model.otlp import check, from_json
from provtel_model.otlp.regroup import with_resource_attributes

from provtel_collector.counters import ITEMS
from provtel_collector.delivery.dead_letters import DeadLetters, default_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from provtel_collector.receivers.kafka.config import KafkaConfig

_log = logging.getLogger(__name__)

_HEADER: Final = "kafka.header."
_MALFORMED: Final = "kafka_receiver_unmarshal_failed_"
_DEAD_LETTERED: Final = "receiver_dead_lettered_"


@dataclass(frozen=True, slots=True)
class Source:
    """A partition, and what its records hold.

    Attributes:
        topic: Its topic.
        number: Its number.
        signal: What the records hold.
        is_json: They hold it as OTLP's JSON.
        headers: Which headers of a record become attributes of its resources.
    """

    topic: str
    number: int
    signal: Signal
    is_json: bool
    headers: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.topic}-{self.number}"

    @property
    def attributes(self) -> dict[str, str]:
        """What the metrics of this partition carry."""
        return {"topic": self.topic, "partition": str(self.number)}

    def batch(self, record: Any) -> Batch:
        """Return what a record holds, with where it comes from and its headers as metadata.

        Raises:
            MalformedError: It is no request of the signal.
        """
        value = record.value or b""
        batch = check(self.signal, from_json(self.signal, value) if self.is_json else value)
        headers = _headers(record)
        if chosen := {f"{_HEADER}{name}": text for name, text in headers.items() if name in self.headers}:
            batch = with_resource_attributes(batch, chosen)
        return replace(batch, metadata=self.metadata(record))

    def metadata(self, record: Any) -> dict[str, str]:
        """Return the headers of a record, and where it comes from."""
        told = {name.lower(): text for name, text in _headers(record).items()}
        place = {"kafka.topic": self.topic, "kafka.partition": str(self.number), "kafka.offset": str(record.offset)}
        return told | place


class Partition:
    """Gives records to the pipelines one after the other, and knows up to where they were taken.

    The receiver's thread puts records in; a worker at a time takes them out by `work`.

    Args:
        source: The partition.
        config: What the user wrote.
        context: Where the receiver stands.
        start_work: Called when there is work and no worker.
    """

    def __init__(
        self, source: Source, config: KafkaConfig, context: Context, start_work: Callable[[Partition], None]
    ) -> None:
        self.source = source
        self._config = config
        self._context = context
        self._start_work = start_work
        self._dead_letters = DeadLetters(default_folder(), f"receivers::{context.id}")
        self._lock = threading.Lock()
        self._waiting: deque[Any] = deque()
        self._size = 0
        self._working = False
        self._held = False
        self._given_up = threading.Event()
        self._idle = threading.Condition(self._lock)
        self._begin: int | None = None
        self._done: int | None = None
        self._end = 0

    def put(self, records: Sequence[Any]) -> None:
        """Take records that were fetched."""
        with self._lock:
            if self._begin is None:
                self._begin = records[0].offset
            self._waiting.extend(records)
            self._size += sum(map(_size, records))
        self._go_on()

    def hold(self) -> None:
        """Pause after the record that a worker has in its hands."""
        self._held = True

    def release(self) -> None:
        """Go on after a pause."""
        self._held = False
        self._go_on()

    def _go_on(self) -> None:
        """Start a worker where there is work for one and none at it."""
        with self._lock:
            if self._working or self._must_rest():
                return
            self._working = True
        self._start_work(self)

    def _must_rest(self) -> bool:
        return self._held or self._given_up.is_set() or not self._waiting

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may."""
        return self._size >= self._config.max_partition_fetch_size

    @property
    def done(self) -> int | None:
        """The offset after the last record that was taken; None where none was."""
        return self._done

    def lag(self) -> float:
        """Return how many records the partition has that were not taken; 0 once another member has it."""
        reached = self._done if self._done is not None else self._begin
        if self._given_up.is_set() or reached is None:
            return 0.0
        return float(max(0, self._end - reached))

    def note_end(self, offset: int | None) -> None:
        """Know the offset after the partition's last record."""
        self._end = offset or 0

    def give_up(self) -> None:
        """Take nothing more; what a worker has in its hands is its last."""
        self._given_up.set()

    def wait_until_idle(self, deadline: float) -> bool:
        """Wait for the worker's last record; say whether it came to an end in time."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._working, max(0.0, deadline - time.monotonic()))

    def work(self) -> None:
        """Go through what waits, until there is nothing more."""
        while (record := self._next()) is not None:
            if self._take(record):
                self._done = record.offset + 1

    def _next(self) -> Any:
        """Return the next record; None where the worker is to end, as what is put in from now on starts another."""
        with self._idle:
            if self._must_rest():
                self._working = False
                self._idle.notify_all()
                return None
            record = self._waiting.popleft()
            self._size -= _size(record)
            return record

    def _take(self, record: Any) -> bool:
        """Give a record on until it is taken or put aside; return False where it was given up before."""
        batch: Batch | None = None
        begun = time.monotonic()
        for wait in _waits(self._config):
            pause = wait
            try:
                batch = batch or self._read(record)
                self._give_on(record, batch, time.monotonic() - begun)
            except DeliveryError as error:
                pause = getattr(error, "retry_after", None) or wait
            except Exception:  # noqa: BLE001  # a partition must not stand still without a word
                _log.exception("%s: the record at %s is tried again", self._context.id, self._place(record))
            else:
                return True
            if self._given_up.wait(pause):
                break
        return False

    def _read(self, record: Any) -> Batch:
        """Return what a record holds; nothing where it cannot be read, and was put aside.

        Raises:
            RetryableError: It cannot be put aside now.
        """
        signal = self.source.signal
        try:
            batch = self.source.batch(record)
        except MalformedError as error:
            raw = Batch(signal, record.value or b"", 1, self.source.metadata(record))
            self._skip(record, raw, f"it cannot be read: {error}")
            self._context.report(_MALFORMED + ITEMS[signal], 1, self.source.attributes)
            return Batch(signal, b"", 0)
        self._context.report("kafka_receiver_records", 1, self.source.attributes)
        return batch

    def _give_on(self, record: Any, batch: Batch, elapsed: float) -> None:
        """Give a batch to the pipelines, or put it aside where they will not take it.

        Raises:
            DeliveryError: It is to be tried again.
        """
        if not batch.items:
            return
        try:
            self._context.next[batch.signal].consume(batch)
        except DeliveryError as error:
            why = self._why_not(error, elapsed)
            if not why:
                raise
            self._skip(record, batch, why)

    def _why_not(self, error: DeliveryError, elapsed: float) -> str:
        """Return why a record that was refused is not to be tried again; nothing where it is."""
        marking, backoff = self._config.message_marking, self._config.error_backoff
        if isinstance(error, PermanentError) and marking.on_permanent_error:
            return f"it is refused for good: {error}"
        over = not backoff.enabled or 0 < backoff.max_elapsed_time <= elapsed
        if isinstance(error, RetryableError) and marking.on_error and over:
            return f"it was refused for {elapsed:.0f} s: {error}"
        return ""

    def _skip(self, record: Any, batch: Batch, why: str) -> None:
        try:
            self._dead_letters.add(batch, why)
        except RetryableError as error:
            _log.warning("%s: the record at %s waits: %s", self._context.id, self._place(record), error)
            raise
        self._context.report(_DEAD_LETTERED + ITEMS[batch.signal], batch.items, {})
        _log.warning(
            "%s: the record at %s is skipped, and put into %s: %s",
            self._context.id,
            self._place(record),
            self._dead_letters.file,
            why,
        )

    def _place(self, record: Any) -> str:
        return f"{self.source}:{record.offset}"


def _waits(config: KafkaConfig) -> Iterator[float]:
    """Yield how long to wait after each refusal."""
    backoff = config.error_backoff
    wait = float(backoff.initial_interval)
    while True:
        spread = wait * backoff.randomization_factor
        yield random.uniform(wait - spread, wait + spread)  # noqa: S311  # spreads attempts, hides nothing
        wait = min(wait * backoff.multiplier, float(backoff.max_interval))


def _headers(record: Any) -> dict[str, str]:
    return {name: (content or b"").decode(errors="replace") for name, content in record.headers or ()}


def _size(record: Any) -> int:
    return len(record.value or b"")


def committable(partitions: Mapping[Any, Partition]) -> dict[Any, int]:
    """Return the offset to commit of each partition of which something was taken."""
    return {place: partition.done for place, partition in partitions.items() if partition.done is not None}
