"""A store page by page, so that no more of it than a page is in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from provtel_model.filters import Query
from provtel_model.record import PlainRecord, Record
from provtel_model.telemetry import PlainLog, PlainPoint, Window, observation_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provtel_model.components import Reader

PAGE: Final = 500
OLDEST_FIRST: Final = (("started_at", 1),)

Observation: TypeAlias = PlainPoint | PlainLog
Ask: TypeAlias = Callable[[Window], Sequence[Observation]]


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, and the place behind them."""

    records: list[PlainRecord]
    cursor: str
    start: int


def record_pages(
    reader: Reader, where: Mapping[str, Any], after: str | None = None, start: int | None = None
) -> Iterator[Page]:
    """Yield the records that a filter selects, the oldest first.

    Args:
        reader: Has them.
        where: The filter.
        after: The cursor to go on behind.
        start: The start of the record there.
    """
    while True:
        # The bound says again what the cursor says, for stores that find their way by filters.
        bounded = where if start is None else {"$and": [where, {"started_at": {"$gte": start}}]}
        query = Query(bounded, sort=OLDEST_FIRST, limit=PAGE, after=after)
        records = [record.plain for record in reader.find(query)]
        if not records:
            return
        after, start = query.cursor(records[-1]), records[-1]["started_at"]
        yield Page(records, after, start)
        if len(records) < PAGE:
            return


def records_that(reader: Reader, where: Mapping[str, Any]) -> Iterator[Record]:
    """Yield the records that a filter selects, the oldest first, with no more of them in memory than a page."""
    return (Record(plain) for page in record_pages(reader, where) for plain in page.records)


def observation_pages(ask: Ask, window: Window) -> Iterator[list[Observation]]:
    """Yield what a window holds, the oldest first.

    Args:
        ask: Returns the data points or log records of a window.
        window: What is wanted.
    """
    since, limit, seen = window.since, PAGE, set[str]()
    while True:
        found = ask(replace(window, since=since, limit=limit))
        if len(found) == limit and found[0]["time"] == found[-1]["time"] and since == found[-1]["time"]:
            limit *= 2  # more of one moment than a page holds
            continue
        fresh = [one for one in found if one["time"] != since or observation_id(one) not in seen]
        if fresh:
            yield fresh
        if len(found) < limit:
            return
        since, limit = found[-1]["time"], PAGE
        seen = {observation_id(one) for one in found if one["time"] == since}


@dataclass(slots=True)
class Processes:
    """When the processes of some records ran them: of which data points and log records are the records' too.

    Args:
        spans: First and last moment by host and process; a last moment of ``None`` is the end.
    """

    spans: dict[tuple[str | None, int | None], tuple[int, int | None]] = field(default_factory=dict)

    def add(self, plain: PlainRecord) -> None:
        """Take in a record."""
        window = Window.of(plain)
        first, last = self.spans.get((window.host, window.pid), (window.since or 0, 0))
        ends = (last, window.until)
        until = None if None in ends else max(end for end in ends if end is not None)
        self.spans[window.host, window.pid] = min(first, window.since or 0), until

    def windows(self) -> list[Window]:
        """Return a window for each process."""
        return [Window(since, until, host=host, pid=pid) for (host, pid), (since, until) in self.spans.items()]

    def to_plain(self) -> list[list[Any]]:
        """Return it for JSON."""
        return [[*process, *span] for process, span in self.spans.items()]

    @classmethod
    def from_plain(cls, plain: list[list[Any]]) -> Processes:
        """Return what `to_plain` gave."""
        return cls({(host, pid): (since, until) for host, pid, since, until in plain})
