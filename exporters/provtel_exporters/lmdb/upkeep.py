"""Stats, damage and compaction of a store folder, whether it has LMDB files or sealed segments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_model.store_folder import LMDB_FOLDER, keeps_segments

from provtel_exporters.lmdb import maintenance, verification

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_exporters.lmdb.maintenance import Compacted, Holdings
    from provtel_exporters.lmdb.verification import Verified


def stats(store: Path) -> Holdings:
    """Return what a store folder holds and takes: `maintenance.Stats`, or `network.maintenance.SegmentStats`.

    Raises:
        StoreError: There is no store that this user can read.
    """
    if keeps_segments(store):
        from provtel_exporters.lmdb.network import maintenance as of_segments

        return of_segments.stats(store)
    return maintenance.stats(store / LMDB_FOLDER)


def verify(store: Path) -> Verified:
    """Look for damage.

    Raises:
        StoreError: There is no store that this user can read.
    """
    if keeps_segments(store):
        from provtel_exporters.lmdb.network import maintenance as of_segments

        return of_segments.verify(store)
    return verification.verify(store / LMDB_FOLDER)


def compact(store: Path) -> Compacted:
    """Give back the space of what was deleted.

    Raises:
        StoreError: It cannot be done; nothing is lost.
    """
    if keeps_segments(store):
        from provtel_exporters.lmdb.network import maintenance as of_segments

        return of_segments.compact(store)
    return maintenance.compact(store / LMDB_FOLDER)
