"""What was looked up in a reader: everything once, and many things in one call where they are known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from provtel_model.components import Steady
from provtel_model.dataflow import NAME
from provtel_model.filters import Query
from provtel_model.record import key_of

from provtel_query.annotations import KIND as ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from provtel_model.components import Occurrence, Reader
    from provtel_model.record import Key, Record

T = TypeVar("T")

_AT_ONCE: Final = 500  # readers look for so many ids one by one, and walk through everything for more
_OLDEST_FIRST: Final = (("started_at", 1),)
_NAMED: Final = f"{NAME}:"


def steadily(reader: Reader, work: Callable[[], T]) -> T:
    """Run `work`, which asks a reader many things, on one snapshot where the reader has such; it may run again."""
    return reader.steady(work) if isinstance(reader, Steady) else work()


class Lookups:
    """Records by id, and where data were generated and used, by their keys.

    What is asked for singly is looked up singly; `load_records` and its kin look up what will be asked for.
    """

    def __init__(self, reader: Reader) -> None:
        """Look things up in a reader, as it stands."""
        self._reader = reader
        self._records: dict[str, Record | None] = {}
        self._generated: dict[str, Sequence[Occurrence]] = {}
        self._used: dict[str, Sequence[Occurrence]] = {}

    def record(self, identity: str) -> Record | None:
        """Return a record by its id; of several the earliest."""
        if identity not in self._records:
            self._records[identity] = self._reader.get(identity)
        return self._records[identity]

    def generated(self, key: str) -> Sequence[Occurrence]:
        """Return who generated a datum, oldest first."""
        if key not in self._generated:
            self.load_generated([key])
        return self._generated[key]

    def used(self, key: str) -> Sequence[Occurrence]:
        """Return who used a datum, oldest first."""
        if key not in self._used:
            self.load_used([key])
        return self._used[key]

    def linked(self, identities: Collection[str]) -> list[Record]:
        """Return the activities that have a link to one of some records, for each of these oldest first."""
        found = self._reader.linked(identities)
        return [record for identity in identities for record in found[identity] if record.kind != ANNOTATION]

    def ancestors(self, record: Record) -> Iterator[str]:
        """Yield the ids of the records around one, from the innermost."""
        seen = {record.id}
        parent: Record | None = record
        while parent and parent.parent_id and parent.parent_id not in seen:
            yield parent.parent_id
            seen.add(parent.parent_id)
            parent = self.record(parent.parent_id)

    def load_records(self, identities: Iterable[str]) -> None:
        """Look up records by their ids."""
        wanted = sorted({identity for identity in identities if identity not in self._records})
        if len(wanted) <= 1:
            return  # one is found faster by itself
        for some in _batches(wanted):
            self._records.update(dict.fromkeys(some))
            found = self._reader.find(Query({"id": {"$in": some}}, sort=_OLDEST_FIRST))
            self._records.update((record.id, record) for record in reversed(found))

    def load_ancestors(self, records: Iterable[Record]) -> None:
        """Look up the records around some."""
        level = {record.parent_id for record in records if record.parent_id}
        seen: set[str] = set()
        while level:
            self.load_records(level)
            seen |= level
            around = (self.record(identity) for identity in level)
            level = {record.parent_id for record in around if record and record.parent_id} - seen

    def load_generated(self, keys: Iterable[str]) -> None:
        """Look up who generated some data."""
        _load(self._generated, keys, self._reader.generated)

    def load_generated_in(self, runs: Collection[str], keys: Iterable[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Look up who generated some data, where many did only in some runs; return these data, and who did there."""
        wanted = [key for key in keys if key not in self._generated]
        answer, many = self._reader.generated_in(runs, wanted) if wanted else ({}, ())
        found = {key: _flowing(occurrences) for key, occurrences in answer.items()}
        some = {key: found.pop(key) for key in many if not key.startswith(_NAMED)}  # a name is known in one run alone
        self._generated.update(found)
        return some

    def inside(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the activities that ran inside some, however deep; those around an activity of several starts too."""
        level = sorted({record.id for record in records})
        seen: set[Key] = set()
        while level:
            found = [
                record
                for some in _batches(level)
                for record in self._reader.find(Query({"parent_id": {"$in": some}}, sort=_OLDEST_FIRST))
                if key_of(record.plain) not in seen
            ]
            seen.update(key_of(record.plain) for record in found)
            level = sorted({record.id for record in found})
            yield from (record for record in found if record.kind != ANNOTATION)

    def load_used(self, keys: Iterable[str]) -> None:
        """Look up who used some data."""
        _load(self._used, keys, self._reader.used)


def _flowing(occurrences: Sequence[Occurrence]) -> Sequence[Occurrence]:
    """Return occurrences without those in annotations, through which no data flow."""
    return [occurrence for occurrence in occurrences if occurrence.record.kind != ANNOTATION]


def _load(
    known: dict[str, Sequence[Occurrence]],
    keys: Iterable[str],
    look_up: Callable[[Collection[str]], Mapping[str, Sequence[Occurrence]]],
) -> None:
    wanted = list(dict.fromkeys(key for key in keys if key not in known))
    if wanted:
        known.update((key, _flowing(found)) for key, found in look_up(wanted).items())


def _batches(wanted: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(wanted), _AT_ONCE):
        yield wanted[start : start + _AT_ONCE]
