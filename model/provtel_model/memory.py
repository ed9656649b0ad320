"""A store in memory: records, data points and log records with plain indexes, for what is small or lies in a file."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, cast

from provtel_model.aggregation import aggregate, distinct
from provtel_model.components import Changes, Occurrence
from provtel_model.dataflow import data_keys
from provtel_model.errors import FilterError
from provtel_model.merge import merge
from provtel_model.paging import Place
from provtel_model.record import Key, Record, ancestors, key_of, record_id, run_of
from provtel_model.telemetry import PlainLog, PlainPoint, observation_id

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from provtel_model.aggregation import Aggregation
    from provtel_model.anyvalue import AnyValue
    from provtel_model.filters import Query
    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import Window

_Observation = TypeVar("_Observation", PlainPoint, PlainLog)
_time: Final = itemgetter(0)


class Memory:
    """A `provtel_model.components.Reader` over what was added to it.

    Questions may be asked from several threads, but not while something is added. What is returned is shared, and not
    to be changed.

    Args:
        records: What to begin with.
    """

    def __init__(self, records: Iterable[PlainRecord] = ()) -> None:
        self._records: dict[Key, PlainRecord] = {}
        self._ages: list[tuple[int, str]] = []
        self._ages_sorted = True
        self._arrivals: list[Key | None] = []
        self._numbers: dict[Key, int] = {}
        self._points: _Observations[PlainPoint] = _Observations()
        self._logs: _Observations[PlainLog] = _Observations()
        self._indexes = {
            "id": _Index(lambda plain: (key_of(plain).id,)),
            "run": _Index(lambda plain: (run_of(plain),)),
            "parent_id": _Index(lambda plain: (plain["parent_id"],) if "parent_id" in plain else ()),
            "links": _Index(_linked_ids),
            "generated": _Index(lambda plain: (key for key, _ in data_keys(plain, plain.get("generated", {})))),
            "used": _Index(lambda plain: (key for key, _ in data_keys(plain, plain.get("used", {})))),
        }
        for plain in records:
            self.add(plain)

    def add(self, plain: PlainRecord) -> bool:
        """Merge a record; return whether it is new, or moved one on."""
        key = key_of(plain)
        known = self._records.get(key)
        if known is not None:
            if merge(known, plain) is known:
                return False
            self._arrivals[self._numbers[key]] = None
            for index in self._indexes.values():
                index.remove(key, known)
        else:
            age = (key.started_at, key.id)
            self._ages_sorted = self._ages_sorted and (not self._ages or self._ages[-1] < age)
            self._ages.append(age)
        self._records[key] = plain
        self._numbers[key] = len(self._arrivals)
        self._arrivals.append(key)
        for index in self._indexes.values():
            index.add(key, plain)
        return True

    def add_point(self, point: PlainPoint) -> bool:
        """Add a data point; return whether it is new."""
        return self._points.add(point)

    def add_log(self, log: PlainLog) -> bool:
        """Add a log record; return whether it is new."""
        return self._logs.add(log)

    def get(self, record_id: str) -> Record | None:
        """Return the earliest record of an id."""
        return next((Record(plain) for plain in self._with("id", record_id)), None)

    def find(self, query: Query) -> Sequence[Record]:
        """Return the records that a query selects, in its order."""
        known = self._candidates(query.where)
        if known is None and len(query.sort) == 1 and query.sort[0][0] == "started_at":
            chosen = islice(filter(query.selects, self._in_time(query)), query.limit)
            return [Record(query.projected(plain)) for plain in chosen]
        return [Record(plain) for plain in query.answer(self._records.values() if known is None else known)]

    def count(self, query: Query) -> int:
        """Return how many records the query's filter matches."""
        known = self._candidates(query.where)
        return sum(map(query.matches, self._records.values() if known is None else known))

    def aggregate(self, wanted: Aggregation) -> list[dict[str, AnyValue]]:
        """Return figures over groups of records."""
        return aggregate(self._records.values(), wanted)

    def distinct(self, name: str, query: Query) -> list[AnyValue]:
        """Return the values of a field."""
        return distinct(self._records.values(), name, query)

    def children(self, record_id: str) -> Sequence[Record]:
        """Return the records whose parent is `record_id`, oldest first."""
        return [Record(plain) for plain in self._with("parent_id", record_id)]

    def ancestors(self, record_id: str) -> Sequence[Record]:
        """Return the parent of a record, the parent's parent and so on."""
        return ancestors(record_id, self.get)

    def linked(self, record_ids: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """Return the records that have a link to each record, oldest first."""
        return {record_id: [Record(plain) for plain in self._with("links", record_id)] for record_id in record_ids}

    def generated(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who generated each datum, oldest first."""
        return {key: self._occurrences("generated", key) for key in data_keys}

    def generated_in(
        self, runs: Collection[str], data_keys: Collection[str]
    ) -> tuple[Mapping[str, Sequence[Occurrence]], Collection[str]]:
        """Return who generated each datum in some runs, and the keys of what was generated in others too."""
        every = self.generated(data_keys)
        found = {key: [one for one in known if one.record.run in runs] for key, known in every.items()}
        return found, {key for key in every if len(found[key]) < len(every[key])}

    def used(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who used each datum, oldest first."""
        return {key: self._occurrences("used", key) for key in data_keys}

    def points(self, window: Window) -> Sequence[PlainPoint]:
        """Return the data points of a window, oldest first."""
        return self._points.within(window)

    def logs(self, window: Window) -> Sequence[PlainLog]:
        """Return the log records of a window, oldest first."""
        return self._logs.within(window)

    def changes(self, after: str | None, *, limit: int = 1000, wait: float = 0) -> Changes:  # noqa: ARG002
        """Return what was added after a cursor, without waiting: nothing is added meanwhile."""
        if after is None:
            return Changes((), _cursor(len(self._arrivals)))
        if after and not (after.isascii() and after.isdigit()):
            raise FilterError(f"{after!r} is no cursor of this store; give what the answer before named as its end")
        number = int(after or "0")
        found: list[Record] = []
        while number < len(self._arrivals) and len(found) < limit:
            key = self._arrivals[number]
            if key is not None:
                found.append(Record(self._records[key]))
            number += 1
        return Changes(found, _cursor(number))

    def close(self) -> None:
        """Release nothing."""

    def _candidates(self, where: Mapping[str, Any]) -> list[PlainRecord] | None:
        """Return records among which those that a filter matches are; ``None`` for all."""
        for field in ("id", "run", "parent_id"):
            wanted = _texts(where.get(field))
            if wanted is not None:
                return [plain for text in wanted for plain in self._with(field, text)]
        parts = where.get("$and", ())
        found = (self._candidates(part) for part in parts)
        return next((candidates for candidates in found if candidates is not None), None)

    def _with(self, field: str, text: str) -> list[PlainRecord]:
        keys = self._indexes[field].find(text, self._records)
        return [self._records[key] for key in sorted(keys, key=_age)]

    def _in_time(self, query: Query) -> Iterator[PlainRecord]:
        """Yield records in the order of their start, from about where the cursor of a query is."""
        if not self._ages_sorted:
            self._ages.sort()
            self._ages_sorted = True
        start = None if query.after is None else cast("int", Place.parse(query.after, 1).values[0])
        if query.sort[0][1] > 0:
            first = 0 if start is None else bisect_left(self._ages, start, key=_time)
            yield from map(self._of_age, islice(self._ages, first, None))
            return
        end = len(self._ages) if start is None else bisect_right(self._ages, start, key=_time)
        while end:  # the newest first, and of one moment those with the lowest id
            first = bisect_left(self._ages, self._ages[end - 1][0], 0, end, key=_time)
            yield from map(self._of_age, self._ages[first:end])
            end = first

    def _of_age(self, age: tuple[int, str]) -> PlainRecord:
        return self._records[Key(age[1], age[0])]

    def _occurrences(self, field: Literal["used", "generated"], data_key: str) -> list[Occurrence]:
        return [
            Occurrence(Record(plain), role)
            for plain in self._with(field, data_key)
            for role in sorted(role for key, role in data_keys(plain, plain.get(field, {})) if key == data_key)
        ]


class _Index:
    """Records by texts that they give; built when it is first asked."""

    def __init__(self, texts: Callable[[PlainRecord], Iterable[str]]) -> None:
        self._texts = texts
        self._keys: dict[str, set[Key]] | None = None

    def find(self, text: str, records: Mapping[Key, PlainRecord]) -> Iterable[Key]:
        if self._keys is None:
            keys: dict[str, set[Key]] = {}
            for key, plain in records.items():
                for given in self._texts(plain):
                    keys.setdefault(given, set()).add(key)
            self._keys = keys
        return self._keys.get(text, ())

    def add(self, key: Key, plain: PlainRecord) -> None:
        if self._keys is not None:
            for given in self._texts(plain):
                self._keys.setdefault(given, set()).add(key)

    def remove(self, key: Key, plain: PlainRecord) -> None:
        if self._keys is not None:
            for given in self._texts(plain):
                self._keys[given].discard(key)


class _Observations(Generic[_Observation]):
    """Data points or log records by their ids, and in the order of time."""

    def __init__(self) -> None:
        self._kept: dict[str, _Observation] = {}
        self._places: list[tuple[int, str]] = []
        self._sorted = True

    def add(self, plain: _Observation) -> bool:
        identity = observation_id(plain)
        if identity in self._kept:
            return False
        self._kept[identity] = plain
        place = (plain["time"], identity)
        self._sorted = self._sorted and (not self._places or self._places[-1] < place)
        self._places.append(place)
        return True

    def within(self, window: Window) -> list[_Observation]:
        if not self._sorted:
            self._places.sort()
            self._sorted = True
        first = 0 if window.since is None else bisect_left(self._places, window.since, key=_time)
        last = len(self._places) if window.until is None else bisect_right(self._places, window.until, key=_time)
        found = (self._kept[identity] for _, identity in islice(self._places, first, last))
        return list(islice(filter(window.matches, found), window.limit))


def _texts(condition: Any) -> set[str] | None:
    """Return the texts one of which a condition asks for; ``None`` where it asks for something else."""
    if isinstance(condition, str):
        return {condition}
    if isinstance(condition, Mapping):
        wanted = [condition["$eq"]] if "$eq" in condition else condition.get("$in")
        if isinstance(wanted, list | tuple) and all(isinstance(text, str) for text in wanted):
            return set(wanted)
    return None


def _linked_ids(plain: PlainRecord) -> set[str]:
    return {record_id(link["trace_id"], link["span_id"]) for link in plain.get("links", ())}


def _age(key: Key) -> tuple[int, str]:
    return key.started_at, key.id


def _cursor(number: int) -> str:
    return str(number) if number else ""
