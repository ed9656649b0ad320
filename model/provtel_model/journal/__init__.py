"""The journal: what a process writes while it runs, and how others read it.

Each process appends the start and the end of every activity to a folder of its own. Whoever finds the folder, its
process living or dead, can drain it: the shipper, the embedded store, a collector. `layout` is the format on disk.
"""

from __future__ import annotations

from provtel_model.journal.drain import (
    Destination,
    DrainOutcome,
    JournalDrainer,
    destination,
    drain_journal,
    is_dead,
)
from provtel_model.journal.places import find_journals, registered_journals

__all__ = [
    "Destination",
    "DrainOutcome",
    "JournalDrainer",
    "destination",
    "drain_journal",
    "find_journals",
    "is_dead",
    "registered_journals",
]
