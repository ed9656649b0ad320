"""`capture`: collects records in memory, for tests of code that is captured.

Ids and times are the same in every run, so that a test may compare whole records.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from ormsgpack import unpackb
from provtel_model.journal.records import DefinitionFacts, Ended, Started, open_record_of, record_of
from provtel_model.record import Record, State

from provtel import ids, recording
from provtel.otel_context import attach, detach
from provtel.recorder import Recorder
from provtel.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.record import PlainRecord

    from provtel.activity import Activity

_FIRST: Final = 946_684_800_000_000_000
"""Midnight of 2000-01-01, UTC."""
_TICK: Final = 1_000_000


class Captured(Recorder):
    """What was recorded in a block of ``with capture()``."""

    def __init__(self) -> None:
        """Begin with nothing; the settings are the defaults whatever the environment says, and hashes take any time."""
        super().__init__(Settings(hashing_share=1.0, join=False))
        self.start = self._take_start  # type: ignore[assignment]  # every activity that starts is one of ours
        self.end = self._take_end  # type: ignore[assignment]  # as above
        self._lock = threading.RLock()
        self._seen: dict[int, _Seen] = {}
        self._ticks = 0

    @property
    def records(self) -> list[Record]:
        """The records in the order of their start; what has not ended is ``running``.

        The first start is at midnight of 2000-01-01, each further start or end a millisecond later. What differs from
        run to run is left out: process, host, CPU time.
        """
        with self._lock:
            return [Record(seen.plain(self._now())) for seen in self._seen.values()]

    def named(self, name: str) -> list[Record]:
        """Return the records of a name, in the order of their start."""
        return [record for record in self.records if record.name == name]

    def _take_start(self, activity: Activity) -> None:
        with self._lock:
            if activity.span_id not in self._seen:  # a start is written again when more is known
                self._seen[activity.span_id] = _Seen(activity, self._tick())

    def _take_end(self, activity: Activity, payload: bytes) -> None:
        with self._lock:
            seen = self._seen.get(activity.span_id)
            if seen is not None:
                seen.end, seen.ended_at = payload, self._tick()

    def _tick(self) -> int:
        self._ticks += 1
        return self._now()

    def _now(self) -> int:
        return _FIRST + (self._ticks - 1) * _TICK


class _Seen:
    """One activity, and when its start and its end came."""

    def __init__(self, activity: Activity, started_at: int) -> None:
        self._activity = activity
        self._started_at = started_at
        self.end: bytes | None = None
        self.ended_at = started_at

    def plain(self, now: int) -> PlainRecord:
        """Return the record as it would come out of a journal, with the times of the test's clock."""
        start = self._start()
        if self.end is None:
            return open_record_of(start, {}, State.RUNNING, now)
        _kind, *items = unpackb(self.end)
        if not self._activity.is_past:
            self._set_clock(start.items, items)
        return record_of(Ended(start, items, {}))

    def _start(self) -> Started:
        definition, run = self._activity.definition, self._activity.run
        _kind, number, used, generated, facts = unpackb(definition.payload())
        _kind, *items = unpackb(self._activity.start_payload)
        if self.end is None:
            items[_STARTED_AT] = self._started_at
        return Started(DefinitionFacts(number, used, generated, facts), run.facts, items)

    def _set_clock(self, start: list[Any], end: list[Any]) -> None:
        began, ended = start[_STARTED_AT], end[_ENDED_AT]
        start[_STARTED_AT], end[_ENDED_AT] = self._started_at, self.ended_at
        end[_CPU] = [None, None]
        for event in end[-1].get("events", ()) if type(end[-1]) is dict else ():
            # A time that the user gave is kept.
            if began <= event["time"] <= ended:
                event["time"] = self._started_at


_STARTED_AT: Final = 5
_ENDED_AT: Final = 1
_CPU: Final = slice(4, 6)


@contextlib.contextmanager
def capture() -> Iterator[Captured]:
    """Collect what is recorded in a ``with`` block, in all threads, instead of writing it to a journal.

    It begins outside of any activity, and records also where ``PROVTEL_DISABLED`` is set. Other processes that start
    inside record as they always do. As a fixture of pytest::

        @pytest.fixture
        def captured():
            with capture() as captured:
                yield captured
    """
    captured = Captured()
    token = attach(Context())
    before = recording.replace(captured)
    try:
        with ids.repeated():
            yield captured
    finally:
        recording.replace(before)
        detach(token)
