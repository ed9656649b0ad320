"""What a server refuses, or hangs up on, takes no other document along: against FerretDB, which does both."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from provtel_collector.delivery.dead_letters import DeadLetters
from provtel_collector.delivery.isolated import Isolated
from provtel_exporters.mongodb import MongodbConfig, factory, open_reader, open_writer, sending
from provtel_exporters.mongodb.documents import Document
from provtel_exporters.mongodb.layout import document_id
from provtel_exporters.mongodb.sending import HangUps, Sending
from provtel_model.components import Batch, Context
from provtel_model.errors import PermanentError, RetryableError
from provtel_model.filters import Query
from provtel_model.otlp import decode, encode
from provtel_model.record import PlainRecord
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, NetworkTimeout, NotPrimaryError, ServerSelectionTimeoutError

from tests.exporters.records import numbered
from tests.services.found import Found
from tests.services.mongodb.server import Mongodb, running

NAN = {"loss": math.nan}
INFINITE = {"loss": math.inf}


@pytest.fixture(scope="module")
def ferretdb(found_ferretdb: Found, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongodb]:
    """Run a server that hangs up on a NaN, and refuses what is infinite."""
    with running(found_ferretdb, tmp_path_factory.mktemp("ferretdb")) as server:
        yield server


def numbers_in(address: str) -> list[int]:
    """Return the numbers of the records in a database."""
    reader = open_reader(address)
    try:
        return sorted(record.used["number"] for record in reader.find(Query()))
    finally:
        reader.close()


def some(count: int, **odd: Any) -> list[PlainRecord]:
    """Return records, some of which generated something odd: `n3` says what the fourth did."""
    return [
        numbered(number, **({"generated": odd[f"n{number}"]} if f"n{number}" in odd else {})) for number in range(count)
    ]


def test_a_server_that_reads_no_nan(ferretdb: Mongodb) -> None:
    """Records with a NaN are refused with their names, the others are stored, and a later state without one too."""
    address = ferretdb.new_database()
    writer = open_writer(address)
    records = some(9, n3=NAN, n5={"losses": [1.0, {"x": -math.nan}]}, n6=INFINITE)
    with pytest.raises(PermanentError, match=f"3 documents are refused: {document_id(records[3])}: it holds a NaN"):
        writer.write(records)

    assert numbers_in(address) == [0, 1, 2, 4, 7, 8]
    assert writer.write(some(6, n3={"loss": 0.5}, n5={})).stored == 2
    writer.close()
    with MongoClient[dict[str, Any]](address) as client:
        assert client.get_default_database()["writers"].count_documents({}) == 1


def test_the_one_on_which_a_server_hangs_up(ferretdb: Mongodb, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is known of the reason it is found by halving, in inserts and in replacements, and tried once."""
    monkeypatch.setattr(Sending, "_loses_nan", lambda _: False)
    monkeypatch.setattr(sending, "_PAUSES", (0.0,))
    address = ferretdb.new_database()
    writer = open_writer(address)
    running_records = [numbered(number, status="running") for number in range(2)]
    for plain in running_records:
        del plain["ended_at"]
    writer.write(running_records)
    ended = some(5, n1=NAN, n3=NAN)
    with pytest.raises(PermanentError, match=r"2 documents are refused: .* hangs up on it, time and again"):
        writer.write(ended)

    assert numbers_in(address) == [0, 1, 2, 4]
    monkeypatch.setattr(Sending, "_apart", None)
    with pytest.raises(PermanentError, match="2 documents are refused"):
        writer.write(ended)
    writer.close()


def test_only_they_are_put_aside(ferretdb: Mongodb, tmp_path: Path) -> None:
    """Of a batch the spans that no server takes are among the dead letters, each alone, and nothing else is."""
    address, counted = ferretdb.new_database(), Counter[str]()
    exporter = factory.create(MongodbConfig(endpoint=address), Context("mongodb", {}, lambda *_: None))
    exporter.start()
    letters = DeadLetters(tmp_path, "mongodb")
    way = Isolated(exporter, lambda name, count, _: counted.update({name: count}), letters, keeps=True)
    (batch,) = encode(some(12, n2=NAN, n9=INFINITE))
    way.consume(batch)
    exporter.shutdown()

    assert numbers_in(address) == [0, 1, 3, 4, 5, 6, 7, 8, 10, 11]
    assert counted["exporter_dead_lettered_spans"] == 2
    found: list[Batch] = []
    letters.replay(found.append)
    assert [[plain["used"]["number"] for plain in decode(letter)] for letter in found] == [[2], [9]]


class Losing:
    """A write during which connections are lost."""

    def __init__(self, error: AutoReconnect) -> None:
        self.error = error
        self.calls = 0

    def __call__(self, _: Any) -> tuple[list[str], dict[str, str]]:
        """Lose one."""
        self.calls += 1
        raise self.error


@pytest.mark.parametrize("kind", [NetworkTimeout, NotPrimaryError, ServerSelectionTimeoutError])
def test_what_says_nothing_of_documents(kind: type[AutoReconnect], ferretdb: Mongodb) -> None:
    """A silent server, one that is no primary, and none at all, are tried once, and blamed on no document."""
    writer = open_writer(ferretdb.new_database())
    write = Losing(kind("lost"))
    way = Sending(writer._connection.database, HangUps(), lambda document: document.content)
    with pytest.raises(kind):
        way.send([Document("x", b"")], write)
    writer.close()

    assert write.calls == 1
    way.end()


def test_a_server_that_is_gone_is_no_refusal(found_ferretdb: Found, tmp_path: Path) -> None:
    """A batch whose server ends is refused for now, whatever is in it."""
    with running(found_ferretdb, tmp_path) as server:
        writer = open_writer(f"{server.new_database()}?serverSelectionTimeoutMS=300")
        writer.write(some(1))
        server.kill()
        with pytest.raises(RetryableError, match="cannot be written"):
            writer.write(some(3, n1=NAN))
        writer.close()
