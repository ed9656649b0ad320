"""What a user writes for the ``batch`` processor."""

from __future__ import annotations

from dataclasses import dataclass, field

from provtel_model.settings import NO_EFFECT, Duration


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """The ``batch`` processor.

    Args:
        timeout: After how long a batch is sent that is smaller than `send_batch_size`; 0 is at once.
        send_batch_size: From how many items on a batch is sent; 0 is at once.
        send_batch_max_size: The most items of a batch, larger ones are split; 0 is no limit.
        metadata_keys: Keys of request metadata; only what has the same under them is put together.
        metadata_cardinality_limit: Accepted, and of no effect.
    """

    timeout: Duration = Duration(0.2)
    send_batch_size: int = 8192
    send_batch_max_size: int = 0
    metadata_keys: tuple[str, ...] = ()
    metadata_cardinality_limit: int = field(default=1000, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        """Refuse sizes that contradict each other.

        Raises:
            ValueError: They do.
        """
        if min(self.send_batch_size, self.send_batch_max_size, self.metadata_cardinality_limit) < 0:
            raise ValueError("sizes must not be negative")
        if 0 < self.send_batch_max_size < self.send_batch_size:
            raise ValueError("send_batch_max_size must be greater or equal to send_batch_size")
        lower = [key.lower() for key in self.metadata_keys]
        if twice := [key for key in lower if lower.count(key) > 1]:
            raise ValueError(f'duplicate entry in metadata_keys: "{twice[0]}" (case-insensitive)')
