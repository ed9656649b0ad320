"""What a user writes for the ``journal`` receiver."""

from __future__ import annotations

from dataclasses import dataclass, field

from provtel_model.settings import Duration


@dataclass(frozen=True, slots=True)
class JournalConfig:
    """The ``journal`` receiver.

    Args:
        store: The store folder whose journals are read; if empty, the one that ``PROVTEL_STORE`` names, else the
            nearest ``.provtel`` upward from the working folder.
        registered: Read this user's journals in other folders too, of processes that ship to an endpoint and are dead.
        poll_interval: How long to wait between two looks.
    """

    store: str = ""
    registered: bool = False
    poll_interval: Duration = field(default_factory=lambda: Duration(1))

    def __post_init__(self) -> None:
        """Refuse to look without a pause.

        Raises:
            ValueError: The interval is not positive.
        """
        if self.poll_interval <= 0:
            raise ValueError("poll_interval must be positive")
