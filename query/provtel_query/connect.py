"""Open a store for questions: drain its journals, then find the reader for its kind."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model.components import DrainReport
from provtel_model.errors import StoreError
from provtel_model.memory import Memory
from provtel_model.store_folder import JOURNAL_FOLDER, find_store, holds_records, is_own_folder

from provtel_query.store import Store
from provtel_query.stores import FILE_SUFFIXES, FOLDER_SCHEME, open_reader, scheme_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.components import Drain, Reader

DRAINS: Final = "provtel.drains"

_NOTHING: Final = DrainReport(0, 0, {})


def connect(store: str | os.PathLike[str] | None = None, *, drain: bool = True) -> Store:
    """Open a store for questions.

    What this user's processes recorded for the store, and nobody has brought there yet, is brought first. A store that
    was never written to, and one that does not exist, is empty.

    Args:
        store: A store folder, a file such as ``x.jsonl``, or an address with a scheme; by default the folder that
            recording would write to from here: ``PROVTEL_STORE``, else the nearest ``.provtel`` upward.
        drain: Bring pending journals into the store first. A store that this user may not write is never drained.

    Raises:
        StoreError: It is no store, or cannot be read, or pending records cannot be brought in.
    """
    location = find_store() if store is None else os.fspath(store)
    if scheme_of(str(location)) != FOLDER_SCHEME or "://" in str(location):
        return Store(shown(str(location)), open_reader(str(location)), _NOTHING)
    folder = Path(location).expanduser().absolute()
    try:
        if folder.exists() and not folder.is_dir():
            kinds = ", ".join(FILE_SUFFIXES)
            raise StoreError(f"{folder} is a file; a store is a folder, such as one named .provtel, or ends in {kinds}")
        report = bring_pending(folder) if drain else _NOTHING
        return Store(str(folder), folder_reader(folder), report)
    except OSError as error:
        raise StoreError(f"the store {folder} cannot be read: {error.strerror}; name another") from None


def folder_reader(folder: Path) -> Reader:
    """Open a store folder for reading; one that nothing was brought into yet is empty."""
    return open_reader(str(folder)) if holds_records(folder) else Memory()


def bring_pending(folder: Path) -> DrainReport:
    """Bring what this user's processes recorded for a store folder, and nobody has brought there yet, into its store.

    Raises:
        StoreError: It cannot be brought in.
    """
    if not folder.is_dir():
        return _NOTHING
    if not is_own_folder(folder) or not os.access(folder, os.W_OK):
        reason = "this user may not write the store; what is pending there is not in the answer"
        return DrainReport(0, 0, {folder / JOURNAL_FOLDER: reason})
    reports = [drain(folder) for drain in _drains()]
    elsewhere = {journal: reason for report in reports for journal, reason in report.elsewhere.items()}
    return DrainReport(sum(report.records for report in reports), sum(report.journals for report in reports), elsewhere)


def _drains() -> Iterator[Drain]:
    for point in entry_points(group=DRAINS):
        yield point.load()
