"""The same code with the same inputs, more than once: what was computed again, and what came out differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from provtel_model.dataflow import is_known_whole
from provtel_model.hashing import content_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.record import Record

    from provtel_query.store import Store


class Repeats(NamedTuple):
    """Tasks that ran the same code with the same inputs.

    Args:
        records: The tasks, the oldest first.
        seconds: How long all but the first took.
        results: How many different results they had.
    """

    records: list[Record]
    seconds: float
    results: int


def recomputed(store: Store, where: Mapping[str, Any] | None = None) -> list[Repeats]:
    """Return what was computed more than once, the most wasteful first: what a cache would have spared.

    Tasks count whose code has a known hash and whose inputs are known whole: a fingerprint is no evidence of equality.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
    """
    finished = {"$and": [{"kind": "task", "status": "finished", "plan.hash": {"$exists": True}}, where or {}]}
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in store.records(finished, sort="started_at"):
        used = record.plain.get("used", {})
        if all(map(is_known_whole, used.values())):
            groups.setdefault((record.plain["plan"]["hash"], content_hash(used)), []).append(record)
    found = [_repeats(records) for records in groups.values() if len(records) > 1]
    return sorted(found, key=lambda repeats: -repeats.seconds)


def unstable(store: Store, where: Mapping[str, Any] | None = None) -> list[Repeats]:
    """Return what gave different results with the same code and the same inputs.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
    """
    return [repeats for repeats in recomputed(store, where) if repeats.results > 1]


def _repeats(records: list[Record]) -> Repeats:
    wasted = sum(record.plain.get("ended_at", 0) - record.plain["started_at"] for record in records[1:])
    results = {content_hash(record.plain.get("generated", {})) for record in records}
    return Repeats(records, wasted / 1e9, len(results))
