"""The reading side: answers from the indexes, and checks every answer against the record itself."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from provtel_model.aggregation import counted_groups
from provtel_model.components import Changes, Occurrence
from provtel_model.dataflow import data_keys
from provtel_model.errors import FilterError, StoreError
from provtel_model.fields import check_field
from provtel_model.record import Record, ancestors
from provtel_model.record import record_id as record_id_of

from provtel_exporters.lmdb.environment import Environment
from provtel_exporters.lmdb.index.keys import GENERATED, LINK, PARENT, USED, data_key, reference_key
from provtel_exporters.lmdb.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from provtel_model.aggregation import Aggregation
    from provtel_model.anyvalue import AnyValue
    from provtel_model.filters import Query
    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint, Window

T = TypeVar("T")

_LOOK_SECONDS: Final = 0.1
_CURSOR: Final = re.compile(r"([0-9a-f]+)-([0-9]{1,14})")


class LmdbReader:
    """A `provtel_model.components.Reader` over LMDB.

    The records that it returns share what is equal in them: they are not to be changed.

    Args:
        folder: Holds the LMDB files.

    Raises:
        StoreError: There is no store that this user can read, or its format is newer.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment: Environment | None = Environment.acquire(folder, writable=False)
        self._held = threading.local()

    def get(self, record_id: str) -> Record | None:
        """Return the record of an id; of several with the same id and different starts the earliest."""
        found = self._read(lambda snapshot: snapshot.with_ids([record_id]))
        return Record(found[record_id]) if found else None

    def find(self, query: Query) -> Sequence[Record]:
        """Return the records that a query selects, in its order."""
        return [Record(plain) for plain in self._read(lambda snapshot: snapshot.find(query))]

    def count(self, query: Query) -> int:
        """Return how many records the query's filter matches; its sort and limit are ignored."""
        return self._read(lambda snapshot: snapshot.count(query))

    def children(self, record_id: str) -> Sequence[Record]:
        """Return the records whose parent is `record_id`, oldest first."""
        (found,) = self._read(lambda snapshot: snapshot.led_to([reference_key(PARENT, record_id)], "record", Record))
        return [record for record in sorted(found, key=_age) if record.parent_id == record_id]

    def aggregate(self, wanted: Aggregation) -> list[dict[str, AnyValue]]:
        """Return figures over groups of records, by columns where these can tell."""
        if all(figure == ("count", None) for figure in wanted.figures.values()):
            counted = self._read(lambda snapshot: snapshot.counts(wanted.query, wanted.by))
            if counted is not None:
                return counted_groups(counted.items(), wanted)
        return self._read(lambda snapshot: snapshot.aggregate(wanted))

    def distinct(self, name: str, query: Query) -> list[AnyValue]:
        """Return the values of a field, by columns where these can tell."""
        check_field(name)
        return self._read(lambda snapshot: snapshot.distinct(name, query))

    def ancestors(self, record_id: str) -> Sequence[Record]:
        """Return the parent of a record, the parent's parent and so on."""
        return ancestors(record_id, self.get)

    def linked(self, record_ids: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """Return the records that have a link to each record, oldest first."""
        wanted = [*record_ids]
        keys = [reference_key(LINK, record_id) for record_id in wanted]
        found = self._read(lambda snapshot: snapshot.led_to(keys, "record", Record))
        return {
            record_id: [record for record in sorted(records, key=_age) if record_id in _linked(record.plain)]
            for record_id, records in zip(wanted, found, strict=True)
        }

    def generated(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who generated each datum, by keys of `provtel_model.dataflow`, oldest first."""
        return self._occurrences(GENERATED, data_keys, _generated)

    def generated_in(
        self, runs: Collection[str], data_keys: Collection[str]
    ) -> tuple[Mapping[str, Sequence[Occurrence]], Collection[str]]:
        """Return who generated each datum; of one that many did, those of some runs, without reading the others."""
        wanted = [*data_keys]
        numbers = [data_key(GENERATED, key) for key in wanted]
        found, many = self._read(lambda snapshot: snapshot.led_to_in(runs, numbers, GENERATED, _generated))
        return _occurrences(wanted, found), {wanted[number] for number in many}

    def used(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who used each datum, by keys of `provtel_model.dataflow`, oldest first."""
        return self._occurrences(USED, data_keys, _used)

    def points(self, window: Window) -> Sequence[PlainPoint]:
        """Return the data points of a window, oldest first."""
        return self._read(lambda snapshot: snapshot.points(window))

    def logs(self, window: Window) -> Sequence[PlainLog]:
        """Return the log records of a window, oldest first."""
        return self._read(lambda snapshot: snapshot.logs(window))

    def changes(self, after: str | None, *, limit: int = 1000, wait: float = 0) -> Changes:
        """Return what came into the store after a cursor, which is the number of a row."""
        end = time.monotonic() + wait
        while True:
            found = self._read(lambda snapshot: _changes(snapshot, after, limit))
            left = end - time.monotonic()
            if found.records or after is None or left <= 0:
                return found
            time.sleep(min(left, _LOOK_SECONDS))

    def steady(self, work: Callable[[], T]) -> T:
        """Run `work`, and answer what its thread asks meanwhile from one snapshot; it may be run more than once."""

        def within(snapshot: Snapshot) -> T:
            self._held.snapshot = snapshot
            try:
                return work()
            finally:
                del self._held.snapshot

        return work() if hasattr(self._held, "snapshot") else self._read(within)

    def close(self) -> None:
        """Release the store; safe to call twice."""
        environment, self._environment = self._environment, None
        if environment is not None:
            environment.release()

    def _occurrences(
        self, letter: str, keys: Collection[str], made_of: Callable[[PlainRecord], _Seen]
    ) -> Mapping[str, Sequence[Occurrence]]:
        wanted = [*keys]
        numbers = [data_key(letter, key) for key in wanted]
        return _occurrences(wanted, self._read(lambda snapshot: snapshot.led_to(numbers, letter, made_of)))

    def _read(self, work: Callable[[Snapshot], T]) -> T:
        if self._environment is None:
            raise StoreError(f"the store {self._folder} was closed")
        held: Snapshot | None = getattr(self._held, "snapshot", None)
        if held is not None:
            return work(held)
        return self._environment.read(lambda transaction: work(Snapshot(transaction)))


class _Seen(NamedTuple):
    """When a record began, and where its data occurred, by their keys."""

    age: tuple[int, str]
    by_key: dict[str, list[Occurrence]]


def _generated(plain: PlainRecord) -> _Seen:
    return _seen(plain, plain.get("generated", {}))


def _used(plain: PlainRecord) -> _Seen:
    return _seen(plain, plain.get("used", {}))


def _occurrences(keys: Sequence[str], found: Iterable[list[_Seen]]) -> dict[str, list[Occurrence]]:
    """Return the occurrences of each key, oldest first, in what it led to."""
    occurrences: dict[str, list[Occurrence]] = {}
    for key, known in zip(keys, found, strict=True):
        if len(known) > 1:
            known.sort(key=lambda one: one.age)
        occurrences[key] = [occurrence for one in known for occurrence in one.by_key.get(key, ())]
    return occurrences


def _seen(plain: PlainRecord, values: dict[str, AnyValue]) -> _Seen:
    record = Record(plain)
    by_key: dict[str, list[Occurrence]] = {}
    for key, role in sorted(data_keys(plain, values)):
        by_key.setdefault(key, []).append(Occurrence(record, role))
    return _Seen(_age(record), by_key)


def _linked(plain: PlainRecord) -> set[str]:
    return {record_id_of(link["trace_id"], link["span_id"]) for link in plain.get("links", ())}


def _changes(snapshot: Snapshot, after: str | None, limit: int) -> Changes:
    if after is None:
        return Changes((), _cursor(snapshot, snapshot.next_row))
    match = _CURSOR.fullmatch(after)
    if after and (match is None or match[1] != snapshot.name):
        raise FilterError(f"{after!r} is no cursor of this store; give what the answer before named as its end")
    plains, last = snapshot.changes(int(match[2]) if match else 0, limit)
    return Changes([Record(plain) for plain in plains], _cursor(snapshot, last))


def _cursor(snapshot: Snapshot, row: int) -> str:
    return f"{snapshot.name}-{row}"


def _age(record: Record) -> tuple[int, str]:
    return record.plain["started_at"], record.id
