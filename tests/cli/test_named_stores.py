"""Stores that a collector's configuration names, asked from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from provtel_exporters.mongodb import MongodbConfig, open_writer
from provtel_exporters.mongodb.config import MongodbTls
from provtel_model.settings import Secret
from pymongo.uri_parser import parse_uri

from tests.cli.conftest import Ask, fill, older_run
from tests.services.kafka.server import PASSWORD, USER, Kafka
from tests.services.kafka.topics import make_topic
from tests.services.mongodb.server import Mongodb


def configure(file: Path, **exporters: dict[str, Any]) -> None:
    """Write the configuration of a collector that sends to some exporters."""
    pipeline = {"receivers": ["otlp"], "exporters": list(exporters)}
    receivers: dict[str, Any] = {"otlp": {"protocols": {"http": {}}}}
    document = {"receivers": receivers, "exporters": exporters, "service": {"pipelines": {"traces": pipeline}}}
    file.write_text(json.dumps(document))


@pytest.fixture
def both(folder: Path, mongodb: Mongodb) -> str:
    """Return a configuration of two stores, one of which has a run."""
    address = mongodb.new_database()
    writer = open_writer(address)
    writer.write(older_run())
    writer.close()
    fill(folder / "near", [])
    config = folder / "both.yaml"
    configure(config, **{"lmdb": {"store": str(folder / "near")}, "mongodb/far": {"endpoint": address}, "debug": {}})
    return str(config)


def test_a_name_leads_to_its_store(both: str, ask: Ask) -> None:
    """With --config, --store is the id of an exporter, and what it wrote is read."""
    far = ask("tasks", "--all", "--json", "--config", both, "--store", "mongodb/far")
    near = ask("tasks", "--all", "--json", "--config", both, "--store", "lmdb")

    assert (far.code, len(far.objects)) == (0, 2)
    assert (near.code, near.objects) == (0, [])


@pytest.mark.parametrize("more", [("--store", "debug"), ("--store", "mongodb"), ()])
def test_a_name_that_is_none_is_told(both: str, ask: Ask, more: tuple[str, ...]) -> None:
    """An id that no store has, and none where there are several, end with the list of stores."""
    answer = ask("tasks", "--config", both, *more)

    assert answer.code == 1
    assert "lmdb, mongodb/far" in answer.err


def test_the_only_store_needs_no_name(folder: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a configuration has one store, --config alone leads to it, whatever the environment says."""
    fill(folder / "near", older_run())
    configure(folder / "one.yaml", lmdb={"store": str(folder / "near")}, debug={})
    monkeypatch.setenv("PROVTEL_STORE", "elsewhere")

    assert len(ask("tasks", "--all", "--json", "--config", "one.yaml").objects) == 2


def test_kafka_is_reached_as_its_exporter_reaches_it(folder: Path, ask: Ask, kafka: Kafka) -> None:
    """A named exporter into Kafka leads to its topic, with its login and TLS; unnamed it is no store to ask."""
    fill(folder / "near", older_run())
    sasl = {"mechanism": "PLAIN", "username": USER, "password": PASSWORD}
    configure(
        folder / "kafka.yaml",
        lmdb={"store": str(folder / "near")},
        kafka={
            "brokers": [kafka.address_of("SASL_TLS")],
            "auth": {"sasl": sasl},
            "tls": {"ca_file": str(kafka.authority)},
            "traces": {"topic": make_topic(kafka)},
        },
    )

    assert "it can only be watched" in ask("tasks", "--config", "kafka.yaml", "--store", "kafka").err
    assert len(ask("tasks", "--all", "--json", "--config", "kafka.yaml").objects) == 2


def test_a_token_is_for_a_collector(folder: Path, ask: Ask) -> None:
    """A login that takes an extension's token cannot be used by a command, which says so."""
    sasl = {"mechanism": "OAUTHBEARER", "oauthbearer_token_source": "bearertokenauth"}
    configure(folder / "kafka.yaml", kafka={"auth": {"sasl": sasl}})
    answer = ask("watch", "--config", "kafka.yaml", "--store", "kafka")

    assert answer.code == 1
    assert "a login by OAUTHBEARER takes a token of an extension" in answer.err


def test_a_wrong_configuration_is_told(folder: Path, ask: Ask) -> None:
    """A configuration that cannot be read ends the command with what is wrong in it."""
    configure(folder / "wrong.yaml", mongodb={"endpoint": "here"})
    answer = ask("tasks", "--config", "wrong.yaml", "--store", "mongodb")

    assert answer.code == 1
    assert "endpoint must begin with mongodb://" in answer.err


def test_the_location_of_mongodb_has_all_that_reading_needs() -> None:
    """User, password, TLS and options of a configuration are in the location, quoted as addresses want it."""
    config = MongodbConfig(
        endpoint="mongodb://a:1,b:2/x?replicaSet=rs0",
        database="provtel",
        username="me@here",
        password=Secret("p:w/@"),
        auth_source="admin",
        tls=MongodbTls(insecure_skip_verify=True),
    )
    parsed = parse_uri(config.location())

    assert parsed["nodelist"] == [("a", 1), ("b", 2)]
    assert (parsed["username"], parsed["password"], parsed["database"]) == ("me@here", "p:w/@", "provtel")
    assert parsed["options"]["replicaSet"] == "rs0"
    assert parsed["options"]["authSource"] == "admin"
    assert parsed["options"]["tls"] is True
    assert parsed["options"]["tlsAllowInvalidCertificates"] is True
