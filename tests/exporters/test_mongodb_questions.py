"""What a store in MongoDB answers, beside a store in memory that holds the same."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from provtel_exporters.mongodb import open_writer
from provtel_exporters.mongodb.plan import Plan
from provtel_model.aggregation import Aggregation, Figure, _identity
from provtel_model.components import Reader, Writer
from provtel_model.errors import FilterError
from provtel_model.filters import Query
from provtel_model.memory import Memory
from provtel_model.record import PlainRecord, Record, key_of
from provtel_model.telemetry import PlainLog, PlainPoint, Window
from pymongo import MongoClient

from tests.exporters.backends import MONGODB, SERVERS, Place
from tests.exporters.records import FILTERS, IDS, PLAIN_RECORDS, RUNS, STARTS, TRACES, content, numbered
from tests.services.mongodb.server import Mongodb

FIELDS = [
    "name",
    "status",
    "kind",
    "run",
    "used.lr",
    "generated.loss",
    "started_at",
    "duration",
    "pid",
    "telemetry.cpu.user",
    "tags",
]
FIGURES = st.sampled_from(
    [
        Figure("count"),
        *(Figure(name, field) for name in ("count", "sum", "avg", "min", "max", "p50") for field in FIELDS),
    ]
)
AGGREGATIONS = st.builds(
    lambda where, by, figures, limit: Aggregation(
        where, by, {f"f{n}": one for n, one in enumerate(figures)}, limit=limit
    ),
    FILTERS,
    st.lists(st.sampled_from(FIELDS), max_size=2, unique=True),
    st.lists(FIGURES, min_size=1, max_size=3),
    st.none() | st.integers(1, 3),
)
COUNTS = st.builds(Aggregation, FILTERS, st.lists(st.sampled_from(["name", "status", "run"]), max_size=2, unique=True))
_SORTS = st.lists(st.tuples(st.sampled_from(FIELDS), st.sampled_from([1, -1])), max_size=2)
PAGES = st.tuples(FILTERS, _SORTS, st.integers(1, 3), st.none() | st.lists(st.sampled_from(FIELDS), max_size=3))

_OBSERVED: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["cpu", "memory", ""]),
    "host": st.sampled_from(["node01", "node02"]),
    "pid": st.integers(1, 3),
    "attributes": st.dictionaries(st.sampled_from(["a.b", "a", "$x"]), st.integers(0, 1), min_size=1),
}
POINTS = cast(
    "st.SearchStrategy[list[PlainPoint]]",
    st.lists(
        st.fixed_dictionaries({"time": st.sampled_from(STARTS), "kind": st.just("gauge")}, optional=_OBSERVED),
        max_size=8,
    ),
)
LOGS = cast(
    "st.SearchStrategy[list[PlainLog]]",
    st.lists(
        st.fixed_dictionaries(
            {"time": st.sampled_from(STARTS)},
            optional={
                **_OBSERVED,
                "severity": st.integers(1, 4),
                "trace_id": st.sampled_from(TRACES),
                "span_id": st.just(IDS[0][33:]),
                "body": st.text(max_size=2),
            },
        ),
        max_size=8,
    ),
)
WINDOWS = st.builds(
    lambda host, **rest: Window(host=host, **({**rest, "pid": None} if host is None else rest)),
    since=st.none() | st.sampled_from(STARTS),
    until=st.none() | st.sampled_from([*STARTS, 2**64]),
    name=st.none() | st.sampled_from(["cpu", ""]),
    host=st.none() | st.just("node01"),
    pid=st.none() | st.integers(1, 2),
    record_id=st.none() | st.just(IDS[0]),
    severity=st.none() | st.integers(0, 3),
    limit=st.none() | st.integers(1, 3),
)
SLOW = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def place(mongodb: Mongodb) -> Iterator[Place]:
    """Give an empty store."""
    SERVERS["mongodb"] = mongodb
    with MONGODB.new() as place:
        yield place


def filled(place: Place, plains: list[PlainRecord]) -> tuple[Reader, Memory]:
    """Empty a store, fill it and one in memory, and return both."""
    writer = place.writer()
    writer.delete([*RUNS, *TRACES])
    writer.write(plains)
    return place.reader(), Memory(plains)


def plains_of(records: Any) -> list[bytes]:
    """Return the content of records."""
    return content([record.plain for record in records])


def alike(values: list[Any]) -> bytes:
    """Return bytes that are equal where values are, as filters find them equal: which of 1 and 1.0 is shown is open."""
    return _identity(values)


@given(plains=st.lists(PLAIN_RECORDS, max_size=12), wanted=st.lists(AGGREGATIONS | COUNTS, min_size=3, max_size=6))
@SLOW
def test_figures_are_the_same(place: Place, plains: list[PlainRecord], wanted: list[Aggregation]) -> None:
    """Figures and different values are those that are computed of all records, whoever computes them."""
    reader, memory = filled(place, plains)
    for each in wanted:
        assert alike(reader.aggregate(each)) == alike(memory.aggregate(each))
    for name in ("name", "used.lr", "run", "tags"):
        query = Query(wanted[0].where)
        assert alike(reader.distinct(name, query)) == alike(memory.distinct(name, query))


@given(plains=st.lists(PLAIN_RECORDS, max_size=12), pages=st.lists(PAGES, min_size=2, max_size=4))
@SLOW
def test_pages_are_the_same(place: Place, plains: list[PlainRecord], pages: list[Any]) -> None:
    """Page after page, by any order and with any fields, gives what it gives in memory, and ends."""
    reader, memory = filled(place, plains)
    for where, sort, limit, fields in pages:
        after = None
        for _ in range(len(plains) + 1):
            query = Query(where, sort, limit, after, fields)
            found = reader.find(query)

            assert plains_of(found) == plains_of(memory.find(query))
            if not found:
                break
            whole = memory.find(Query(where, sort, limit, after))
            after = query.cursor(whole[-1].plain)


@given(points=POINTS, logs=LOGS, windows=st.lists(WINDOWS, min_size=2, max_size=5))
@SLOW
def test_windows_are_the_same(
    place: Place, points: list[PlainPoint], logs: list[PlainLog], windows: list[Window]
) -> None:
    """The data points and log records of any window are those of a store in memory, in its order."""
    memory, writer = Memory(), place.writer()
    writer.delete_telemetry(2**64)
    assert writer.write_points(points).stored == sum(map(memory.add_point, points))
    assert writer.write_logs(logs).stored == sum(map(memory.add_log, logs))
    reader = place.reader()
    for window in windows:
        assert list(reader.points(window)) == list(memory.points(window))
        assert list(reader.logs(window)) == list(memory.logs(window))


def test_what_is_from_before_a_moment_is_forgotten(place: Place) -> None:
    """Data points and log records from before a moment go, those of the moment and after it stay."""
    writer = place.writer()
    writer.write_points([{"name": "cpu", "kind": "gauge", "time": time} for time in (1, 2, 3, 2**64 - 1)])
    writer.write_logs([{"time": time, "body": "x"} for time in (1, 2, 2**63 + 5)])

    assert writer.delete_telemetry(2) == 2
    reader = place.reader()
    assert [point["time"] for point in reader.points(Window())] == [2, 3, 2**64 - 1]
    assert writer.delete_telemetry(2**63 + 6) == 4
    assert [point["time"] for point in reader.points(Window())] == [2**64 - 1]


def test_a_run_is_forgotten_with_its_logs(place: Place) -> None:
    """A deleted run takes along the log records that name its records, and nothing else; it may come again."""
    writer = place.writer()
    kept = numbered(2, TRACES[0], workflow_id="another")
    writer.write([numbered(1), kept])
    mine, other = (
        PlainLog(time=1, trace_id=plain["trace_id"], span_id=plain["span_id"]) for plain in (numbered(1), kept)
    )
    writer.write_logs([mine, other, {"time": 3}])

    assert writer.delete([numbered(1)["workflow_id"]]) == 1
    reader = place.reader()
    assert plains_of(reader.find(Query())) == content([kept])
    assert list(reader.logs(Window())) == [other, {"time": 3}]
    assert writer.write([numbered(1)]).stored == 1


def told(reader: Reader, after: str | None, **others: Any) -> tuple[list[Record], str]:
    """Return what came after a cursor, and the next."""
    answer = reader.changes(after, **others)
    return list(answer.records), answer.cursor


def test_changes_come_in_order_and_once(place: Place) -> None:
    """From the beginning everything comes as it came, in whatever pieces; then what moves on, and no more."""
    writer, reader = place.writer(), place.reader()
    first = [numbered(number, status="running") for number in range(7)]
    writer.write(first[:4])
    writer.write(first[4:])
    for limit in (1, 3, 1000):
        cursor, found = "", list[Record]()
        while (answer := told(reader, cursor, limit=limit))[0]:
            found += answer[0]
            cursor = answer[1]
        assert plains_of(found) == content(first)
    _, now = told(reader, None)
    assert told(reader, now) == ([], now)
    writer.write([numbered(8), *first])
    changed, later = told(reader, now)
    assert plains_of(changed) == content([numbered(8)])
    writer.write([numbered(5)])
    assert numbered(5) in [record.plain for record in told(reader, later)[0]]


def test_a_document_that_becomes_visible_late_is_not_left_out(place: Place) -> None:
    """A reader that saw a part of a batch is told of the rest, wherever in the batch it is."""
    place.writer().write([numbered(number) for number in range(5)])
    reader = place.reader()
    with MongoClient[dict[str, Any]](place.location) as client:
        records = client.get_default_database()["records"]
        late = records.find_one_and_delete({"used.number": 1})
        assert late is not None
        found, cursor = told(reader, "")
        assert len(found) == 4
        assert told(reader, cursor) == ([], cursor)
        records.insert_one(late)

    again, cursor = told(reader, cursor)
    assert numbered(1) in [record.plain for record in again]
    assert told(reader, cursor)[0] == []


@pytest.mark.parametrize("seed", range(2))
def test_no_change_is_left_out_while_many_write(place: Place, seed: int) -> None:
    """Whoever follows while four writers write, of whom some replace what others wrote, is told of everything."""
    chance = random.Random(seed)  # noqa: S311  # the same numbers each time
    plan = [[chance.randrange(60) for _ in range(12)] for _ in range(16)]

    def write(batches: list[list[int]]) -> None:
        writer: Writer = open_writer(place.location)
        for batch in batches:
            writer.write([numbered(n, status=chance.choice(["running", "lost", "finished"])) for n in set(batch)])
        writer.close()

    place.writer()
    threads = [threading.Thread(target=write, args=(plan[part::4],)) for part in range(4)]
    for thread in threads:
        thread.start()
    reader, cursor, seen = place.reader(), "", dict[Any, PlainRecord]()
    while any(thread.is_alive() for thread in threads):
        found, cursor = told(reader, cursor, limit=7)
        seen |= {key_of(record.plain): record.plain for record in found}
    while (answer := told(reader, cursor, limit=7))[0]:
        seen |= {key_of(record.plain): record.plain for record in answer[0]}
        cursor = answer[1]

    there = [record.plain for record in reader.find(Query(sort=(("started_at", 1),)))]
    assert content(sorted(seen.values(), key=lambda plain: plain["started_at"])) == content(there)
    assert {plain["used"]["number"] for plain in there} == {number for batch in plan for number in batch}


def test_who_waits_is_woken(place: Place) -> None:
    """A wait for changes ends with the first that comes, and with none when its time is over."""
    writer, reader = place.writer(), place.reader()
    _, now = told(reader, None)
    later = threading.Timer(0.1, writer.write, ([numbered(1)],))
    later.start()
    found, now = told(reader, now, wait=60)
    later.join()

    assert plains_of(found) == content([numbered(1)])
    assert told(reader, now, wait=0.01)[0] == []


@pytest.mark.parametrize("cursor", ["x", "AAAA", "_____w=="])
def test_foreign_cursors_are_refused(place: Place, cursor: str) -> None:
    """What is no cursor of changes is told."""
    place.writer()
    with pytest.raises(FilterError, match="no cursor"):
        place.reader().changes(cursor)


@pytest.mark.parametrize(
    ("where", "exact"),
    [
        ({"status": "error", "run": {"$in": ["a", "b"]}}, True),
        ({"started_at": {"$gte": "2026-01-01T00:00:00+00:00"}, "parent_id": None}, True),
        ({"$or": [{"name": "x"}, {"duration": {"$gt": 1}}]}, True),
        ({"used.lr": {"$gt": 0.1}}, False),
        ({"name": {"$regex": "^a"}}, False),
    ],
)
def test_what_the_server_decides(where: dict[str, Any], exact: bool) -> None:
    """Conditions on the record itself are decided by the server alone, those on users' names checked again here."""
    plan = Plan.of(Query(where).where)

    assert plan.exact is exact
    assert bool(plan.filter) is ("name" not in where)
