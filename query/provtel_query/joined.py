"""Several stores read as one: activities that never met are joined by the content of what they generated and used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_model.aggregation import aggregate, distinct
from provtel_model.components import Changes, Occurrence
from provtel_model.errors import UnsupportedError
from provtel_model.filters import Query
from provtel_model.merge import merge
from provtel_model.record import Key, Record, ancestors, key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from provtel_model.aggregation import Aggregation
    from provtel_model.anyvalue import AnyValue
    from provtel_model.components import Reader
    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint, Window


class JoinedReader:
    """A `provtel_model.components.Reader` over several others; a record that more than one has is there once, merged.

    Args:
        readers: Whoever opened them closes them.
    """

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers

    def get(self, record_id: str) -> Record | None:
        """Return the record of an id; of several with the same id and different starts the earliest."""
        found = _merged(record for reader in self._readers if (record := reader.get(record_id)))
        return found[0] if found else None

    def find(self, query: Query) -> Sequence[Record]:
        """Return the records that a query selects, in its order, after its cursor, with its fields."""
        whole = Query(query.where, sort=query.sort, limit=query.limit, after=query.after)
        found = _merged(record for reader in self._readers for record in reader.find(whole))
        return [Record(plain) for plain in query.answer(record.plain for record in found)]

    def count(self, query: Query) -> int:
        """Return how many records the query's filter matches."""
        return len(self._all(query))

    def aggregate(self, wanted: Aggregation) -> list[dict[str, AnyValue]]:
        """Return figures over groups of records."""
        return aggregate(self._all(Query(wanted.where)), wanted)

    def distinct(self, name: str, query: Query) -> list[AnyValue]:
        """Return the values of a field."""
        return distinct(self._all(query), name, query)

    def children(self, record_id: str) -> Sequence[Record]:
        """Return the records whose parent is another, oldest first."""
        return _merged(record for reader in self._readers for record in reader.children(record_id))

    def ancestors(self, record_id: str) -> Sequence[Record]:
        """Return the parent of a record, the parent's parent and so on, up to one that no store has."""
        return ancestors(record_id, self.get)

    def linked(self, record_ids: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """Return the records that have a link to each record, oldest first."""
        found = [reader.linked(record_ids) for reader in self._readers]
        return {record_id: _merged(record for one in found for record in one[record_id]) for record_id in record_ids}

    def generated(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who generated each datum, oldest first."""
        return _joined(data_keys, [reader.generated(data_keys) for reader in self._readers])

    def generated_in(
        self, runs: Collection[str], data_keys: Collection[str]
    ) -> tuple[Mapping[str, Sequence[Occurrence]], Collection[str]]:
        """Return who generated each datum, in whatever runs: of which a record is, its merge tells."""
        del runs
        return self.generated(data_keys), ()

    def used(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who used each datum, oldest first."""
        return _joined(data_keys, [reader.used(data_keys) for reader in self._readers])

    def points(self, window: Window) -> Sequence[PlainPoint]:
        """Refuse: what a point was of is known in its own store."""
        raise UnsupportedError(f"several stores are read as one, which has no data points: ask each for {window}")

    def logs(self, window: Window) -> Sequence[PlainLog]:
        """Refuse: what a log record belongs to is known in its own store."""
        raise UnsupportedError(f"several stores are read as one, which has no log records: ask each for {window}")

    def changes(self, after: str | None, *, limit: int = 1000, wait: float = 0) -> Changes:
        """Refuse: several stores have no common order of changes."""
        raise UnsupportedError(f"several stores are read as one, which tells no changes {after!r} {limit} {wait}")

    def close(self) -> None:
        """Leave the readers open: they belong to others."""

    def _all(self, query: Query) -> list[PlainRecord]:
        whole = Query(query.where)
        found = _merged(record for reader in self._readers for record in reader.find(whole))
        return [record.plain for record in found if query.matches(record.plain)]


def _merged(records: Iterable[Record]) -> list[Record]:
    """Return each record once, the oldest first."""
    found: dict[Key, Record] = {}
    for record in records:
        key = key_of(record.plain)
        known = found.get(key)
        found[key] = record if known is None or merge(known.plain, record.plain) is not known.plain else known
    return sorted(found.values(), key=lambda record: (record.plain["started_at"], record.id))


def _joined(
    data_keys: Collection[str], answers: Sequence[Mapping[str, Sequence[Occurrence]]]
) -> dict[str, list[Occurrence]]:
    return {key: _once([occurrence for answer in answers for occurrence in answer[key]]) for key in data_keys}


def _once(occurrences: Sequence[Occurrence]) -> list[Occurrence]:
    records = {key_of(record.plain): record for record in _merged(occurrence.record for occurrence in occurrences)}
    found = {(key_of(occurrence.record.plain), occurrence.role) for occurrence in occurrences}
    ordered = sorted(found, key=lambda place: (place[0].started_at, place[0].id, place[1]))
    return [Occurrence(records[key], role) for key, role in ordered]
