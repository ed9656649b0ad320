"""The journal: what a process writes while it runs, and how others read it.

Each process appends the start and the end of every activity to a folder of its own. Whoever finds the folder, its
process living or dead, can drain it: the shipper, the embedded store, a collector. `layout` is the format on disk.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from provtel_model.journal.counting import Contents, contents
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
    "Contents",
    "Destination",
    "DrainOutcome",
    "JournalDrainer",
    "contents",
    "destination",
    "drain_journal",
    "find_journals",
    "is_dead",
    "registered_journals",
]

_MODULES: Final = {
    "Contents": "counting",
    "contents": "counting",
    "find_journals": "places",
    "registered_journals": "places",
}


def __getattr__(name: str) -> Any:
    # A process that only writes its journal imports `layout` from here, and is spared what reading needs.
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'drain')}"), name)
