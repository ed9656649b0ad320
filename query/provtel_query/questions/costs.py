"""What took how much: hot spots, the way through a run that decided how long it took, the best of a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from provtel_model.errors import UserError

from provtel_query.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provtel_model.record import Record

    from provtel_query.store import Store

_TASK = {"kind": "task"}


class Schedule(NamedTuple):
    """Why a run took as long as it did.

    Args:
        path: The tasks that each waited for the one before, up to the one that ended last.
        slack: By record id, how many seconds later each task could have ended without the run ending later.
    """

    path: list[Record]
    slack: dict[str, float]


def hot_spots(
    store: Store,
    cost: str = "telemetry.cpu.user",
    *,
    by: Sequence[str] | str = "name",
    where: Mapping[str, Any] | None = None,
    limit: int = 10,
) -> list[dict[str, Any]]:
    """Return the groups of tasks that cost most, each with ``total``, ``most`` of one task, and ``tasks``.

    Args:
        store: The store.
        cost: A field of numbers: ``duration``, ``telemetry.memory.rss.peak``, ``telemetry.gpu.energy`` …
        by: What makes the groups: ``name``, ``host``, ``campaign_id`` …
        where: Only tasks that match.
        limit: At most so many groups.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
    """
    costly = {"$and": [_TASK, {cost: {"$exists": True}}, where or {}]}
    figures = {"total": f"sum({cost})", "most": f"max({cost})", "tasks": "count"}
    return store.aggregate(figures, costly, by=by, sort="-total", limit=limit)


def imbalance(store: Store, run: str, *, by: str = "host") -> float:
    """Return how much longer the busiest host, or rank, of a run was busy than they were on average; 1 is even.

    Raises:
        UserError: There is no such run, or nothing of it has ended.
    """
    tasks = [record for record in store.tasks(run=run, limit=None) if record.duration]
    busy = store.aggregate(
        {"busy": "sum(duration)"}, {"$and": [_TASK, {"run": tasks[0].run, by: {"$ne": None}}]} if tasks else {}, by=by
    )
    total = sum(row["busy"] for row in busy) if tasks else 0
    if not total:
        raise UserError(f"no task of the run {run!r} has ended and says its {by}")
    return float(max(row["busy"] for row in busy) * len(busy) / total)


def schedule(store: Store, run: str) -> Schedule:
    """Return the critical path of a run, and the slack of its tasks, by the data that went from task to task.

    Raises:
        UserError: There is no such run.
    """
    found = store.tasks(run=run, sort="started_at", limit=None)
    tasks = {record.id: record for record in found if "ended_at" in record.plain}
    before = _before(store, tasks)
    return Schedule(_critical(tasks, before), _slack(tasks, before))


def ranking(
    store: Store,
    metric: str,
    by: Sequence[str] | str,
    *,
    where: Mapping[str, Any] | None = None,
    lowest: bool = False,
) -> list[dict[str, Any]]:
    """Return configurations by their best value of a metric, the best first, each with ``best``, ``mean``, ``tasks``.

    Args:
        store: The store.
        metric: A field of numbers, such as ``generated.accuracy``.
        by: What makes a configuration: ``used.rate,used.depth``.
        where: Only tasks that match.
        lowest: The lowest value is the best.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
    """
    figures = {"best": f"{'min' if lowest else 'max'}({metric})", "mean": f"avg({metric})", "tasks": "count"}
    measured = {"$and": [_TASK, {metric: {"$exists": True}}, where or {}]}
    return store.aggregate(figures, measured, by=by, sort="best" if lowest else "-best")


def _before(store: Store, tasks: Mapping[str, Record]) -> dict[str, list[str]]:
    """Return by id which tasks of a run each had to wait for."""
    flow = Flow(store.reader)
    flow.prepare_origins(tasks.values())
    return {
        record.id: sorted(
            {
                origin.record.id
                for role in record.plain.get("used", {})
                for origin in flow.origins(record, role)
                if origin.record.id in tasks and _start(origin.record) < _start(record)
            }
        )
        for record in tasks.values()
    }


def _critical(tasks: Mapping[str, Record], before: Mapping[str, Sequence[str]]) -> list[Record]:
    if not tasks:
        return []
    path = [max(tasks.values(), key=_end)]
    while before[path[-1].id]:
        path.append(max((tasks[identity] for identity in before[path[-1].id]), key=_end))
    return path[::-1]


def _slack(tasks: Mapping[str, Record], before: Mapping[str, Sequence[str]]) -> dict[str, float]:
    end = max(map(_end, tasks.values()), default=(0, ""))[0]
    latest = dict.fromkeys(tasks, end)
    for record in sorted(tasks.values(), key=_start, reverse=True):
        begin = latest[record.id] - (record.plain["ended_at"] - record.plain["started_at"])
        for identity in before[record.id]:
            latest[identity] = min(latest[identity], begin)
    return {identity: (latest[identity] - record.plain["ended_at"]) / 1e9 for identity, record in tasks.items()}


def _start(record: Record) -> tuple[int, str]:
    return record.plain["started_at"], record.id


def _end(record: Record) -> tuple[int, str]:
    return record.plain["ended_at"], record.id
