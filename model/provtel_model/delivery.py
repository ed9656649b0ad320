"""Settings of delivery that every exporter has, under the keys of the OpenTelemetry Collector's exporterhelper.

An exporter whose config has fields ``timeout``, ``retry_on_failure`` and ``sending_queue`` of these types is wrapped by
the collector: it sends one batch at a time and knows nothing of queues.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

from provtel_model.settings import Duration

Sizer = Literal["requests", "items", "bytes"]
DEFAULT_TIMEOUT: Final = Duration(5)


@dataclass(frozen=True)
class RetryOnFailure:
    """How a batch that was refused for now is sent again.

    Args:
        enabled: It is sent again at all.
        initial_interval: The wait after the first refusal.
        randomization_factor: By which part of itself a wait varies.
        multiplier: By how much each wait is longer than the one before.
        max_interval: The longest wait.
        max_elapsed_time: When to give up; 0 is never.
    """

    enabled: bool = True
    initial_interval: Duration = Duration(5)
    randomization_factor: float = 0.5
    multiplier: float = 1.5
    max_interval: Duration = Duration(30)
    max_elapsed_time: Duration = Duration(0)

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ValueError: A number is out of its range.
        """
        _require(0 <= self.randomization_factor <= 1, "'randomization_factor' must be within [0, 1]")
        _require(self.multiplier >= 0, "'multiplier' must be non-negative")
        if self.enabled and self.max_elapsed_time:
            for name, interval in (("initial_interval", self.initial_interval), ("max_interval", self.max_interval)):
                _require(interval <= self.max_elapsed_time, f"'max_elapsed_time' must not be less than '{name}'")


@dataclass(frozen=True)
class QueuePartition:
    """What is not put together.

    Args:
        metadata_keys: Keys of request metadata; only what has the same under them is put together.
    """

    metadata_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a key that is named twice.

        Raises:
            ValueError: One is.
        """
        lower = [key.lower() for key in self.metadata_keys]
        for key in lower:
            _require(lower.count(key) == 1, f'duplicate entry in metadata_keys: "{key}" (case-insensitive)')


@dataclass(frozen=True)
class QueueBatch:
    """How waiting requests are put together before they are sent.

    Args:
        flush_timeout: After how long a batch is sent that is smaller than `min_size`.
        min_size: From which size on a batch is sent at once.
        max_size: The largest batch; larger requests are split. 0 is no limit.
        sizer: What the sizes count, ``items`` or ``bytes``; by default what the queue's sizer counts, else items.
        partition: What is not put together.
    """

    flush_timeout: Duration = Duration(0.2)
    min_size: int = 8192
    max_size: int = 0
    sizer: Sizer | None = None
    partition: QueuePartition = field(default_factory=QueuePartition)

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ValueError: A number is out of its range, or batches are to be counted by requests.
        """
        _require(self.sizer != "requests", '`batch` supports only `items` or `bytes` sizer, found "requests"')
        _require(self.flush_timeout > 0, "`flush_timeout` must be positive, found 0")
        _require(self.min_size >= 0, f"`min_size` must be non-negative, found {self.min_size}")
        _require(self.max_size >= 0, f"`max_size` must be non-negative, found {self.max_size}")
        larger = not self.max_size or self.max_size >= self.min_size
        _require(larger, f"`max_size` ({self.max_size}) must be greater or equal to `min_size` ({self.min_size})")

    @property
    def measure(self) -> Literal["items", "bytes"]:
        """What the sizes count."""
        return "bytes" if self.sizer == "bytes" else "items"


@dataclass(frozen=True)
class SendingQueue:
    """The queue before an exporter.

    Args:
        enabled: There is one; without, a receiver's thread sends.
        num_consumers: How many batches are sent at the same time.
        wait_for_result: A sender is answered when the destination has answered, which is so without `storage` in any
            case; not with it.
        block_on_overflow: A sender waits for room where the queue is full, instead of being refused for now.
        sizer: What `queue_size` counts.
        queue_size: The most that may wait.
        storage: Id of the storage extension that keeps the queue on disk; without, a sender is answered when the
            destination has answered.
        batch: Put waiting requests together.
    """

    enabled: bool = True
    num_consumers: int = 10
    wait_for_result: bool = False
    block_on_overflow: bool = False
    sizer: Sizer = "requests"
    queue_size: int = 1000
    storage: str | None = None
    batch: QueueBatch | None = None

    def __post_init__(self) -> None:
        """Say what batches count where that was left open, and refuse what makes no sense.

        Raises:
            ValueError: A number is out of its range, or two settings exclude each other.
        """
        if self.batch is not None and self.batch.sizer is None:
            sizer: Sizer = "bytes" if self.sizer == "bytes" else "items"
            object.__setattr__(self, "batch", replace(self.batch, sizer=sizer))
        _require(self.num_consumers > 0, "`num_consumers` must be positive")
        _require(self.queue_size > 0, "`queue_size` must be positive")
        waits = self.storage is not None and self.wait_for_result
        _require(not waits, "`wait_for_result` is not supported with a persistent queue configured with `storage`")
        if self.batch is not None and self.batch.sizer == self.sizer:
            fits = self.batch.min_size <= self.queue_size
            _require(fits, "`min_size` must be less than or equal to `queue_size`")


def _require(holds: bool, message: str) -> None:  # noqa: FBT001  # a condition
    if not holds:
        raise ValueError(message)
