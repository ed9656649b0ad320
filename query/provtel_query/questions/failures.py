"""What failed, and what has not ended."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from provtel_model.hashing import content_hash

from provtel_query.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.record import Record

    from provtel_query.store import Store


class Failure(NamedTuple):
    """A task that failed.

    Args:
        record: The task: its inputs, its error, its host.
        producers: The activities that generated its inputs.
        attempts: All tasks of its run of the same name with the same inputs, itself included, the oldest first.
    """

    record: Record
    producers: list[Record]
    attempts: list[Record]


def failures(store: Store, where: Mapping[str, Any] | None = None, *, limit: int = 50) -> list[Failure]:
    """Return the tasks that failed, newest first, each with where its inputs came from and the other attempts at it.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
    """
    failed = store.tasks({"$and": [{"status": "error"}, where or {}]}, all_runs=True, limit=limit)
    flow = Flow(store.reader)
    flow.prepare_origins(failed)
    attempts = _Attempts(store)
    return [Failure(record, _producers(flow, record), attempts.at(record)) for record in failed]


def unfinished(store: Store, where: Mapping[str, Any] | None = None) -> list[Record]:
    """Return the activities that have not ended, or whose process was lost, the one longest without a sign first.

    Their `last_seen_at` is the last sign of life, where there was any after the start.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
    """
    found = store.records({"$and": [{"status": {"$in": ["submitted", "running", "lost"]}}, where or {}]})
    return sorted(found, key=lambda record: (record.last_seen_at or record.started_at, record.id))


def _producers(flow: Flow, record: Record) -> list[Record]:
    origins = (origin for role in record.plain.get("used", {}) for origin in flow.origins(record, role))
    return list({origin.record.id: origin.record for origin in origins}.values())


class _Attempts:
    """The tasks of a run by name and inputs; those of one name are read once, however many of them failed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, str, str], dict[str, list[Record]]] = {}

    def at(self, record: Record) -> list[Record]:
        """Return the tasks like one, itself included, the oldest first."""
        place = (record.run, record.name, record.kind)
        if place not in self._known:
            by_inputs = self._known[place] = defaultdict(list)
            for other in self._store.records(dict(zip(("run", "name", "kind"), place, strict=True)), sort="started_at"):
                by_inputs[_inputs(other)].append(other)
        return self._known[place][_inputs(record)]


def _inputs(record: Record) -> str:
    return content_hash(record.plain.get("used", {}))
