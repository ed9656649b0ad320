"""What is MongoDB's own in questions: lines of writes that become visible late, and what the server decides."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from provtel_exporters.mongodb import open_writer
from provtel_exporters.mongodb.plan import Plan
from provtel_model.components import Reader, Writer
from provtel_model.filters import Query
from provtel_model.record import PlainRecord, Record, key_of
from provtel_model.telemetry import Window
from pymongo import MongoClient

from tests.exporters.backends import MONGODB, SERVERS, Place
from tests.exporters.records import content, numbered
from tests.services.mongodb.server import Mongodb


@pytest.fixture
def place(mongodb: Mongodb) -> Iterator[Place]:
    """Give an empty store."""
    SERVERS["mongodb"] = mongodb
    with MONGODB.new() as place:
        yield place


def plains_of(records: Any) -> list[bytes]:
    """Return the content of records."""
    return content([record.plain for record in records])


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
