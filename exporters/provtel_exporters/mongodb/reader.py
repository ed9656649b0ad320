"""The reading side: MongoDB finds candidates by its indexes, and every answer is checked against the record itself."""

from __future__ import annotations

from functools import partial
from heapq import nsmallest
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from provtel_model.aggregation import aggregate, distinct, ordered_groups
from provtel_model.components import Changes, Occurrence
from provtel_model.dataflow import data_keys as data_keys_of
from provtel_model.errors import StoreError
from provtel_model.fields import TIME_FIELDS, check_field, order_of
from provtel_model.filters import Query
from provtel_model.paging import ALWAYS
from provtel_model.record import PlainRecord, Record, ancestors, key_of
from provtel_model.telemetry import PlainLog, PlainPoint, observation_id

from provtel_exporters.mongodb import layout
from provtel_exporters.mongodb.changes import Watched
from provtel_exporters.mongodb.connection import Connection, reading
from provtel_exporters.mongodb.documents import FIRST_INT, LAST_INT, to_plain
from provtel_exporters.mongodb.parts import PartsLostError, PartsReader
from provtel_exporters.mongodb.plan import TEXTS, Filter, Plan, needed_for, page, projection, sorts_there, tops_of
from provtel_exporters.mongodb.writer import check_format

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from provtel_model.aggregation import Aggregation
    from provtel_model.anyvalue import AnyValue
    from provtel_model.telemetry import Window
    from pymongo.database import Database

    from provtel_exporters.mongodb.address import Address

_AT_ONCE: Final = 500
_FEW: Final = 4  # so many of a datum are read sooner than told apart
_MOST_KEPT: Final = 10_000
_TRIES: Final = 3


class MongodbReader:
    """A `provtel_model.components.Reader` over MongoDB.

    Args:
        address: Where the database is.

    Raises:
        UserError: pymongo is not installed.
        StoreError: The address is none, there is no store, or its format is newer.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection = Connection(address)
        self._lines: Watched | None = None
        try:
            with reading(address):
                _require(self._database, address)
        except BaseException:
            self._connection.close()
            raise

    @property
    def _database(self) -> Database[dict[str, Any]]:
        return self._connection.database

    def get(self, record_id: str) -> Record | None:
        """Return the record of an id; of several with the same id and different starts the earliest."""
        found = self._records({"id": record_id}, sort=[("_id", 1)], limit=1)
        return next((Record(plain) for plain in found), None)

    def find(self, query: Query) -> Sequence[Record]:
        """Return the records that a query selects, in its order."""
        found = self._found_in_order(query) if sorts_there(query.sort) else None
        if found is None:
            found = self._found_and_ordered(query)
        return [Record(query.projected(plain)) for plain in found]

    def count(self, query: Query) -> int:
        """Return how many records the query's filter matches; its sort, limit and cursor are ignored."""
        plan = Plan.of(query.where)
        if plan.exact:
            with reading(self._address):
                return self._database[layout.RECORDS].count_documents(plan.filter)
        return sum(1 for _ in self._matching(query, set()))

    def aggregate(self, wanted: Aggregation) -> list[dict[str, AnyValue]]:
        """Return figures over groups of records."""
        plan = Plan.of(wanted.where)
        counts = all(figure.name == "count" and figure.field is None for figure in wanted.figures.values())
        if plan.exact and counts and TEXTS.issuperset(wanted.by):
            return self._counted(wanted, plan)
        fields = [*wanted.by, *(figure.field for figure in wanted.figures.values() if figure.field is not None)]
        return aggregate(self._matching(wanted.query, {top for name in fields for top in tops_of(name)}), wanted)

    def distinct(self, name: str, query: Query) -> list[AnyValue]:
        """Return the values of a field."""
        check_field(name)
        plan = Plan.of(query.where)
        if plan.exact and name in TEXTS:
            with reading(self._address):
                return sorted(self._database[layout.RECORDS].distinct(name, plan.filter), key=order_of)
        return distinct(self._matching(query, set(tops_of(name))), name, query)

    def children(self, record_id: str) -> Sequence[Record]:
        """Return the records whose parent is `record_id`, oldest first."""
        return self._listed({"parent_id": record_id})

    def ancestors(self, record_id: str) -> Sequence[Record]:
        """Return the parent of a record, the parent's parent and so on."""
        return ancestors(record_id, self.get)

    def linked(self, record_ids: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """Return the records that have a link to each record, oldest first."""
        found: dict[str, list[Record]] = {record_id: [] for record_id in record_ids}
        for record in self._listed({layout.LINKED: {"$in": sorted(found)}}):
            for record_id in found.keys() & {*layout.linked_ids(record.plain)}:
                found[record_id].append(record)
        return found

    def generated(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who generated each datum, by keys of `provtel_model.dataflow`, oldest first."""
        return self._occurrences("generated", data_keys)

    def generated_in(
        self, runs: Collection[str], data_keys: Collection[str]
    ) -> tuple[Mapping[str, Sequence[Occurrence]], Collection[str]]:
        """Return who generated each datum; where many did, those of some runs, without reading the others."""
        numbers = {key: layout.key_number(key) for key in data_keys}
        plains: list[PlainRecord] = []
        many: set[int] = set()
        for some in _batches({*numbers.values()}):
            wanted: Filter = {layout.GENERATED: {"$in": some}}
            found = [*self._records(wanted, limit=_FEW * len(some) + 1)]
            if len(found) > _FEW * len(some):
                found = [*self._records(wanted | {"run": {"$in": sorted(runs)}})]
                many.update(some)
            plains += found
        return _by_key(plains, "generated", data_keys), {key for key, number in numbers.items() if number in many}

    def used(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who used each datum, by keys of `provtel_model.dataflow`, oldest first."""
        return self._occurrences("used", data_keys)

    def points(self, window: Window) -> Sequence[PlainPoint]:
        """Return the data points of a window, oldest first."""
        return cast("list[PlainPoint]", self._within(layout.POINTS, window))

    def logs(self, window: Window) -> Sequence[PlainLog]:
        """Return the log records of a window, oldest first."""
        return cast("list[PlainLog]", self._within(layout.LOGS, window))

    def changes(self, after: str | None, *, limit: int = 1000, wait: float = 0) -> Changes:
        """Return what came into the store after a cursor; see `provtel_model.components.Reader`."""
        with reading(self._address):
            return self._watched().changes(after, limit, wait)

    def close(self) -> None:
        """Release the store; safe to call twice."""
        self._connection.close()

    def _watched(self) -> Watched:
        if self._lines is None or self._lines.database is not self._database:  # another process's, after a fork
            self._lines = Watched(self._database, lambda ids: self._by_ids(ids, None))
        return self._lines

    def _found_in_order(self, query: Query) -> list[PlainRecord] | None:
        """Return what a query selects, as MongoDB orders it; ``None`` where it cannot tell times apart."""
        plan = page(query)
        by_time = [name for name, _ in query.sort if name in TIME_FIELDS]
        by_start = [name for name, _ in query.sort] == ["started_at"]  # which indexes serve, without a second field
        sort = query.sort if by_start else [*query.sort, ("_id", 1)]
        limit = query.limit if plan.exact and not by_start and query.limit is not None else 0
        at_once = query.limit + 1 if plan.exact and query.limit is not None else 0
        plains = self._records(
            plan.filter, self._wanted(query), sort, limit, lambda each: _is_late(each, by_time), at_once
        )
        chosen = (plain for plain in plains if plain is None or plan.exact or query.selects(plain))
        found = list(islice(_untied(chosen, query.limit) if by_start else chosen, query.limit))
        return None if None in found else found

    def _found_and_ordered(self, query: Query) -> list[PlainRecord]:
        """Return what a query selects, in its order: first by what orders it, and then the whole records."""
        plan = page(query)
        if query.limit is None:
            return query.ordered([*filter(query.selects, self._records(plan.filter))])
        best: list[PlainRecord] = []
        for plain in self._records(plan.filter, projection(needed_for(query))):
            if query.selects(plain):
                best.append(plain)
            if len(best) > query.limit + _MOST_KEPT:
                best = query.ordered(best)
        order = [layout.id_of(key_of(plain)) for plain in query.ordered(best)]
        found = self._by_ids(order, self._wanted(query))
        return [found[identity] for identity in order if identity in found]

    def _by_ids(self, ids: Sequence[str], wanted: Mapping[str, int] | None) -> dict[str, PlainRecord]:
        found = (
            plain
            for start in range(0, len(ids), _AT_ONCE)
            for plain in self._records({"_id": {"$in": list(ids[start : start + _AT_ONCE])}}, wanted)
        )
        return {layout.id_of(key_of(plain)): plain for plain in found}

    def _matching(self, query: Query, tops: set[str]) -> Iterator[PlainRecord]:
        """Yield the records that a filter matches, of each what these fields and the filter need."""
        plan = Plan.of(query.where)
        found = self._records(plan.filter, projection(tops | needed_for(Query(query.where, sort=()))))
        return filter(query.matches, found)

    def _counted(self, wanted: Aggregation, plan: Plan) -> list[dict[str, AnyValue]]:
        group = {"_id": {name: f"${name}" for name in wanted.by} or None, "count": {"$sum": 1}}
        with reading(self._address):
            found = list(self._database[layout.RECORDS].aggregate([{"$match": plan.filter}, {"$group": group}]))
        if not wanted.by and not found:
            found = [{"_id": None, "count": 0}]
        rows = [
            {
                **{name: (one["_id"] or {}).get(name) for name in wanted.by},
                **dict.fromkeys(wanted.figures, int(one["count"])),
            }
            for one in found
        ]
        return ordered_groups(rows, wanted)

    def _listed(self, wanted: Filter) -> list[Record]:
        return [Record(plain) for plain in sorted(self._records(wanted), key=_age)]

    def _occurrences(
        self, role: Literal["used", "generated"], data_keys: Collection[str]
    ) -> Mapping[str, Sequence[Occurrence]]:
        field = layout.USED if role == "used" else layout.GENERATED
        numbers = {layout.key_number(key) for key in data_keys}
        found = (plain for some in _batches(numbers) for plain in self._records({field: {"$in": some}}))
        return _by_key(found, role, data_keys)

    def _within(self, collection: str, window: Window) -> list[Any]:
        found: list[Any] = []
        for plain in self._plains(collection, _of_window(window), None, [("time", 1)]):
            is_enough = window.limit is not None and len(found) >= window.limit
            if is_enough and found[-1]["time"] < min(plain["time"], LAST_INT):  # the late ones are in no order
                break
            if window.matches(plain):
                found.append(plain)
        found.sort(key=lambda plain: (plain["time"], observation_id(plain)))
        return found if window.limit is None else found[: window.limit]

    def _wanted(self, query: Query) -> Mapping[str, int] | None:
        if query.fields is None:
            return None
        return projection({*ALWAYS, *(top for name in query.fields for top in tops_of(name)), *needed_for(query)})

    def _records(
        self,
        wanted: Filter,
        fields: Mapping[str, int] | None = None,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
        stop: Callable[[Mapping[str, Any]], bool] = lambda _: False,
        at_once: int = 0,
    ) -> Iterator[Any]:
        """Yield records; ``None`` where there is one at which to stop."""
        return self._plains(layout.RECORDS, wanted, fields, sort, limit, stop, at_once)

    def _plains(
        self,
        collection: str,
        wanted: Filter,
        fields: Mapping[str, int] | None = None,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
        stop: Callable[[Mapping[str, Any]], bool] = lambda _: False,
        at_once: int = 0,
    ) -> Iterator[Any]:
        with reading(self._address):
            parts = PartsReader(self._database)
            order = list(sort) or None
            cursor = self._database[collection].find(wanted, fields, limit=limit, sort=order, batch_size=at_once)
            with cursor:
                for document in cursor:
                    if stop(document):
                        yield None
                        return
                    plain = self._whole(collection, document, parts, fields)
                    if plain is not None:
                        yield plain

    def _whole(
        self, collection: str, document: Mapping[str, Any], parts: PartsReader, fields: Mapping[str, int] | None
    ) -> dict[str, Any] | None:
        """Return what a document holds, with what was split off of it; ``None`` where it was removed meanwhile."""
        current: Mapping[str, Any] | None = document
        for _ in range(_TRIES):
            if current is None:
                return None
            try:
                return to_plain(current, parts)
            except PartsLostError:
                current = self._database[collection].find_one({"_id": document["_id"]}, fields)
        raise StoreError(f"the store {self._address} lacks a part of the document {document['_id']}")


def _batches(numbers: Collection[int]) -> Iterator[list[int]]:
    in_order = sorted(numbers)
    for start in range(0, len(in_order), _AT_ONCE):
        yield in_order[start : start + _AT_ONCE]


def _by_key(
    found: Iterable[PlainRecord], role: Literal["used", "generated"], data_keys: Collection[str]
) -> Mapping[str, Sequence[Occurrence]]:
    """Return where each datum occurs in records, some of which may have been found twice, oldest first."""
    plains = {layout.id_of(key_of(plain)): plain for plain in found}
    result: dict[str, list[Occurrence]] = {key: [] for key in data_keys}
    for plain in sorted(plains.values(), key=_age):
        record = Record(plain)
        for key, name in sorted(data_keys_of(plain, plain.get(role, {})), key=itemgetter(1)):
            if key in result:
                result[key].append(Occurrence(record, name))
    return result


def _require(database: Database[dict[str, Any]], address: Address) -> None:
    if check_format(database[layout.META], address):
        return
    names = sorted(name for name in database.list_collection_names() if not name.startswith("system."))
    found = f"it holds {', '.join(names[:5])}" if names else "it is empty, or nothing was written to it yet"
    raise StoreError(
        f"there is no store in the database {database.name!r} at {address}: {found}; name the database in the address"
    )


def _of_window(window: Window) -> Filter:
    wanted: Filter = {
        name: value
        for name, value in (("name", window.name), ("host", window.host), ("pid", window.pid))
        if value is not None
    }
    bounds = {}
    if window.since is not None:
        bounds["$gte"] = max(FIRST_INT, min(window.since, LAST_INT))
    if window.until is not None and window.until < LAST_INT:
        bounds["$lte"] = max(FIRST_INT, window.until)
    if bounds:
        wanted["time"] = bounds
    if window.record_id is not None:
        wanted[layout.NAMED] = window.record_id
    if window.severity is not None and window.severity > 0:
        wanted["severity"] = {"$gte": window.severity}
    return wanted


def _is_late(document: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Say whether a time of a document is only in its exact form, so that MongoDB cannot order it."""
    return any(document.get(name) == LAST_INT for name in names)


def _untied(plains: Iterable[Any], limit: int | None) -> Iterator[Any]:
    """Yield records in order of their start, of those with one start in order of their keys, and no more than wanted.

    A ``None`` among them stays where it is.
    """
    first: Callable[..., list[Any]] = sorted if limit is None else partial(nsmallest, limit)
    for start, ties in groupby(plains, lambda plain: plain and plain["started_at"]):
        yield from [None] if start is None else first(ties, key=key_of)


def _age(plain: PlainRecord) -> tuple[int, str]:
    key = key_of(plain)
    return key.started_at, key.id
