"""What failed, and what has not ended."""

from __future__ import annotations

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
    return [Failure(record, _producers(flow, record), _attempts(store, record)) for record in failed]


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


def _attempts(store: Store, record: Record) -> list[Record]:
    same = {"run": record.run, "name": record.name, "kind": record.kind}
    inputs = content_hash(record.plain.get("used", {}))
    found = store.records(same, sort="started_at")
    return [other for other in found if content_hash(other.plain.get("used", {})) == inputs]
