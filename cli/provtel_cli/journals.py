"""What waits in journals: records that no store has yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model.errors import MalformedError
from provtel_model.journal import destination, find_journals, is_dead, registered_journals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal as it lies on disk.

    Args:
        path: Its folder.
        goes_to: The store folder or endpoint that its records are for; why that cannot be told, where it cannot.
        running: Its process may still write.
        nbytes: What it takes on disk.
    """

    path: Path
    goes_to: str
    running: bool
    nbytes: int


def journals_of(store: Path) -> list[Journal]:
    """Return the journals in a store folder, and those elsewhere whose records are for that store."""
    known = {path.absolute(): None for path in (*find_journals(store), *registered_journals())}
    here = store.absolute()
    found = list(map(_journal, known))
    return [journal for journal in found if here in journal.path.parents or journal.goes_to == str(here)]


def waiting_elsewhere(store: Path) -> list[str]:
    """Return for which other stores and endpoints this user's records wait in journals."""
    here = str(store.absolute())
    goals = {_goal(path): None for path in registered_journals()}
    return [goal for goal in goals if goal != here]


def size_of(folder: Path) -> int:
    """Return what the files of a folder take on disk, in bytes."""
    return sum(_sizes(folder.iterdir())) if folder.is_dir() else 0


def _journal(path: Path) -> Journal:
    return Journal(path, _goal(path), not is_dead(path), size_of(path))


def _goal(path: Path) -> str:
    try:
        found = destination(path)
    except MalformedError as error:
        return str(error)
    return str(found.store) if found.store else str(found.endpoint)


def _sizes(files: Iterable[Path]) -> Iterator[int]:
    for file in files:
        try:
            yield file.stat().st_blocks * _BLOCK
        except FileNotFoundError:
            # Another process drained it meanwhile.
            continue
