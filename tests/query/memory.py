"""A reader over a list of records, by brute force: what every real reader must answer like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_model.components import Occurrence
from provtel_model.dataflow import data_keys
from provtel_model.filters import Query
from provtel_model.record import Record, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainRecord


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
        return [Record(plain) for plain in query.ordered([plain for plain in self._records if query.matches(plain)])]

    def count(self, query: Query) -> int:
        """Return how many records a filter matches."""
        return sum(query.matches(plain) for plain in self._records)

    def children(self, record_id: str) -> Sequence[Record]:
        """Return the records whose parent is another."""
        return [Record(plain) for plain in self._records if plain.get("parent_id") == record_id]

    def linked(self, record_id: str) -> Sequence[Record]:
        """Return the records that link to another."""
        trace, span = record_id.split("-")
        return [
            Record(plain)
            for plain in self._records
            if any(link["trace_id"] == trace and link["span_id"] == span for link in plain.get("links", ()))
        ]

    def generated(self, data_key: str) -> Sequence[Occurrence]:
        """Return who generated a datum."""
        self.lookups.append(data_key)
        return [found for plain in self._records for found in _found(plain, plain.get("generated"), data_key)]

    def used(self, data_key: str) -> Sequence[Occurrence]:
        """Return who used a datum."""
        self.lookups.append(data_key)
        return [found for plain in self._records for found in _found(plain, plain.get("used"), data_key)]

    def close(self) -> None:
        """Release nothing."""


def _found(plain: PlainRecord, values: Mapping[str, AnyValue] | None, data_key: str) -> list[Occurrence]:
    keys = data_keys(plain, values or {})
    return [Occurrence(Record(plain), role) for key, role in sorted(keys) if key == data_key]


def open_empty(location: str) -> MemoryReader:
    """Open an empty store at any location, as an entry point of readers would."""
    assert location
    return MemoryReader([])
