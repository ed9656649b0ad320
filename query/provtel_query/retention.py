"""Let a store forget: runs that are named, and runs and telemetry that are old.

What was said of an activity afterwards belongs to its run and goes with it; what was said of data alone stays, as the
same content may occur elsewhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from provtel_model.aggregation import Aggregation, Figure
from provtel_model.errors import DeliveryError, StoreError
from provtel_model.filters import Query
from provtel_model.record import State

from provtel_query.annotations import KIND as ANNOTATION
from provtel_query.stores import open_writer, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from provtel_model.components import Reader

_AT_ONCE: Final = 100
_TIMES: Final = ("started_at", "ended_at", "last_seen_at")
_UNDERWAY: Final = [State.SUBMITTED.value, State.RUNNING.value]


@dataclass(frozen=True, slots=True)
class Expired:
    """The runs that are older than a moment.

    Args:
        runs: Those that may go, each with how many records it has.
        spared: Runs that stay because their campaign is to stay.
        underway: Runs that stay because an activity of theirs has not ended as far as is known.
    """

    runs: dict[str, int]
    spared: list[str]
    underway: list[str]

    @property
    def records(self) -> int:
        """How many records the runs that may go have together."""
        return sum(self.runs.values())


def expired(reader: Reader, before: int, except_campaigns: Collection[str] = ()) -> Expired:
    """Return the runs in which nothing began, ended, was seen or was said at a moment or after it.

    Args:
        reader: Reads the store.
        before: The moment, in nanoseconds.
        except_campaigns: Campaigns whose runs stay.
    """
    counts: Counter[str] = Counter()
    last: dict[str, int] = defaultdict(int)
    activities: set[str] = set()
    figures = {"records": Figure("count"), **{name: Figure("max", name) for name in _TIMES}}
    for group in reader.aggregate(Aggregation(by=("run", "kind"), figures=figures)):
        run = str(group["run"])
        counts[run] += _number(group["records"])
        last[run] = max(last[run], *(_number(group[name]) for name in _TIMES))
        if group["kind"] != ANNOTATION:
            activities.add(run)
    old = [run for run in counts if run in activities and last[run] < before]
    spared = _runs_with(reader, {"campaign_id": {"$in": list(except_campaigns)}}) if except_campaigns else set()
    underway = _runs_with(reader, {"status": {"$in": _UNDERWAY}}) - spared
    return Expired(
        {run: counts[run] for run in old if run not in spared and run not in underway},
        [run for run in old if run in spared],
        [run for run in old if run in underway],
    )


def delete_runs(location: str, runs: Sequence[str]) -> int:
    """Remove runs from a store, and what was said of their activities; return how many records that were.

    Args:
        location: The store.
        runs: The runs, as `provtel_model.record.run_of` names them.

    Raises:
        StoreError: The store cannot be written; the text says what is gone already, all else is as it was.
        UnsupportedError: Nothing can be removed from a store of this kind.
    """
    removed = 0
    with closing(open_writer(location)) as writer:
        for at in range(0, len(runs), _AT_ONCE):
            removed += _told(location, removed, partial(writer.delete, runs[at : at + _AT_ONCE]))
    return removed


def delete_telemetry(location: str, before: int) -> int:
    """Remove data points and log records from before a moment, in nanoseconds, from a store; return how many.

    Raises:
        StoreError: The store cannot be written; it is as it was.
        UnsupportedError: Nothing can be removed from a store of this kind.
    """
    with closing(open_writer(location)) as writer:
        return _told(location, 0, partial(writer.delete_telemetry, before))


def _told(location: str, removed: int, work: Callable[[], int]) -> int:
    """Return how many a piece of work removed; where it cannot, say so to a person."""
    try:
        return work()
    except DeliveryError as error:
        done = f"{removed} records were removed before that" if removed else "nothing was removed"
        raise StoreError(f"{shown(location)}: {error}; {done}") from error


def _runs_with(reader: Reader, where: dict[str, Any]) -> set[str]:
    return {str(run) for run in reader.distinct("run", Query(where))}


def _number(value: object) -> int:
    """Return a figure as a number, 0 where there is none; what is neither fails, so that nothing goes by mistake."""
    return 0 if value is None else int(cast("int", value))
