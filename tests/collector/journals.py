"""Journals for tests, as a process would have left them."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provtel_model.journal.layout import (
    FRAME_HEADER,
    LOCK_FILE,
    Kind,
    ProcessFacts,
    Status,
    pack,
    pack_segment_header,
    segment_name,
)
from provtel_model.journal.liveness import boot_id, host_name, try_lock
from provtel_model.store_folder import JOURNAL_FOLDER

BEGINNING = 10**18


def write_journal(
    folder: Path, name: str = "one", *, goal: Path | str, ended: int = 1, unended: int = 0, first: int = 1
) -> Path:
    """Write the journal of a process that is dead, into a store folder.

    Args:
        folder: The store folder that has it.
        name: The journal's name.
        goal: Where its records are to go: a store folder or an endpoint.
        ended: How many activities have ended.
        unended: How many have not.
        first: The first span id.
    """
    journal = folder / JOURNAL_FOLDER / name
    journal.mkdir(parents=True)
    store, endpoint = (str(goal), None) if isinstance(goal, Path) else (None, goal)
    process = ProcessFacts({}, "0.1.0", 1, 1, boot_id(), host_name(), store, endpoint)
    payloads = [
        process.to_payload(),
        pack([Kind.DEFINITION.value, 0, ["x"], ["y"], {"name": "step", "kind": "task"}]),
        pack([Kind.CONTEXT.value, 0, {}]),
    ]
    payloads += _activities(first, ended, unended)
    (journal / segment_name(1)).write_bytes(pack_segment_header(1) + _frames(payloads))
    (journal / LOCK_FILE).touch()
    return journal


def add_to_journal(journal: Path, first: int, ended: int = 1) -> None:
    """Write more activities that have ended to a journal of `write_journal`."""
    with (journal / segment_name(1)).open("ab") as segment:
        segment.write(_frames(_activities(first, ended, 0)))


def _activities(first: int, ended: int, unended: int) -> list[bytes]:
    payloads = []
    for span in range(first, first + ended + unended):
        start: list[Any] = [Kind.START.value, 0, 0, b"t" * 16, span, None, BEGINNING + span, [span]]
        payloads.append(pack(start))
        if span < first + ended:
            payloads.append(
                pack([Kind.END.value, span, BEGINNING + span + 1, Status.FINISHED.value, [span], None, None])
            )
    return payloads


def _frames(payloads: list[bytes]) -> bytes:
    return b"".join(FRAME_HEADER.pack(len(payload), zlib.crc32(payload)) + payload for payload in payloads)


@contextmanager
def living(journal: Path) -> Iterator[None]:
    """Make the writer of a journal live for as long as the block lasts."""
    lock = os.open(journal / LOCK_FILE, os.O_RDWR)
    assert try_lock(lock)
    try:
        yield
    finally:
        os.close(lock)
