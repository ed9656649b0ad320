"""Brings what a journal holds to a sink, once: by a cursor, under a lock, and removes what was acknowledged."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provtel_model.errors import MalformedError, PermanentError
from provtel_model.journal.activities import NOT_UNDERSTOOD, Activities
from provtel_model.journal.layout import (
    CURSOR_FILE,
    DRAIN_LOCK_FILE,
    START_OF_JOURNAL,
    Cursor,
    segment_name,
    segment_number,
)
from provtel_model.journal.liveness import Liveness, liveness, lock_file
from provtel_model.journal.places import unregister
from provtel_model.journal.reader import JournalReader, read_process, segments
from provtel_model.record import PlainRecord, State, record_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from provtel_model.components import Batch
    from provtel_model.journal.spans import Spans

    Sink = Callable[[Batch], None]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a journal's records are to go; one of the two is known.

    Args:
        store: Store folder.
        endpoint: OTLP endpoint.
    """

    store: Path | None
    endpoint: str | None


@dataclass(frozen=True, slots=True)
class DrainOutcome:
    """What one drain of one journal did.

    Args:
        records: Records that the sink took.
        finished: The writer is dead and the sink has all that it wrote.
        skipped: Why the journal was left alone, where it was.
    """

    records: int
    finished: bool
    skipped: str | None = None


def destination(journal: Path) -> Destination:
    """Return where a journal's records are to go.

    Raises:
        MalformedError: It is no readable journal.
    """
    try:
        writer = read_process(journal)
    except OSError as error:
        msg = f"{journal} cannot be read: {error.strerror}"
        raise MalformedError(msg) from error
    if writer.endpoint is not None:
        return Destination(None, writer.endpoint)
    # A store folder may have been moved since: where the journal is tells where its store is.
    return Destination(journal.absolute().parent.parent if writer.store is None else Path(writer.store), None)


def is_dead(journal: Path) -> bool:
    """Say whether a journal's writer is known to be dead; one of another host is not."""
    try:
        return liveness(journal, read_process(journal)) is Liveness.DEAD
    except (OSError, MalformedError):
        return False


def drain_journal(journal: Path, sink: Sink, *, remove: bool = True) -> DrainOutcome:
    """Bring what a journal holds to a sink; what the sink took before is not given again.

    Ended activities come first, in the order of their ends, then those that are open: as running where the writer
    lives or is on another host, as lost where it is dead. May run while the writer writes.

    Args:
        journal: The journal's folder.
        sink: Takes a batch, and returns only when it is durable.
        remove: Remove segments that were taken whole, and the folder of a dead writer when all of it was.

    Raises:
        DeliveryError: The sink did not take a batch: this one and what follows stay in the journal.
    """
    return JournalDrainer(journal).drain(sink, remove=remove)


class JournalDrainer:
    """Drains one journal again and again without reading it from the start each time.

    Args:
        journal: The journal's folder.
    """

    def __init__(self, journal: Path) -> None:
        """Begin at the journal's cursor."""
        self.journal = journal
        self._reading: tuple[JournalReader, Spans] | None = None
        self._left_at: Cursor | None = None
        self._announced: dict[str, int] = {}

    def drain(self, sink: Sink, *, remove: bool = True, heartbeat: float = 0.0, exiting: bool = False) -> DrainOutcome:
        """Do as `drain_journal` does.

        Args:
            sink: Takes a batch, and returns only when it is durable.
            remove: Remove what was taken whole.
            heartbeat: Give an open activity again only after this many seconds.
            exiting: The caller is the writer and about to exit: what is open is lost. The folder stays.

        Raises:
            DeliveryError: The sink did not take a batch: this one and what follows stay in the journal.
        """
        try:
            with lock_file(self.journal / DRAIN_LOCK_FILE, create=True) as mine:
                if not mine:
                    return DrainOutcome(0, finished=False, skipped="another process is draining it")
                return self._drain_locked(sink, remove=remove, heartbeat=heartbeat, exiting=exiting)
        except FileNotFoundError:
            return DrainOutcome(0, finished=True)
        except OSError as error:
            return DrainOutcome(0, finished=False, skipped=f"it cannot be drained: {error.strerror or error}")
        except MalformedError as error:
            return DrainOutcome(0, finished=False, skipped=str(error))

    def _drain_locked(self, sink: Sink, *, remove: bool, heartbeat: float, exiting: bool) -> DrainOutcome:
        if not segments(self.journal):
            # Another drainer was stopped while it removed the folder.
            _remove_folder(self.journal)
            return DrainOutcome(0, finished=True)
        # Judged before anything is read: a writer found dead has written its last frame.
        life = liveness(self.journal, read_process(self.journal))
        if self._left_at != read_cursor(self.journal):
            # Another drainer went on since: what this one read is behind, and would be given twice.
            self._reading = None
        (reader, spans), self._reading = self._reading or self._begin_to_read(), None
        records = self._give_ended(reader, spans, sink, alive=life is not Liveness.DEAD, remove=remove)
        # Kept only now: what a sink refused has to be read again.
        self._reading = reader, spans
        self._left_at = read_cursor(self.journal)
        status, seen_at = _state_of_open(life, exiting=exiting)
        still_open = reader.activities.records(status, seen_at)
        records += self._give_open(still_open, sink, heartbeat if status is State.RUNNING else 0.0)
        if life is Liveness.DEAD and remove:
            _remove_folder(self.journal)
        return DrainOutcome(records, finished=life is Liveness.DEAD)

    def _begin_to_read(self) -> tuple[JournalReader, Spans]:
        # The codec loads protobuf, which a process that only writes its journal never needs.
        from provtel_model.journal.spans import Spans

        reader = JournalReader(self.journal, read_cursor(self.journal))
        return reader, Spans(reader.activities)

    def _give_ended(self, reader: JournalReader, spans: Spans, sink: Sink, *, alive: bool, remove: bool) -> int:
        records = 0
        for portion in reader.portions(alive=alive, usual=spans.usual):
            for ended in portion:
                spans.add(ended)
            if spans.items:
                records += spans.items
                for batch in spans.batches():
                    sink(batch)
            if reader.activities.logs or reader.activities.points:
                _give_observations(reader.activities, sink)
            self._keep_position(reader.position, remove=remove)
        self._keep_position(reader.position, remove=remove)
        return records

    def _keep_position(self, position: Cursor, *, remove: bool) -> None:
        """Write down that all before a position was taken, and remove the segments that are done with."""
        _write_cursor(self.journal, position)
        if remove:
            _remove_segments(self.journal, before=position.segment)

    def _give_open(self, records: Iterable[PlainRecord], sink: Sink, heartbeat: float) -> int:
        now = time.monotonic_ns()
        still_open: dict[str, int] = {}
        due: list[PlainRecord] = []
        for plain in records:
            identity = record_id(plain["trace_id"], plain["span_id"])
            told = self._announced.get(identity)
            if told is None or now - told >= heartbeat * 1e9:
                due.append(plain)
                told = now
            still_open[identity] = told
        _give(due, sink)
        self._announced = still_open
        return len(due)


def _state_of_open(life: Liveness, *, exiting: bool) -> tuple[State, int | None]:
    """Return what becomes of an activity without an end, and when its process was last seen alive, where known."""
    if exiting:
        return State.LOST, time.time_ns()
    if life is Liveness.ALIVE:
        return State.RUNNING, time.time_ns()
    return (State.LOST if life is Liveness.DEAD else State.RUNNING), None


def _give(records: list[PlainRecord], sink: Sink) -> None:
    from provtel_model.otlp import encode

    try:
        batches = list(encode(records))
    except NOT_UNDERSTOOD:
        batches = list(encode(filter(_is_understood, records)))
    for batch in batches:
        sink(batch)


def _give_observations(activities: Activities, sink: Sink) -> None:
    from provtel_model.otlp.encode_observations import encode_logs, encode_points

    logs, activities.logs = activities.logs, []
    points, activities.points = activities.points, []
    for batches in (encode_logs(logs), encode_points(points)):
        # Who takes no logs or no metrics gets the activities all the same.
        with contextlib.suppress(*NOT_UNDERSTOOD, PermanentError):
            for batch in batches:
                sink(batch)


def _is_understood(plain: PlainRecord) -> bool:
    from provtel_model.otlp import encode

    try:
        return bool(list(encode([plain])))
    except NOT_UNDERSTOOD:
        return False


def read_cursor(journal: Path) -> Cursor:
    """Return the place in a journal before which every end was acknowledged."""
    try:
        segment, offset = (journal / CURSOR_FILE).read_text(encoding="ascii").split()
        return Cursor(int(segment), int(offset))
    except (OSError, ValueError):
        return START_OF_JOURNAL


def _write_cursor(journal: Path, cursor: Cursor) -> None:
    # In place and of one width: a rename makes some file systems flush, which costs milliseconds. Without the file a
    # later drain gives again what the store already has, which the store merges.
    with contextlib.suppress(OSError):
        file = os.open(journal / CURSOR_FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(file, b"%08d %020d\n" % cursor, 0)
        finally:
            os.close(file)


def _remove_segments(journal: Path, *, before: int) -> None:
    for number in segments(journal):
        if number < before:
            with contextlib.suppress(OSError):
                (journal / segment_name(number)).unlink()


def _remove_folder(journal: Path) -> None:
    unregister(journal)
    with contextlib.suppress(OSError):
        # Segments first: a folder that has none left is known to be done with.
        for entry in sorted(journal.iterdir(), key=lambda entry: segment_number(entry.name) is None):
            entry.unlink()
        journal.rmdir()
