"""What a user writes to configure the exporter ``lmdb``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LmdbConfig:
    """Where records are kept.

    Args:
        store: The store folder; empty for the one that recording would write to from the working folder:
            ``PROVTEL_STORE``, else the nearest ``.provtel`` upward.
    """

    store: str = ""
