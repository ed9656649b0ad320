"""A reader over a list of records, by brute force: what every real reader must answer like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from provtel_model.aggregation import aggregate, distinct
from provtel_model.components import Changes, Occurrence
from provtel_model.dataflow import data_keys
from provtel_model.filters import Query
from provtel_model.record import Record, key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from provtel_model.aggregation import Aggregation
    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint, Window


class MemoryReader:
    """Implements `provtel_model.components.Reader` without an index."""

    def __init__(self, records: Iterable[PlainRecord]) -> None:
        """Keep the records, oldest first."""
        self._records = sorted(records, key=lambda plain: (plain["started_at"], key_of(plain)))
        self.lookups: list[str] = []

    def get(self, record_id: str) -> Record | None:
        """Return the record of an id."""
        self.lookups.append(record_id)
        return next((Record(plain) for plain in self._records if key_of(plain).id == record_id), None)

    def find(self, query: Query) -> Sequence[Record]:
        """Return the records that a query selects."""
        return [Record(plain) for plain in query.answer(self._records)]

    def count(self, query: Query) -> int:
        """Return how many records a filter matches."""
        return sum(query.matches(plain) for plain in self._records)

    def children(self, record_id: str) -> Sequence[Record]:
        """Return the records whose parent is another."""
        return [Record(plain) for plain in self._records if plain.get("parent_id") == record_id]

    def linked(self, record_ids: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """Return the records that link to others."""
        return {record_id: self._linked(*record_id.split("-")) for record_id in record_ids}

    def _linked(self, trace: str, span: str) -> Sequence[Record]:
        return [
            Record(plain)
            for plain in self._records
            if any(link["trace_id"] == trace and link["span_id"] == span for link in plain.get("links", ()))
        ]

    def ancestors(self, record_id: str) -> Sequence[Record]:
        """Return the parent of a record, the parent's parent and so on."""
        found: dict[str, Record] = {}
        record = self.get(record_id)
        while record and record.parent_id and record.parent_id not in {record_id, *found}:
            record = self.get(record.parent_id)
            if record:
                found[record.id] = record
        return list(found.values())

    def aggregate(self, wanted: Aggregation) -> list[dict[str, AnyValue]]:
        """Return figures over groups of records."""
        return aggregate(self._records, wanted)

    def distinct(self, name: str, query: Query) -> list[AnyValue]:
        """Return the values of a field."""
        return distinct(self._records, name, query)

    def generated(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who generated each datum."""
        return {key: self._occurrences(key, "generated") for key in data_keys}

    def generated_in(
        self, runs: Collection[str], data_keys: Collection[str]
    ) -> tuple[Mapping[str, Sequence[Occurrence]], Collection[str]]:
        """Return who generated each datum in some runs, and the keys of what was generated in others too."""
        every = self.generated(data_keys)
        found = {key: [one for one in known if one.record.run in runs] for key, known in every.items()}
        return found, {key for key in every if len(found[key]) < len(every[key])}

    def used(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who used each datum."""
        return {key: self._occurrences(key, "used") for key in data_keys}

    def points(self, window: Window) -> Sequence[PlainPoint]:
        """Return that there are none."""
        del window
        return []

    def logs(self, window: Window) -> Sequence[PlainLog]:
        """Return that there are none."""
        del window
        return []

    def changes(self, after: str | None, *, limit: int = 1000, wait: float = 0) -> Changes:
        """Return the records after a number of them; nothing ever comes."""
        assert wait >= 0
        start = len(self._records) if after is None else int(after or "0")
        found = self._records[start : start + limit]
        return Changes([Record(plain) for plain in found], str(start + len(found)))

    def _occurrences(self, key: str, field: Literal["used", "generated"]) -> list[Occurrence]:
        self.lookups.append(key)
        return [found for plain in self._records for found in _found(plain, plain.get(field), key)]

    def close(self) -> None:
        """Release nothing."""


def _found(plain: PlainRecord, values: Mapping[str, AnyValue] | None, data_key: str) -> list[Occurrence]:
    keys = data_keys(plain, values or {})
    return [Occurrence(Record(plain), role) for key, role in sorted(keys) if key == data_key]


def open_empty(location: str) -> MemoryReader:
    """Open an empty store at any location, as an entry point of readers would."""
    assert location
    return MemoryReader([])
