"""The reading side of a store on a network file system: answers come from an index that follows the segments."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final, TypeVar

from provtel_model.components import Changes
from provtel_model.errors import FilterError, StoreError

from provtel_exporters.lmdb.network.folder import SegmentFolder
from provtel_exporters.lmdb.network.index import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from provtel_model.aggregation import Aggregation
    from provtel_model.anyvalue import AnyValue
    from provtel_model.components import Occurrence
    from provtel_model.filters import Query
    from provtel_model.record import Record
    from provtel_model.telemetry import PlainLog, PlainPoint, Window

    from provtel_exporters.lmdb.reader import LmdbReader

T = TypeVar("T")

_LOOK_SECONDS: Final = 0.5
_CURSOR: Final = re.compile(r"([0-9a-f]{1,64})\.([0-9a-f]+-[0-9]{1,14})")


class SegmentReader:
    """A `provtel_model.components.Reader` over sealed segments.

    Before each answer what was sealed meanwhile is taken into the index.

    Args:
        store: The store folder.

    Raises:
        StoreError: There are no segments that this user can read, or there is no place for an index.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._index: Index | None = Index(SegmentFolder(store))

    def get(self, record_id: str) -> Record | None:
        """Return the record of an id; of several with the same id and different starts the earliest."""
        return self._ask(lambda reader: reader.get(record_id))

    def find(self, query: Query) -> Sequence[Record]:
        """Return the records that a query selects, in its order."""
        return self._ask(lambda reader: reader.find(query))

    def count(self, query: Query) -> int:
        """Return how many records the query's filter matches."""
        return self._ask(lambda reader: reader.count(query))

    def aggregate(self, wanted: Aggregation) -> list[dict[str, AnyValue]]:
        """Return figures over groups of records."""
        return self._ask(lambda reader: reader.aggregate(wanted))

    def distinct(self, name: str, query: Query) -> list[AnyValue]:
        """Return the values of a field."""
        return self._ask(lambda reader: reader.distinct(name, query))

    def children(self, record_id: str) -> Sequence[Record]:
        """Return the records whose parent is `record_id`, oldest first."""
        return self._ask(lambda reader: reader.children(record_id))

    def ancestors(self, record_id: str) -> Sequence[Record]:
        """Return the parent of a record, the parent's parent and so on."""
        return self._ask(lambda reader: reader.ancestors(record_id))

    def linked(self, record_ids: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """Return the records that have a link to each record, oldest first."""
        return self._ask(lambda reader: reader.linked(record_ids))

    def generated(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who generated each datum, oldest first."""
        return self._ask(lambda reader: reader.generated(data_keys))

    def generated_in(
        self, runs: Collection[str], data_keys: Collection[str]
    ) -> tuple[Mapping[str, Sequence[Occurrence]], Collection[str]]:
        """Return who generated each datum; of one that many did, those of some runs, without reading the others."""
        return self._ask(lambda reader: reader.generated_in(runs, data_keys))

    def used(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who used each datum, oldest first."""
        return self._ask(lambda reader: reader.used(data_keys))

    def points(self, window: Window) -> Sequence[PlainPoint]:
        """Return the data points of a window, oldest first."""
        return self._ask(lambda reader: reader.points(window))

    def logs(self, window: Window) -> Sequence[PlainLog]:
        """Return the log records of a window, oldest first."""
        return self._ask(lambda reader: reader.logs(window))

    def changes(self, after: str | None, *, limit: int = 1000, wait: float = 0) -> Changes:
        """Return what came into the store after a cursor.

        A cursor of another index of the same segments (of another machine, or of one that was made anew) is one of the
        beginning: records come again, and none is left out.
        """
        end = time.monotonic() + wait
        while True:
            found = self._ask(lambda reader: self._changes(reader, after, limit))
            left = end - time.monotonic()
            if found.records or after is None or left <= 0:
                return found
            time.sleep(min(left, _LOOK_SECONDS))

    def close(self) -> None:
        """Release the index; safe to call twice."""
        index, self._index = self._index, None
        if index is not None:
            index.close()

    def _changes(self, reader: LmdbReader, after: str | None, limit: int) -> Changes:
        identity = self._opened().identity
        match = _CURSOR.fullmatch(after or "")
        if after and (match is None or match[1] != identity):
            raise FilterError(f"{after!r} is no cursor of this store; give what the answer before named as its end")
        place = match[2] if match else after
        try:
            found = reader.changes(place, limit=limit)
        except FilterError:
            found = reader.changes("", limit=limit)
        return Changes(found.records, f"{identity}.{found.cursor}")

    def _ask(self, question: Callable[[LmdbReader], T]) -> T:
        while True:
            reader = self._opened().reader()
            try:
                return question(reader)
            except StoreError:
                if reader is self._opened().reader():
                    raise

    def _opened(self) -> Index:
        if self._index is None:
            raise StoreError(f"the store {self._store} was closed")
        return self._index
