"""Bring OTLP that others kept into a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from provtel_model.errors import MalformedError, PermanentError, RetryableError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from provtel_model.components import Batch, Writer, WriteResult
    from provtel_model.otlp.files import Entry
    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint

_TOGETHER: Final = 500
_TOLD: Final = 20


class Held(Protocol):
    """What a request holds, in the forms of stores."""

    records: list[PlainRecord]
    points: list[PlainPoint]
    logs: list[PlainLog]


@dataclass(slots=True)
class Ingested:
    """What became of requests.

    Args:
        requests: How many were taken.
        stored: How many records, data points and log records were new, or moved one on.
        duplicates: How many the store had already.
        skipped: How many items are none of these, such as spans without an id.
        malformed: How many requests are none, or cannot be stored.
        reasons: Where the first of these are, and why.
    """

    requests: int = 0
    stored: dict[str, int] = field(default_factory=lambda: {"records": 0, "points": 0, "logs": 0})
    duplicates: dict[str, int] = field(default_factory=lambda: {"records": 0, "points": 0, "logs": 0})
    skipped: int = 0
    malformed: int = 0
    reasons: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        kinds = {kind: {"stored": self.stored[kind], "duplicates": self.duplicates[kind]} for kind in self.stored}
        rest = {"skipped": self.skipped, "malformed": self.malformed, "reasons": self.reasons}
        return {"requests": self.requests, **kinds, **rest}


class Ingest:
    """Takes requests into a store, many in one write.

    Args:
        writer: The store.
        read: Returns what a request holds.
        keep_going: Pass over what is malformed; without, it ends the matter.
    """

    def __init__(self, writer: Writer, read: Callable[[Batch], Held], *, keep_going: bool) -> None:
        self.done = Ingested()
        self._writes: dict[str, Callable[[Any], WriteResult]] = {
            "records": writer.write,
            "points": writer.write_points,
            "logs": writer.write_logs,
        }
        self._read = read
        self._keep_going = keep_going
        self._waiting: list[tuple[str, Batch, Held]] = []
        self._items = 0

    def take(self, name: str, entries: Iterable[Entry]) -> bool:
        """Take the requests of one source; return whether to go on with the next.

        Everything before a malformed request is in the store when this returns, and nothing of that request is.

        Args:
            name: What people call the source.
            entries: What it has.

        Raises:
            StoreError: The store cannot be written.
        """
        for entry in entries:
            place = f"{name}: {entry.place}"
            if entry.batch is None:
                going_on = self._refuse(place, f"it is not whole: {entry.error}" if entry.torn else entry.error)
            else:
                going_on = self._add(place, entry.batch)
            if not going_on:
                return False
        return self._write_waiting()

    def _add(self, place: str, batch: Batch) -> bool:
        try:
            held = self._read(batch)
        except MalformedError as error:
            return self._refuse(place, str(error))
        # One signal at a time, so that what is refused has nothing behind it in the store.
        is_full = self._items >= _TOGETHER or (self._waiting and self._waiting[0][1].signal is not batch.signal)
        if is_full and not self._write_waiting():
            return False
        self._waiting.append((place, batch, held))
        self._items += batch.items
        return True

    def _refuse(self, place: str, reason: str) -> bool:
        going_on = self._write_waiting()
        if going_on:
            self._note(place, reason)
        return going_on and self._keep_going

    def _note(self, place: str, reason: str) -> None:
        self.done.malformed += 1
        if len(self.done.reasons) < _TOLD:
            self.done.reasons.append(f"{place}: {reason}")

    def _write_waiting(self) -> bool:
        """Write what waits, together; where that is refused for good, one request after the other."""
        waiting, self._waiting, self._items = self._waiting, [], 0
        written: set[str] = set()
        try:
            self._write(waiting, written)
        except PermanentError:
            for one in waiting:
                try:
                    self._write([one], set(written))
                except PermanentError as error:
                    self._note(one[0], str(error))
                    if not self._keep_going:
                        return False
        return True

    def _write(self, waiting: list[tuple[str, Batch, Held]], written: set[str]) -> None:
        """Write requests; note the kinds that are written, for those that were written before are left out."""
        try:
            for kind, write in self._writes.items():
                plains = [plain for _, _, held in waiting for plain in getattr(held, kind)]
                if plains and kind not in written:
                    result = write(plains)
                    self.done.stored[kind] += result.stored
                    self.done.duplicates[kind] += result.duplicates
                written.add(kind)
        except RetryableError as error:
            raise StoreError(f"{error}; what was taken by then is in the store, and may be taken again") from error
        for _, batch, held in waiting:
            self.done.requests += 1
            self.done.skipped += batch.items - len(held.records) - len(held.points) - len(held.logs)
