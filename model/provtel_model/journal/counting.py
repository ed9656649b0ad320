"""What a journal holds, counted without bringing it anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provtel_model.journal.drain import is_dead, read_cursor
from provtel_model.journal.layout import DROPPED_FILE, START_OF_JOURNAL
from provtel_model.journal.reader import JournalReader, read_process
from provtel_model.record import State

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in the segments that a journal still has; those that were acknowledged whole are gone.

    Args:
        pid: Process id of the writer.
        host: Its host.
        ended: Activities with their end.
        open: Activities without one.
        pending: Of both, how many nobody has acknowledged; what is open always is.
        dropped: Activities whose end the writer could not write.
        dropped_because: Why; empty where none was dropped.
    """

    pid: int
    host: str
    ended: int
    open: int
    pending: int
    dropped: int
    dropped_because: str


def contents(journal: Path) -> Contents:
    """Count what a journal holds; nothing is locked, moved or removed, and its writer may go on.

    Raises:
        MalformedError: It is no readable journal.
        OSError: It cannot be opened, or was removed meanwhile.
    """
    process = read_process(journal)
    alive, cursor = not is_dead(journal), read_cursor(journal)
    reader = JournalReader(journal, START_OF_JOURNAL)
    ended = waiting = 0
    for _ in reader.ended(alive=alive):
        ended += 1
        waiting += reader.position > cursor
    still_open = sum(1 for _ in reader.activities.records(State.RUNNING))
    dropped, because = _read_dropped(journal)
    return Contents(process.pid, process.host, ended, still_open, waiting + still_open, dropped, because)


def _read_dropped(journal: Path) -> tuple[int, str]:
    try:
        count, _, reason = (journal / DROPPED_FILE).read_text(encoding="utf-8", errors="replace").partition(" ")
        return int(count), reason.strip()
    except (OSError, ValueError):
        return 0, ""
