"""What a user writes for the ``otlp_json_file`` receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from provtel_model.settings import Duration, Size

_LEAST_FINGERPRINT: Final = 16


@dataclass(frozen=True, slots=True)
class OtlpJsonFileConfig:
    """The ``otlp_json_file`` receiver.

    Args:
        include: Patterns of the files that are read; ``**`` is any folder at any depth.
        exclude: Patterns of files that are not.
        start_at: Where to begin in files that are there at the first look: ``end``, or ``beginning``.
        poll_interval: How long to wait between two looks.
        storage: Id of the storage extension that remembers how far each file was read; without, it is forgotten when
            the collector stops.
        replay_file: Read every file whole at each look, again and again.
        delete_after_read: Remove a file when all of it was taken; needs ``start_at: beginning``.
        include_file_name: Put the name of the file among the attributes of what it has.
        include_file_path: Put the path of the file there.
        fingerprint_size: By how much of its beginning a file is known again when it was moved.
        max_log_size: The longest line; a longer one is passed over and counted.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    start_at: Literal["end", "beginning"] = "end"
    poll_interval: Duration = Duration(0.2)
    storage: str = ""
    replay_file: bool = False
    delete_after_read: bool = False
    include_file_name: bool = True
    include_file_path: bool = False
    fingerprint_size: Size = Size(1000)
    max_log_size: Size = Size(64 * 2**20)

    def __post_init__(self) -> None:
        """Refuse to read nothing, or without a pause.

        Raises:
            ValueError: It is asked for.
        """
        if not self.include:
            raise ValueError("'include' must be specified")
        if self.poll_interval <= 0:
            raise ValueError("poll_interval must be positive")
        if self.fingerprint_size < _LEAST_FINGERPRINT:
            raise ValueError(f"'fingerprint_size' must be at least {_LEAST_FINGERPRINT} bytes")
        if self.max_log_size <= 0:
            raise ValueError("'max_log_size' must be positive")
        if self.delete_after_read and self.start_at == "end":
            raise ValueError("'delete_after_read' cannot be used with 'start_at: end'")
