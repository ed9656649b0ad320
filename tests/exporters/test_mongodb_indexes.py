"""Each question that a reader asks MongoDB is one that an index serves, and older stores are given the indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from provtel_exporters.mongodb import layout, open_writer
from provtel_exporters.mongodb.address import Address
from provtel_exporters.mongodb.reader import MongodbReader
from provtel_model.components import Reader
from provtel_model.dataflow import data_keys
from provtel_model.filters import Query
from provtel_model.record import PlainRecord
from provtel_model.telemetry import Window
from pymongo import MongoClient, monitoring

from tests.exporters.backends import MONGODB, SERVERS
from tests.exporters.records import content, numbered
from tests.services.mongodb.server import Mongodb

Ask = Callable[[Reader], object]
FIRST = numbered(1, campaign_id="paper-7")
TRACE, ID = FIRST["trace_id"], f"{FIRST['trace_id']}-{FIRST['span_id']}"
KEYS = [key for key, _ in data_keys(FIRST, FIRST["used"])]


class Asked(monitoring.CommandListener):
    """Keeps the questions that a client sends."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Keep a command that asks."""
        if event.command_name in {"find", "aggregate", "distinct"}:
            self.commands.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Look at nothing."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Look at nothing."""

    def questions(self) -> list[dict[str, Any]]:
        """Return the questions asked of what grows with what is recorded."""
        return [
            command
            for command in self.commands
            if (command.get("find") or command.get("aggregate") or command.get("distinct")) in layout.INDEXES
        ]


@contextmanager
def asked(location: str) -> Iterator[tuple[Reader, Asked]]:
    """Open a store by a client that tells what it sends."""
    listener = Asked()
    reader = MongodbReader(Address(location, options=(("event_listeners", (listener,)),)))
    yield reader, listener
    reader.close()


@pytest.fixture
def location(mongodb: Mongodb) -> Iterator[str]:
    """Give a store that holds a few records."""
    SERVERS["mongodb"] = mongodb
    with MONGODB.new() as place:
        writer = place.writer()
        writer.write([FIRST, *(numbered(number) for number in range(2, 9))])
        writer.write_points([{"name": "cpu", "kind": "gauge", "time": 3}])
        writer.write_logs([{"time": 3, "body": "x"}])
        yield place.location


def wanted_of(command: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the filter of a question."""
    if "pipeline" in command:
        return dict(command["pipeline"][0].get("$match", {}))
    return dict(command.get("filter", command.get("query", {})))


def fields_of(wanted: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Return the fields of which a filter names the values, and those of which it bounds them."""
    named, bounded = set[str](), set[str]()
    for name, condition in wanted.items():
        if name == "$and":
            for branch in condition:
                more_named, more_bounded = fields_of(branch)
                named |= more_named
                bounded |= more_bounded
        elif not isinstance(condition, Mapping) or condition.keys() <= {"$eq", "$in"}:
            named.add(name)
        elif condition.keys() & {"$gt", "$gte", "$lt", "$lte"}:
            bounded.add(name)
    return named, bounded


def is_served(command: Mapping[str, Any], *, in_order: bool) -> bool:
    """Say whether a declared index leads to what is asked for, or has all of it in the order that is asked for.

    Args:
        command: The question.
        in_order: Whether the index must have what it leads to in that order too.
    """
    collection = command.get("find") or command.get("aggregate") or command.get("distinct")
    indexes = [*layout.INDEXES[str(collection)], (("_id", 1),)]
    wanted, order = wanted_of(command), [name for name, _ in dict(command.get("sort", {})).items()]
    if "$or" in wanted:
        return all(is_served({**command, "filter": branch}, in_order=in_order) for branch in wanted["$or"])
    named, bounded = fields_of(wanted)
    for index in ([name for name, _ in index] for index in indexes):
        known = next((place for place, name in enumerate(index) if name not in named), len(index))
        ordered = bool(order) and index[known : known + len(order)] == order
        leads = known > 0 or index[0] in bounded
        if (ordered and (leads or not named | bounded)) or (leads and not (in_order and order)):
            return True
    return False


def is_served_by(client: MongoClient[dict[str, Any]], command: Mapping[str, Any], *, in_order: bool) -> bool:
    """Say whether MongoDB itself uses an index for a question, by what it says of its plan."""
    question = {name: value for name, value in command.items() if name not in {"lsid", "readConcern", "$db"}}
    said = str(client.get_default_database().command({"explain": question, "verbosity": "queryPlanner"}))
    plan = said[said.index("winningPlan") :].partition("rejectedPlans")[0]
    return "COLLSCAN" not in plan and not (in_order and "'stage': 'SORT'" in plan)


def pages(where: Mapping[str, Any]) -> Ask:
    """Return what asks for pages, newest and oldest first, and the second of them."""

    def ask(reader: Reader) -> None:
        for direction in (-1, 1):
            query = Query(where, sort=(("started_at", direction),), limit=2)
            for record in reader.find(query):
                reader.find(Query(where, sort=query.sort, limit=2, after=query.cursor(record.plain)))

    return ask


IN_ORDER: dict[str, Ask] = {
    "all": pages({}),
    "of a run": pages({"run": FIRST["workflow_id"]}),
    "of a workflow": pages({"workflow_id": FIRST["workflow_id"]}),
    "of a campaign": pages({"campaign_id": "paper-7"}),
    "of a name": pages({"name": FIRST["name"]}),
    "of a kind": pages({"kind": {"$in": ["task", "workflow"]}}),
    "of a status": pages({"status": "finished"}),
    "points": lambda reader: reader.points(Window(since=1, until=9, limit=3)),
    "points of a name": lambda reader: reader.points(Window(since=1, name="cpu")),
    "points of a process": lambda reader: reader.points(Window(1, 9, host="node01", pid=1)),
    "points of a record": lambda reader: reader.points(Window(record_id=ID)),
    "logs": lambda reader: reader.logs(Window(since=1, severity=9)),
    "logs of a name": lambda reader: reader.logs(Window(name="x", until=9)),
    "logs of a process": lambda reader: reader.logs(Window(host="node01", pid=1, limit=1)),
    "logs of a record": lambda reader: reader.logs(Window(record_id=ID)),
    "changes": lambda reader: reader.changes(""),
}
FOUND: dict[str, Ask] = {
    "get": lambda reader: reader.get(ID),
    "ids": lambda reader: reader.find(Query({"id": {"$in": [ID]}})),
    "ancestors": lambda reader: reader.ancestors(ID),
    "children": lambda reader: reader.children(ID),
    "linked": lambda reader: reader.linked([ID]),
    "generated": lambda reader: reader.generated(KEYS),
    "used": lambda reader: reader.used(KEYS),
    "in a trace": lambda reader: reader.find(Query({"trace_id": TRACE}, limit=3)),
    "an id's first digits": lambda reader: reader.find(Query({"id": {"$gte": ID[:9], "$lt": ID[:9] + "g"}})),
    "a span id's first digits": lambda reader: reader.find(Query({"span_id": {"$gte": "ab", "$lt": "abg"}})),
    "count of a status": lambda reader: reader.count(Query({"status": "error"})),
    "count of a run": lambda reader: reader.count(Query({"run": FIRST["workflow_id"]})),
    "names of a run": lambda reader: reader.distinct("name", Query({"run": FIRST["workflow_id"]})),
    "changes of lines": lambda reader: reader.changes(None),
}


@pytest.mark.parametrize("question", [*IN_ORDER, *FOUND])
def test_every_question_is_served_by_an_index(location: str, mongodb: Mongodb, question: str) -> None:
    """No question makes the server look through a collection, and what is asked for in pages is not sorted there."""
    in_order = question in IN_ORDER
    with asked(location) as (reader, listener), MongoClient[dict[str, Any]](location) as client:
        (IN_ORDER | FOUND)[question](reader)

        assert listener.questions()
        for command in listener.questions():
            assert is_served(command, in_order=in_order), command
            assert mongodb.found.service != "mongodb" or is_served_by(client, command, in_order=in_order), command


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("limit", [None, 1, 3, 6])
def test_what_started_at_one_moment_is_in_order_of_ids(mongodb: Mongodb, direction: int, limit: int | None) -> None:
    """Records of one start come in order of their ids, in whatever pieces, though no index knows that order."""
    SERVERS["mongodb"] = mongodb
    plains = [
        numbered(number, started_at=10**18 + number // 4, ended_at=10**18 + 9, span_id=f"{97 * number % 16:016x}")
        for number in range(13)
    ]
    with MONGODB.new() as place:
        place.writer().write(plains)
        reader, query = place.reader(), Query(sort=(("started_at", direction),), limit=limit)
        expected, found = Query(sort=query.sort).ordered([*plains]), list[PlainRecord]()
        while page := reader.find(query):
            found += [record.plain for record in page]
            query = Query(sort=query.sort, limit=limit, after=query.cursor(page[-1].plain))

    assert content(found) == content(expected)


def test_an_older_store_is_given_the_indexes(mongodb: Mongodb) -> None:
    """A store with the indexes of before gets those of now at the first write; those of others stay."""
    location = mongodb.new_database()

    def indexes_of(name: str) -> Sequence[str]:
        return sorted(database[name].index_information())

    with MongoClient[dict[str, Any]](location) as client:
        database = client.get_default_database()
        records = database[layout.RECORDS]
        for field in ("run", "name", "kind", "status"):
            records.create_index([(field, 1), ("started_at", -1), ("_id", 1)])
        records.create_index([("started_at", -1), ("_id", 1)])
        records.create_index("used.lr")
        database[layout.LOGS].create_index(layout.NAMED)
        database[layout.META].insert_one({"_id": layout.FORMAT_ID, "format": 1})
        writer = open_writer(location)
        writer.write([FIRST])
        writer.close()

        expected = {"_id_", *("_".join(f"{key}_{way}" for key, way in index) for index in layout.INDEXES["records"])}
        assert indexes_of(layout.RECORDS) == sorted({*expected, "used.lr_1"})
        assert f"{layout.NAMED}_1" not in indexes_of(layout.LOGS)
        assert database[layout.META].find_one({"_id": layout.FORMAT_ID}) == {
            "_id": layout.FORMAT_ID,
            "format": layout.FORMAT,
            "indexes": layout.INDEX_SET,
        }
