"""The writer of this process's journal: appends starts and ends at the time of the call, and never raises."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from provtel_model.journal.layout import FRAME_HEADER, LOCK_FILE, SEGMENT_HEADER
from provtel_model.journal.liveness import try_lock
from provtel_model.journal.places import find_journals, register
from provtel_model.store_folder import JOURNAL_FOLDER, make_store

from provtel import notices
from provtel.process import on_network_file_system
from provtel.segments import Segment, make_segment

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_model.journal.layout import ProcessFacts

SEGMENT_SIZE: Final = 4 * 2**20
_RETRY_SECONDS: Final = 1.0
_FREE_SHARE: Final = 0.1
_ROOM_FOR_INTERRUPTS: Final = 4096


class Interned(Protocol):
    """Facts that a segment holds once; `stamp` is the segment that was last seen to have them."""

    stamp: object

    def payload(self) -> bytes:
        """Return the frame's payload."""


class Started(Protocol):
    """An activity whose start is in the journal and whose end may not be yet."""

    span_id: int
    start_payload: bytes

    @property
    def definition(self) -> Interned:
        """What it has in common with others."""

    @property
    def run(self) -> Interned:
        """The run that it belongs to."""


class JournalWriter:
    """Appends to one journal.

    What it cannot write it drops and counts, and says so once; it goes on when it can write again.

    Args:
        folder: The journal's folder, made by `make_journal`.
        process: First frame of every segment.
        lock: Descriptor that holds the journal's lock.
        limit: How many bytes all journals of the store may have.
    """

    def __init__(self, folder: Path, process: ProcessFacts, lock: int, limit: int) -> None:
        """Take over a journal that has no segment yet.

        Raises:
            OSError: The first segment cannot be made.
        """
        self.folder = folder
        self.open: dict[int, Started] = {}
        self.appended = 0
        """How many frames of activities were written."""
        self.ends = 0
        """How many of them were ends."""
        self._process = process.to_payload()
        self._lock_file = lock
        self._limit = limit
        self._lock = threading.RLock()
        self._mapped = not on_network_file_system(folder)
        self._segment: Segment | None = self._new_segment(1, 0)
        self._number = 1
        self._rotating = False
        self._late: list[tuple[Started, bytes | None]] = []
        self._retry_at = 0.0

    def start(self, activity: Started) -> None:
        """Append the start of an activity, and before it what it refers to where the segment lacks it."""
        with self._lock:
            self.open[activity.span_id] = activity
            segment = self._segment
            try:
                known = activity.definition.stamp is segment and activity.run.stamp is segment
                if segment is None or not (
                    (known or _intern(segment, activity)) and segment.append(activity.start_payload)
                ):
                    self._write_to_next(activity, None)
                self.appended += 1
            except OSError as error:
                self._drop(error)

    def end(self, activity: Started, payload: bytes) -> None:
        """Append the end of an activity that was started here and has not ended."""
        with self._lock:
            if activity.span_id not in self.open:
                return
            segment = self._segment
            try:
                # A signal handler may have gone on to the next segment in the middle of the append: what was written to
                # the old one then comes too late for readers that have left it.
                if segment is None or not segment.append(payload) or segment is not self._segment:
                    self._write_to_next(activity, payload)
                self.appended += 1
                self.ends += 1
            except OSError as error:
                self._drop(error)
            del self.open[activity.span_id]

    def close(self) -> None:
        """Stop writing and let the lock go, so that others take what is there for finished."""
        with self._lock:
            self.open.clear()
            self._let_go()

    def forget(self) -> None:
        """Let go of the journal of the parent, in a forked child: what is open there is not ours to end."""
        self._lock = threading.RLock()
        self.open.clear()
        self._let_go()

    def _let_go(self) -> None:
        self._retry_at = float("inf")
        self._segment = None
        if self._lock_file >= 0:
            os.close(self._lock_file)
            self._lock_file = -1

    def _write_to_next(self, activity: Started, end: bytes | None) -> None:
        """Write a start, or an end, to a new segment; may raise OSError."""
        self._late.append((activity, end))
        if self._rotating:
            return  # a signal handler or a finaliser in the middle of it: the call that it interrupted writes this too
        now = time.monotonic()
        self._rotating = True
        try:
            if now < self._retry_at:
                raise OSError(errno.EAGAIN, "it could not be written a moment ago")
            self._retry_at = now + _RETRY_SECONDS
            self._rotate()
            self._retry_at = 0.0
        finally:
            self._late.clear()
            self._rotating = False

    def _rotate(self) -> None:
        """Go on in a new segment, into which all open starts are copied and what is late is written."""
        old, self._segment = self._segment, None
        copied = dict(self.open)
        room = (
            sum(map(_size_of, copied.values())) + sum(len(end or b"") for _, end in self._late) + _ROOM_FOR_INTERRUPTS
        )
        try:
            new = self._new_segment(self._number + 1, room)
        except OSError:
            self._segment = old
            raise
        for activity in copied.values():
            _intern(new, activity)
            new.append(activity.start_payload)
        while self._late:
            activity, end = self._late.pop(0)
            if activity.span_id not in copied:
                copied[activity.span_id] = activity
                _intern(new, activity)
                new.append(activity.start_payload)
            if end is not None:
                new.append(end)
        self._segment = new
        self._number += 1

    def _new_segment(self, number: int, room: int) -> Segment:
        overhead = SEGMENT_HEADER.size + 2 * FRAME_HEADER.size + len(self._process)
        size = self._size_of_segment(overhead + room)
        segment = make_segment(self.folder, number, size, mapped=self._mapped)
        segment.append(self._process)
        return segment

    def _size_of_segment(self, needed: int) -> int:
        """Return how large the next segment is to be; may raise OSError where the store has no more room."""
        store = self.folder.parent.parent
        used = journal_bytes(store)
        disk = os.statvfs(store)
        limit = min(self._limit, int((disk.f_bavail * disk.f_frsize + used) * _FREE_SHARE))
        size = max(needed, min(SEGMENT_SIZE, limit // 4))
        if used + size > limit:
            msg = (
                f"the journals of {store} have reached their limit of {limit} bytes; a reader or collector drains them"
            )
            raise OSError(errno.EDQUOT, msg)
        if used > limit // 2:
            notices.say("journal half full", f"the journals of {store} have {used} bytes, half of what they may have")
        return size

    def _drop(self, error: OSError) -> None:
        notices.say(
            "journal",
            f"records are dropped: the journal {self.folder} cannot be written: {error.strerror or error}; "
            "your program goes on unharmed",
        )


def _intern(segment: Segment, activity: Started) -> bool:
    """Write what an activity refers to into a segment where it is not there yet; say whether there was room."""
    for facts in (activity.definition, activity.run):
        if facts.stamp is not segment:
            if not segment.append(facts.payload()):
                return False
            facts.stamp = segment
    return True


def _size_of(activity: Started) -> int:
    facts = len(activity.definition.payload()) + len(activity.run.payload())
    return facts + len(activity.start_payload) + 3 * FRAME_HEADER.size


def journal_bytes(store: Path) -> int:
    """Return how many bytes the journals of a store have on disk."""
    total = 0
    for journal in find_journals(store):
        with contextlib.suppress(OSError):
            total += sum(entry.stat().st_size for entry in os.scandir(journal))
    return total


def make_journal(store: Path, process: ProcessFacts, limit: int) -> JournalWriter:
    """Make a journal in a store folder and return its writer.

    The folder gets its name only when its lock is held and its first segment is there: nobody sees it before.

    Raises:
        OSError: It cannot be made.
        StoreError: The store is not ours or cannot be made.
    """
    make_store(store)
    parent = store / JOURNAL_FOLDER
    parent.mkdir(mode=0o700, exist_ok=True)
    name = f"{process.host}-{process.boot[:8]}-{process.pid}-{os.urandom(4).hex()}"
    new = parent / f".{name}"
    new.mkdir(mode=0o700)
    lock = os.open(new / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):  # without locks readers look for the process
            try_lock(lock)
        writer = JournalWriter(new, process, lock, limit)
        writer.folder = new.rename(parent / name)
    except BaseException:
        os.close(lock)
        _remove(new)
        raise
    register(writer.folder)
    return writer


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for entry in folder.iterdir():
            entry.unlink()
        folder.rmdir()
