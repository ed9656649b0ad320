"""What a user writes for the ``redis`` exporter; words and keys are those of the ``kafka`` exporter where they fit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from provtel_model.components import Signal
from provtel_model.delivery import DEFAULT_TIMEOUT, RetryOnFailure, SendingQueue
from provtel_model.kafka import Encoding
from provtel_model.redis import LARGEST_ENTRY, Compression, RedisClient
from provtel_model.settings import Duration

DEFAULT_STREAMS: Final = {Signal.TRACES: "otlp_spans", Signal.METRICS: "otlp_metrics", Signal.LOGS: "otlp_logs"}


@dataclass(frozen=True)
class Producer:
    """How entries are written.

    Args:
        max_message_bytes: The largest request in an entry, before compression; larger ones are cut into several.
        compression: How requests are packed.
    """

    max_message_bytes: int = 16 * 2**20
    compression: Compression = "none"

    def __post_init__(self) -> None:
        """Refuse sizes that no request fits in, or no receiver takes.

        Raises:
            ValueError: The size is out of its range.
        """
        if not 0 < self.max_message_bytes <= LARGEST_ENTRY:
            raise ValueError(f"max_message_bytes ({self.max_message_bytes}) must be positive, {LARGEST_ENTRY} at most")


@dataclass(frozen=True)
class SignalStream:
    """Where a signal goes.

    Args:
        stream: The stream; if empty, ``otlp_spans``, ``otlp_metrics`` or ``otlp_logs``.
        encoding: What an entry holds: the request as protobuf, which is not touched, or as OTLP's JSON.
    """

    stream: str = ""
    encoding: Encoding = "otlp_proto"


@dataclass(frozen=True)
class Trimming:
    """What is removed from a stream although nobody may have taken it; without these, nothing is.

    Args:
        max_length: About how many entries a stream may have; beyond, the oldest go. 0 is no limit.
        max_age: About how old an entry may become. 0 is no limit.
    """

    max_length: int = 0
    max_age: Duration = Duration(0)

    def __post_init__(self) -> None:
        """Refuse what is no length.

        Raises:
            ValueError: The length is negative.
        """
        if self.max_length < 0:
            raise ValueError(f"max_length ({self.max_length}) must be non-negative")


@dataclass(frozen=True)
class Durability:
    """What must hold of an entry, beyond what the server promises by itself, before it counts as sent.

    Args:
        replicas: So many replicas have it in memory.
        fsync: The server has it on its disk, whatever ``appendfsync`` says; Redis 7.2 or newer.
        replicas_fsync: So many replicas have it on their disks; Redis 7.2 or newer.
    """

    replicas: int = 0
    fsync: bool = False
    replicas_fsync: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no number of replicas.

        Raises:
            ValueError: One is negative.
        """
        for key in ("replicas", "replicas_fsync"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key} ({getattr(self, key)}) must be non-negative")

    @property
    def asks_for_disks(self) -> bool:
        """Whether something must be on a disk."""
        return self.fsync or bool(self.replicas_fsync)


@dataclass(frozen=True)
class RedisConfig(RedisClient):
    """The ``redis`` exporter.

    Args:
        traces: Where spans go.
        metrics: Where metrics go.
        logs: Where log records go.
        producer: How entries are written.
        trim: What is removed from the streams.
        durability: When an entry counts as sent.
        include_metadata_keys: Names of request metadata that become fields of the entry.
        timeout: How long writing an entry may take.
        retry_on_failure: How what was not written is sent again.
        sending_queue: What waits before it is sent.
    """

    traces: SignalStream = SignalStream()
    metrics: SignalStream = SignalStream()
    logs: SignalStream = SignalStream()
    producer: Producer = Producer()
    trim: Trimming = Trimming()
    durability: Durability = Durability()
    include_metadata_keys: tuple[str, ...] = ()
    timeout: Duration = DEFAULT_TIMEOUT
    retry_on_failure: RetryOnFailure = field(default_factory=RetryOnFailure)
    sending_queue: SendingQueue = field(default_factory=SendingQueue)

    def __post_init__(self) -> None:
        """Refuse metadata that is lost when requests are put together.

        Raises:
            ValueError: Some is.
        """
        super().__post_init__()
        if self.sending_queue.batch is None:
            return
        kept = {key.lower() for key in self.sending_queue.batch.partition.metadata_keys}
        for key in self.include_metadata_keys:
            if key.lower() not in kept:
                raise ValueError(
                    f'"{key}" must be present in sending_queue::batch::partition::metadata_keys, because batching is '
                    "enabled"
                )

    def goal(self, signal: Signal) -> SignalStream:
        """Return where a signal goes, with its stream."""
        chosen = {Signal.TRACES: self.traces, Signal.METRICS: self.metrics, Signal.LOGS: self.logs}[signal]
        return replace(chosen, stream=chosen.stream or DEFAULT_STREAMS[signal])
