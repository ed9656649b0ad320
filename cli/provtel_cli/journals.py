"""What waits in journals: records that no store has yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import MalformedError
from provtel_model.journal import Contents, contents, destination, find_journals, is_dead, registered_journals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

COUNTS: Final = ("started", "ended", "open", "acknowledged", "pending", "dropped")
_BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal as it lies on disk.

    Args:
        path: Its folder.
        goes_to: The store folder or endpoint that its records are for; why that cannot be told, where it cannot.
        running: Its process may still write.
        nbytes: What it takes on disk.
        contents: What it holds; ``None`` where it cannot be read, or was brought in meanwhile.
    """

    path: Path
    goes_to: str
    running: bool
    nbytes: int
    contents: Contents | None

    def as_json(self) -> dict[str, Any]:
        """Return it as an object for programs."""
        found = {"path": str(self.path), "goes_to": self.goes_to, "running": self.running, "nbytes": self.nbytes}
        if self.contents is None:
            return found
        process = {"pid": self.contents.pid, "host": self.contents.host}
        return found | process | _counts(self.contents) | {"dropped_because": self.contents.dropped_because}


def journals_of(store: Path) -> list[Journal]:
    """Return the journals in a store folder, and those elsewhere whose records are for that store."""
    known = {path.absolute(): None for path in (*find_journals(store), *registered_journals())}
    here = store.absolute()
    found = list(map(_journal, known))
    return [journal for journal in found if here in journal.path.parents or journal.goes_to == str(here)]


def totals(journals: Sequence[Journal]) -> dict[str, int]:
    """Return what journals hold and take together."""
    held = [_counts(journal.contents) for journal in journals if journal.contents is not None]
    sums = {name: sum(counts[name] for counts in held) for name in COUNTS}
    return sums | {"nbytes": sum(journal.nbytes for journal in journals)}


def _counts(held: Contents) -> dict[str, int]:
    return {
        "started": held.ended + held.open,
        "ended": held.ended,
        "open": held.open,
        "acknowledged": held.ended + held.open - held.pending,
        "pending": held.pending,
        "dropped": held.dropped,
    }


def waiting_elsewhere(store: Path) -> list[str]:
    """Return for which other stores and endpoints this user's records wait in journals."""
    here = str(store.absolute())
    goals = {_goal(path): None for path in registered_journals()}
    return [goal for goal in goals if goal != here]


def size_of(folder: Path) -> int:
    """Return what the files of a folder take on disk, in bytes."""
    return sum(_sizes(folder.iterdir())) if folder.is_dir() else 0


def _journal(path: Path) -> Journal:
    return Journal(path, _goal(path), not is_dead(path), size_of(path), _contents(path))


def _contents(path: Path) -> Contents | None:
    try:
        return contents(path)
    except (OSError, MalformedError):
        return None


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
