"""The exporter `mongodb` and its store, against a real server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.metadata import entry_points
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from provtel_exporters.mongodb import MongodbConfig, MongodbExporter, factory, open_reader, open_writer
from provtel_exporters.mongodb.config import MongodbTls, WriteConcern
from provtel_exporters.mongodb.connection import Connection
from provtel_model.components import Batch, Context, Reader, Signal
from provtel_model.errors import PermanentError, RetryableError, StoreError
from provtel_model.filters import Query
from provtel_model.otlp import check, encode
from provtel_model.settings import Duration, Secret
from provtel_model.telemetry import Window
from pymongo import MongoClient

from tests.exporters.records import content, numbered
from tests.services.found import Found
from tests.services.mongodb.names import ZONE, names_on_this_machine
from tests.services.mongodb.server import PASSWORD, USER, USERS_DATABASE, Mongodb, running

OLDEST_FIRST = Query(sort=(("started_at", 1),))


class Told(Counter[str]):
    """Counts what an exporter reports."""

    def __call__(self, name: str, count: int, attributes: Mapping[str, str]) -> None:
        """Add a report up."""
        assert attributes == {"exporter": "mongodb/here"}
        self[name] += count


@contextmanager
def exporting(address: str, told: Told | None = None, **others: Any) -> Iterator[MongodbExporter]:
    """Run an exporter into a database."""
    context = Context("mongodb/here", {}, Told() if told is None else told)
    exporter = factory.create(MongodbConfig(endpoint=address, **others), context)
    assert isinstance(exporter, MongodbExporter)
    exporter.start()
    yield exporter
    exporter.shutdown()


@contextmanager
def reading(address: str) -> Iterator[Reader]:
    """Open a database."""
    reader = open_reader(address)
    yield reader
    reader.close()


def test_it_is_found_by_its_entry_points() -> None:
    """The name `mongodb` leads to this exporter, this reader and this writer."""
    for group, found in (("exporters", factory), ("readers", open_reader), ("writers", open_writer)):
        (point,) = entry_points(group=f"provtel.{group}", name="mongodb")

        assert point.load() is found


def test_batches_become_documents(mongodb: Mongodb) -> None:
    """Spans and open activities are merged into the store, and stored and duplicate records are reported."""
    address, told = mongodb.new_database(), Told()
    ended = [numbered(number) for number in range(3)]
    running = numbered(7, status="running", last_seen_at=1_790_000_000_000_009_000)
    del running["ended_at"]
    with exporting(address, told) as exporter:
        for batch in [*encode([*ended, running]), *encode(ended[:1])]:
            exporter.consume(batch)

    assert told == {"exporter_stored_records": 4, "exporter_duplicate_records": 1}
    with reading(address) as reader:
        found = reader.find(OLDEST_FIRST)
        assert [record.status for record in found] == ["finished"] * 3 + ["running"]
        assert [record.used["number"] for record in found] == [0, 1, 2, 7]


def test_metrics_and_logs_are_kept_once(mongodb: Mongodb) -> None:
    """Data points and log records are there, each once however often they come, with the record that a log names."""
    address, told = mongodb.new_database(), Told()
    metrics = ExportMetricsServiceRequest()
    gauge = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="system.cpu.utilization").gauge
    for number in range(3):
        gauge.data_points.add(time_unix_nano=10**18 + number, as_double=number / 2)
    logs = ExportLogsServiceRequest()
    log = logs.resource_logs.add().scope_logs.add().log_records.add(severity_number=9, time_unix_nano=10**18)
    log.body.string_value, log.trace_id, log.span_id = "half way", b"t" * 16, b"s" * 8
    with exporting(address, told) as exporter:
        for _ in range(2):
            exporter.consume(check(Signal.METRICS, metrics.SerializeToString()))
            exporter.consume(check(Signal.LOGS, logs.SerializeToString()))

    assert told == {"exporter_stored_records": 4, "exporter_duplicate_records": 4}
    with reading(address) as reader:
        points = reader.points(Window(since=10**18 + 1, name="system.cpu.utilization"))
        assert [point["value"] for point in points] == [0.5, 1.0]
        (found,) = reader.logs(Window(record_id=f"{'74' * 16}-{'73' * 8}", severity=9))
        assert found["body"] == "half way"
        assert reader.logs(Window(severity=10)) == []


def test_plain_clients_find_things(mongodb: Mongodb) -> None:
    """MongoDB's own client finds records by the names that provtel uses."""
    address = mongodb.new_database()
    with exporting(address) as exporter:
        for batch in encode([numbered(number) for number in range(20)]):
            exporter.consume(batch)
    with MongoClient[dict[str, Any]](address) as client:
        records = client.get_default_database()["records"]

        assert [
            found["used"]["number"] for found in records.find({"used.number": {"$gt": 17}}).sort("used.number")
        ] == [18, 19]
        assert records.count_documents({"resource.host.name": "node01", "status": "finished"}) == 20
        assert records.count_documents({"name": "task 3"}) == 3


def test_one_bad_record_does_not_take_others_along(mongodb: Mongodb) -> None:
    """A record that no server takes is refused for good, and leaves nothing behind."""
    address = mongodb.new_database()
    writer = open_writer(address)
    with pytest.raises(PermanentError, match="cannot be stored"):
        writer.write([numbered(1), numbered(2, span_id="no id")])
    writer.close()

    with reading(address) as reader:
        assert reader.count(Query()) == 0


def test_what_cannot_be_decoded_is_a_permanent_error(mongodb: Mongodb) -> None:
    """Bytes that are no OTLP request are refused for good."""
    with exporting(mongodb.new_database()) as exporter, pytest.raises(PermanentError):
        exporter.consume(Batch(Signal.TRACES, b"\xff\xff", 1))


def test_no_server_is_for_now() -> None:
    """Where nobody listens a batch is refused for now, and the error says where it was to go and shows no password."""
    login: dict[str, Any] = {"username": "me", "password": Secret("hunter2"), "timeout": Duration(0.2)}
    (batch,) = encode([numbered(1)])
    with (
        exporting("mongodb://127.0.0.1:1/x", **login) as exporter,
        pytest.raises(RetryableError, match=r"127\.0\.0\.1:1") as error,
    ):
        exporter.consume(batch)

    assert "hunter2" not in str(error.value)


def test_large_records_come_back_and_go(mongodb: Mongodb) -> None:
    """A record over 16 MB is stored, found, replaced by a later state, and leaves nothing when its run is deleted."""
    address = mongodb.new_database()
    large = {"text": "x" * (17 * 2**20)}
    running = numbered(1, status="running", used=large)
    writer = open_writer(address)
    assert writer.write([running]).stored == 1
    assert writer.write([running]).duplicates == 1
    ended = numbered(1, used=large)
    assert writer.write([ended]).stored == 1
    with reading(address) as reader:
        assert content([record.plain for record in reader.find(Query({"used.text": {"$exists": True}}))]) == content(
            [ended]
        )
    assert writer.delete([ended["workflow_id"]]) == 1
    writer.close()

    with MongoClient[dict[str, Any]](address) as client:
        database = client.get_default_database()
        assert [database[name].count_documents({}) for name in ("records", "parts")] == [0, 0]


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("mongodb://me:hunter2@127.0.0.1:1/x?serverSelectionTimeoutMS=100", "127.0.0.1:1"),
        ("mongodb://me:hun@ter2:@h/x", "no address of a MongoDB"),
        ("mongodb://me:hunter2@h:port/x", "no address of a MongoDB"),
        ("mongodb://localhost/x?tls=maybe", "no address of a MongoDB"),
        ("mongodb+srv://me:hunter2@nowhere.provtel.invalid/x", "nowhere.provtel.invalid"),
    ],
)
def test_wrong_places_are_told(location: str, message: str) -> None:
    """A store that cannot be opened is told with its address, and no password is in the text."""
    with pytest.raises(StoreError, match=message) as error:
        open_reader(location)

    assert "hunter2" not in str(error.value)
    assert "ter2" not in str(error.value)


def test_an_empty_database_is_told(mongodb: Mongodb) -> None:
    """A database that nobody wrote to is no store, and the text says how to name another."""
    with pytest.raises(StoreError, match="nothing was written to it yet; name the database"):
        open_reader(mongodb.new_database())


def test_a_newer_format_is_told(mongodb: Mongodb) -> None:
    """A store of a format that this version does not know is neither read nor written."""
    address = mongodb.new_database()
    with MongoClient[dict[str, Any]](address) as client:
        client.get_default_database()["meta"].insert_one({"_id": "format", "format": 99})
    for open_ in (open_reader, open_writer):
        with pytest.raises(StoreError, match="format 99"):
            open_(address)


def test_shutdown_twice_and_without_start() -> None:
    """Shutting down is safe when it never started, and again."""
    exporter = factory.create(MongodbConfig(), Context("mongodb/here", {}, Told()))
    exporter.shutdown()
    exporter.start()
    exporter.shutdown()
    exporter.shutdown()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"endpoint": "localhost:27017"}, "must begin with"),
        ({"endpoint": "mongodb://me:secret@localhost"}, "must hold no username and password"),
        ({"endpoint": "mongodb:///x"}, "names no host"),
        ({"username": "me"}, "password is required"),
        ({"password": Secret("x")}, "username is required"),
    ],
)
def test_configuration_that_cannot_work_is_refused(values: dict[str, Any], message: str) -> None:
    """A configuration with which no batch could be delivered, or a password shown, is refused at once."""
    with pytest.raises(ValueError, match=message):
        MongodbConfig(**values)


@pytest.fixture(scope="module")
def secured(found_ferretdb: Found, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongodb]:
    """Run a server that speaks TLS and asks who one is."""
    with running(found_ferretdb, tmp_path_factory.mktemp("ferretdb"), users=True) as server:
        yield server


def login(server: Mongodb, **others: Any) -> dict[str, Any]:
    """Return who the tests are, and how they know the server."""
    tls = MongodbTls(ca_file=str(server.authority))
    known = {"username": USER, "password": Secret(PASSWORD), "auth_source": USERS_DATABASE, "tls": tls}
    return {**known, "auth_mechanism": "SCRAM-SHA-256", "database": "secured", **others}


def test_it_says_who_it_is_and_knows_the_server(secured: Mongodb) -> None:
    """By TLS and with a password a batch is delivered, and read back by an address that has both in it."""
    endpoint = f"mongodb://localhost:{secured.tls_port}"
    with exporting(endpoint, **login(secured)) as exporter:
        for batch in encode([numbered(1)]):
            exporter.consume(batch)
    options = f"authSource={USERS_DATABASE}&tls=true&tlsCAFile={secured.authority}"
    with reading(f"mongodb://{USER}:{PASSWORD}@localhost:{secured.tls_port}/secured?{options}") as reader:
        assert reader.count(Query()) == 1


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"password": Secret("wrong-password")}, "Authentication failed"),
        ({"username": "", "password": Secret(""), "auth_mechanism": "", "auth_source": ""}, "requires authentication"),
        ({"tls": MongodbTls()}, "certificate verify failed"),
        ({"tls": MongodbTls(insecure=True)}, "connection closed|reset by peer"),
    ],
)
def test_who_is_not_let_in_tries_again(secured: Mongodb, others: dict[str, Any], message: str) -> None:
    """A wrong password, none, an unknown authority and no TLS are refusals for now, and no password is in the text."""
    (batch,) = encode([numbered(1)])
    with (
        exporting(
            f"mongodb://localhost:{secured.tls_port}", **login(secured, **others), timeout=Duration(1)
        ) as exporter,
        pytest.raises(RetryableError, match=message) as error,
    ):
        exporter.consume(batch)

    assert PASSWORD not in str(error.value)
    assert "wrong-password" not in str(error.value)


def test_a_cluster_is_found_by_its_name(secured: Mongodb) -> None:
    """A collector starts while its name is not known, finds the servers when it is, and speaks TLS with them."""
    tls = {"tls": MongodbTls(insecure_skip_verify=True)}  # the certificate is this machine's
    (batch,) = encode([numbered(1)])
    with (
        names_on_this_machine() as names,
        exporting(f"mongodb+srv://{ZONE}", **login(secured, database="found", **tls)) as exporter,
    ):
        assert names.asked == []
        with pytest.raises(RetryableError, match="DNS query name does not exist"):
            exporter.consume(batch)
        names.port = secured.tls_port
        exporter.consume(batch)

    assert f"_mongodb._tcp.{ZONE}. IN SRV" in names.asked


def test_a_client_is_what_its_configuration_says() -> None:
    """Who writes, when a write counts and what is read reach the client, one for all who want the same."""
    concern = WriteConcern(2, journal=False, timeout=Duration(3))
    config = MongodbConfig(
        "mongodb://h/x?retryWrites=false", app_name="mine", write_concern=concern, read_concern="local"
    )
    with closing(Connection(config.address())) as one, closing(Connection(config.address())) as other:
        client = one.database.client
        assert client is other.database.client
        assert client.write_concern.document == {"w": 2, "j": False, "wtimeout": 3000}
        assert client.read_concern.level == "local"
        assert (client.options.pool_options.appname, client.options.retry_writes) == ("mine", False)
    with closing(Connection(MongodbConfig().address())) as usual:
        client = usual.database.client
        assert client.write_concern.document == {"w": "majority", "j": True}
        assert (client.read_concern.level, client.options.pool_options.appname) == ("majority", "provtel")


def test_a_missing_file_of_tls_is_told_at_the_start() -> None:
    """An authority that is not there stops the collector with its name."""
    exporter = factory.create(
        MongodbConfig(tls=MongodbTls(ca_file="/nowhere/ca.pem")), Context("mongodb/here", {}, Told())
    )

    with pytest.raises(StoreError, match=r"/nowhere/ca\.pem"):
        exporter.start()


def test_what_a_server_refuses_takes_nothing_along(secured: Mongodb) -> None:
    """A server that takes no infinite numbers refuses the one record for good, and has the others of its batch."""
    endpoint, database = f"mongodb://localhost:{secured.tls_port}", "refusing"
    odd = numbered(2, generated={"loss": float("inf")})
    with exporting(endpoint, **login(secured, database=database)) as exporter:
        for batch in encode([numbered(1), odd, numbered(3)]):
            with pytest.raises(PermanentError, match=r"1 documents are refused: .*infinity"):
                exporter.consume(batch)
    options = f"authSource={USERS_DATABASE}&tls=true&tlsCAFile={secured.authority}"
    with reading(f"mongodb://{USER}:{PASSWORD}@localhost:{secured.tls_port}/{database}?{options}") as reader:
        assert [record.used["number"] for record in reader.find(OLDEST_FIRST)] == [1, 3]
