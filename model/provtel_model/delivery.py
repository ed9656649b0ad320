"""Settings of delivery that every exporter has, under the keys of the OpenTelemetry Collector's exporterhelper.

An exporter whose config has fields ``timeout``, ``retry_on_failure`` and ``sending_queue`` of these types is wrapped by
the collector: it sends one batch at a time and knows nothing of queues.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class QueueBatch:
    """How waiting requests are put together before they are sent.

    Args:
        flush_timeout: After how long a batch is sent that is smaller than `min_size`.
        min_size: From which size on a batch is sent at once.
        max_size: The largest batch; larger requests are split. 0 is no limit.
        sizer: What the sizes count.
    """

    flush_timeout: Duration = Duration(0.2)
    min_size: int = 8192
    max_size: int = 0
    sizer: Literal["items", "bytes"] = "items"


@dataclass(frozen=True)
class SendingQueue:
    """The queue before an exporter.

    Args:
        enabled: There is one; without, a receiver's thread sends.
        num_consumers: How many batches are sent at the same time.
        wait_for_result: A sender is answered when the destination has answered, also where the queue is on disk.
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
