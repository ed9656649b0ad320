"""What a user writes for the ``journal`` receiver."""

from __future__ import annotations

from dataclasses import dataclass

from provtel_model.settings import Duration


@dataclass(frozen=True, slots=True)
class JournalConfig:
    """The ``journal`` receiver.

    Args:
        store: The store folder whose journals are read; if empty, the one that ``PROVTEL_STORE`` names, else the
            nearest ``.provtel`` upward from the working folder.
        registered: Read the journals of all processes of this user too, in whatever folder, that ship to an endpoint
            and are dead.
        follow: Read those also while their processes live, which then need not ship by themselves.
        other_stores: Read also journals whose records are for other stores, which then do not get them.
        poll_interval: How long to wait between two looks.
    """

    store: str = ""
    registered: bool = False
    follow: bool = False
    other_stores: bool = False
    poll_interval: Duration = Duration(1)

    def __post_init__(self) -> None:
        """Refuse to look without a pause, and what is of no effect.

        Raises:
            ValueError: It is so.
        """
        if self.poll_interval <= 0:
            raise ValueError("poll_interval must be positive")
        if self.other_stores and not self.registered:
            raise ValueError("other_stores is of no effect without registered: true")
