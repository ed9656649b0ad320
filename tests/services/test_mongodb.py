"""The servers of MongoDB's protocol that tests talk to."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymongo import MongoClient

from tests.services.found import Found, MissingServiceError
from tests.services.mongodb import finding
from tests.services.mongodb.server import Mongodb, running


def test_document_comes_back(mongodb: Mongodb) -> None:
    """The server of most tests takes a document and gives it back."""
    with MongoClient[dict[str, int]](mongodb.new_database()) as client:
        collection = client.get_default_database()["things"]
        collection.insert_one({"_id": 1, "value": 2})

        assert collection.find_one({"value": 2}) == {"_id": 1, "value": 2}


def test_document_outlives_a_kill(found_durable_mongodb: Found, tmp_path: Path) -> None:
    """What the server that tests kill has acknowledged is there when it starts again."""
    with running(found_durable_mongodb, tmp_path / "server") as server:
        address = server.new_database()
        with MongoClient[dict[str, int]](address) as client:
            client.get_default_database()["things"].insert_one({"_id": 1})
        server.kill()
        server.start()
        with MongoClient[dict[str, int]](address) as client:
            assert client.get_default_database()["things"].find_one() == {"_id": 1}


def test_given_address_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """PROVTEL_TEST_MONGODB wins over PATH and over the registries, and is used as it is."""
    monkeypatch.setenv(finding.GIVEN, "mongodb://db.example:27017")
    found = finding.find_any()
    server = Mongodb(found, Path(), 0, 0)

    assert str(found) == "mongodb: PROVTEL_TEST_MONGODB (at the address in PROVTEL_TEST_MONGODB)"
    assert server.new_database().startswith("mongodb://db.example:27017/test_")


def test_nothing_to_get_one_with_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a server, Java and Go, the messages say what to install."""
    monkeypatch.delenv(finding.GIVEN, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(MissingServiceError, match="no java on PATH"):
        finding.find_any()
    with pytest.raises(MissingServiceError, match="no go to build"):
        finding.find_durable()
