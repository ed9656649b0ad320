"""What a user writes for the ``debug`` exporter; keys and defaults are the OpenTelemetry Collector's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from provtel_model.delivery import SendingQueue


@dataclass(frozen=True, slots=True)
class DebugConfig:
    """The ``debug`` exporter.

    Args:
        verbosity: How much of each batch: its size, a line for each item, or everything.
        sampling_initial: How many batches of a second are written.
        sampling_thereafter: Of those beyond, every how manieth is written; 0 is none.
        use_internal_logger: Write to the collector's log.
        output_paths: Where to write instead: `stdout`, `stderr` or files; `stdout` where nothing is said.
        sending_queue: The queue before it; there is none where nothing is said.
    """

    verbosity: Literal["basic", "normal", "detailed", "Basic", "Normal", "Detailed"] = "basic"
    sampling_initial: int = 2
    sampling_thereafter: int = 1
    use_internal_logger: bool = True
    output_paths: tuple[str, ...] = ()
    sending_queue: SendingQueue | None = None

    def __post_init__(self) -> None:
        """Refuse paths that nothing would be written to.

        Raises:
            ValueError: There are paths, and the collector's log is written to.
        """
        if self.use_internal_logger and self.output_paths:
            raise ValueError("output_paths requires use_internal_logger to be false")
