"""What failed, and what has not ended."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from provtel_model.dataflow import is_known_whole, name_key
from provtel_model.hashing import canonical_bytes, content_hash

from provtel_query.flow import Flow
from provtel_query.lookups import steadily

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

    def found() -> list[Failure]:
        failed = store.tasks({"$and": [{"status": "error"}, where or {}]}, all_runs=True, limit=limit)
        flow = Flow(store.reader)
        flow.prepare_origins(failed)
        attempts = _Attempts(store, failed)
        return [Failure(record, _producers(flow, record), attempts.at(record)) for record in failed]

    return steadily(store.reader, found)


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
    """The tasks like others: of one run, name and inputs.

    They are looked up by the largest of their inputs, which few tasks are expected to share. Where none can be looked
    up, the tasks of the name are read, once, however many of them failed.
    """

    def __init__(self, store: Store, records: Sequence[Record]) -> None:
        self._store = store
        self._keys = {record.id: key for record in records if (key := _key(record)) is not None}
        self._found = store.reader.used({*self._keys.values()})
        self._known: dict[tuple[str, str, str], dict[str, list[Record]]] = {}

    def at(self, record: Record) -> list[Record]:
        """Return the tasks like one, itself included, the oldest first."""
        key, inputs = self._keys.get(record.id), _inputs(record)
        if key is None:
            return self._by_inputs(_place(record))[inputs]
        others = (occurrence.record for occurrence in self._found[key])
        return [other for other in others if _place(other) == _place(record) and _inputs(other) == inputs]

    def _by_inputs(self, place: tuple[str, str, str]) -> dict[str, list[Record]]:
        if place not in self._known:
            by_inputs = self._known[place] = defaultdict(list)
            for other in self._store.records(dict(zip(("run", "name", "kind"), place, strict=True)), sort="started_at"):
                by_inputs[_inputs(other)].append(other)
        return self._known[place]


def _place(record: Record) -> tuple[str, str, str]:
    return record.run, record.name, record.kind


def _key(record: Record) -> str | None:
    """Return the key of the largest input that has one."""
    whole = [(role, value) for role, value in record.plain.get("used", {}).items() if is_known_whole(value)]
    role, value = max(whole, key=lambda one: len(canonical_bytes(one[1])), default=("", None))
    return name_key(record.run, role, value) if whole else None


def _inputs(record: Record) -> str:
    return content_hash(record.plain.get("used", {}))
