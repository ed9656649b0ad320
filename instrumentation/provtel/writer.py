"""The writer of this process's journal: appends starts and ends at the time of the call, and never raises."""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from provtel_model.errors import StoreError
from provtel_model.file_systems import on_network_file_system
from provtel_model.journal.layout import FRAME_HEADER, SEGMENT_HEADER

from provtel import notices
from provtel.accelerator import accelerator
from provtel.journal_folder import JournalFolder
from provtel.segments import Segment, make_segment

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_model.journal.layout import ProcessFacts

    from provtel.interned import Interned

_RETRY_SECONDS: Final = 1.0
_LOOK_NANOSECONDS: Final = 1_000_000_000
_ROOM_FOR_INTERRUPTS: Final = 4096

_never_released: Final[list[Segment]] = []


class Started(Protocol):
    """An activity whose start is in the journal and whose end may not be yet."""

    span_id: int
    started_at: int
    start_payload: bytes

    @property
    def definition(self) -> Interned:
        """What it has in common with others."""

    @property
    def run(self) -> Interned:
        """The run that it belongs to."""


class WriterCore:
    """Where a writer is.

    Attributes:
        open: What started and has not ended, by span id.
        appended: How many frames of activities were written.
        ends: How many of them were ends.
    """

    open: dict[int, Started]
    appended: int
    ends: int
    _segment: Segment | None
    _look_at: int


if accelerator is not None and not TYPE_CHECKING:
    WriterCore = accelerator.WriterCore


class JournalWriter(WriterCore):
    """Appends to one journal; where that is deleted, to a new one.

    What it cannot write it drops and counts, and says so once; it goes on when it can write again.

    Args:
        store: The store folder.
        process: First frame of every segment.
        limit: How many bytes all journals of the store may have.

    Raises:
        OSError: The journal cannot be made.
        StoreError: The store is not ours or cannot be made.
    """

    def __init__(self, store: Path, process: ProcessFacts, limit: int) -> None:
        """Make the journal."""
        self.open = {}
        self.appended = 0
        self.ends = 0
        self._store = store
        self.process = process
        self._process_payload = process.to_payload()
        self._limit = limit
        self._lock = threading.RLock()
        self._dropped = 0
        self._dropped_because = ""
        self._late: list[tuple[Started | None, bytes | None]] = []
        self._rotating = False
        self._closed = False
        self._retry_at = 0.0
        self._look_at = 0
        self._number = 0
        self._segment = None
        self._journal = self._begin_journal()

    @property
    def folder(self) -> Path:
        """The journal's folder."""
        return self._journal.path

    def start(self, activity: Started) -> None:
        """Append the start of an activity, and before it what it refers to where the segment lacks it."""
        with self._lock:
            self.open[activity.span_id] = activity
            if activity.started_at > self._look_at:
                self._look(activity.started_at)
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
                self._count_dropped(1)
            del self.open[activity.span_id]

    def note(self, payload: bytes) -> None:
        """Append a frame that stands alone, such as a line of a log; what cannot be written is dropped."""
        with self._lock:
            segment = self._segment
            try:
                if segment is None or not segment.append(payload) or segment is not self._segment:
                    self._write_to_next(None, payload)
                self.appended += 1
            except OSError as error:
                self._drop(error)

    def close(self) -> None:
        """Stop writing and let the lock go, so that others take what is there for finished."""
        with self._lock:
            self._let_go()

    def close_idle(self) -> bool:
        """Do as `close` does where nothing is open; say whether it did.

        What starts here later, as a thread may while its process ends, begins a new journal.
        """
        with self._lock:
            # First of all: compiled code asks for a segment, and not for the lock.
            segment, self._segment = self._segment, None
            if self.open:
                self._segment = segment
                return False
            self._leave(segment)
            self._journal.let_go()
            self._look_at = 2**63 - 1
            self._closed = True
            return True

    def forget(self) -> None:
        """Let go of the journal of the parent, in a forked child: what is open there is not ours to end."""
        self._lock = threading.RLock()
        self._let_go()

    def _let_go(self) -> None:
        self.open.clear()
        self._retry_at = float("inf")
        self._look_at = 2**63 - 1
        old, self._segment = self._segment, None
        self._leave(old)
        self._journal.let_go()

    def _begin_journal(self) -> JournalFolder:
        """Make a journal whose first segment has what is open; may raise OSError and StoreError."""
        journal = JournalFolder(self._store, self.process)
        try:
            self._mapped = not on_network_file_system(journal.path)
            self._begin_segment(journal, 1, _ROOM_FOR_INTERRUPTS)
            journal.publish()
        except BaseException:
            self._segment = None
            journal.remove()
            raise
        return journal

    def _look(self, now: int) -> None:
        """Make a new journal where this one was deleted, or its lock closed by the program."""
        self._look_at = now + _LOOK_NANOSECONDS
        if self._journal.is_there() or self._rotating:
            return
        lost = self._journal
        try:
            self._rotate(None, anew=True)
            lost.let_go()
            notices.say("journal deleted", f"the journal {lost.path} was deleted; recording goes on in {self.folder}")
        except OSError as error:
            self._drop(error)

    def _write_to_next(self, activity: Started | None, end: bytes | None) -> None:
        """Write a start, an end, or what stands alone, to a new segment; may raise OSError."""
        self._late.append((activity, end))
        if self._rotating:
            return  # a signal handler or a finaliser in the middle of it: the call that it interrupted writes this too
        self._rotate(activity, anew=self._closed)

    def _rotate(self, caller: Started | None, *, anew: bool) -> None:
        """Go on in new segments until nothing is late.

        Args:
            caller: Whose end the caller itself counts where it is dropped.
            anew: Whether the first of them is that of a new journal.

        Raises:
            OSError: One cannot be made; what is late is dropped.
        """
        self._rotating = True
        try:
            self._begin_next(anew=anew)
            # Signals that came while a segment was made may have started more than it has room for.
            spare = _ROOM_FOR_INTERRUPTS
            while self._late:
                spare *= 2
                self._begin_segment(self._journal, self._number + 1, spare)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                self._retry_at = time.monotonic() + _RETRY_SECONDS
            late, self._late = self._late, []
            self._count_dropped(sum(end is not None and activity not in (None, caller) for activity, end in late))
            raise
        finally:
            self._rotating = False

    def _begin_next(self, *, anew: bool) -> None:
        if time.monotonic() < self._retry_at:
            raise OSError(errno.EAGAIN, "it could not be written a moment ago")
        if not anew:
            self._begin_segment(self._journal, self._number + 1, _ROOM_FOR_INTERRUPTS)
            return
        try:
            self._journal = self._begin_journal()
        except StoreError as error:
            raise OSError(errno.EACCES, str(error)) from error
        self._closed = False
        self._look_at = 0

    def _begin_segment(self, journal: JournalFolder, number: int, spare: int) -> None:
        """Make a segment with all open starts and what of the late fits; it is written to where that is all of it.

        Args:
            journal: Where it is made.
            number: Its number.
            spare: How many bytes it has for what signals start while it is made.

        Raises:
            OSError: It cannot be made; the one before it is still written to.
        """
        old, self._segment = self._segment, None
        copied = dict(self.open)
        room = spare + sum(map(_size_of, copied.values())) + sum(map(_size_of_late, self._late))
        try:
            new = self._make_segment(journal, number, room)
        except OSError:
            self._segment = old
            raise
        self._number = number
        self._leave(old)
        for known in copied.values():
            _intern(new, known)
            new.append(known.start_payload)
        if self._write_late(new, copied):
            self._segment = new
        else:
            self._leave(new)

    def _write_late(self, new: Segment, copied: dict[int, Started]) -> bool:
        """Write what is late to a segment that has the starts of some; say whether all of it fitted."""
        while self._late:
            activity, end = self._late[0]
            if activity is not None and activity.span_id not in copied:
                if not (_intern(new, activity) and new.append(activity.start_payload)):
                    return False
                copied[activity.span_id] = activity
            if end is not None and not new.append(end):
                return False
            del self._late[0]
        return True

    def _leave(self, old: Segment | None) -> None:
        # Python's map closes, with its last reference, a descriptor of its own, which may be the program's by now.
        if old is not None and self._journal.was_closed():
            _never_released.append(old)

    def _make_segment(self, journal: JournalFolder, number: int, room: int) -> Segment:
        overhead = SEGMENT_HEADER.size + 2 * FRAME_HEADER.size + len(self._process_payload)
        size = journal.size_of_segment(overhead + room, self._limit)
        segment = make_segment(journal.path, number, size, mapped=self._mapped)
        segment.append(self._process_payload)
        return segment

    def _drop(self, error: OSError | StoreError) -> None:
        reason = error.strerror or error if isinstance(error, OSError) else error
        self._dropped_because = self._dropped_because or str(reason)
        notices.say(
            "journal",
            f"records are dropped: {self.folder} cannot be written: {reason}; your program goes on unharmed",
        )

    def _count_dropped(self, count: int) -> None:
        self._dropped += count
        self._journal.keep_dropped(self._dropped, self._dropped_because)


def _intern(segment: Segment, activity: Started) -> bool:
    """Write what an activity refers to into a segment where it is not there yet; say whether there was room."""
    for facts in (activity.definition, activity.run):
        if facts.stamp is not segment:
            if not segment.append(facts.payload()):
                return False
            facts.stamp = segment
    return True


def _size_of_late(late: tuple[Started | None, bytes | None]) -> int:
    activity, end = late
    start = 0 if activity is None else _size_of(activity)
    return start + (0 if end is None else FRAME_HEADER.size + len(end))


def _size_of(activity: Started) -> int:
    facts = len(activity.definition.payload()) + len(activity.run.payload())
    return facts + len(activity.start_payload) + 3 * FRAME_HEADER.size
