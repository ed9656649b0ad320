"""What a user writes to configure the exporter ``lmdb``."""

from __future__ import annotations

from dataclasses import dataclass

from provtel_model.store_folder import find_store


@dataclass(frozen=True, slots=True)
class LmdbConfig:
    """Where records are kept.

    Args:
        store: The store folder; empty for the one that recording would write to from the working folder:
            ``PROVTEL_STORE``, else the nearest ``.provtel`` upward.
    """

    store: str = ""

    def location(self) -> str:
        """Return the store folder."""
        return self.store or str(find_store())
