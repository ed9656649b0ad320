"""OpenTelemetry's own instrumentations, against real servers, under our provider: they nest with tasks both ways."""

from __future__ import annotations

from collections import Counter

from provtel_model.record import Record

from tests.instrumentation.programs import Stage
from tests.instrumentation.test_logs import lines
from tests.services.kafka.server import Kafka
from tests.services.mongodb.server import Mongodb

PROVIDER = """
from opentelemetry import _logs, trace
from provtel import task, workflow
from provtel.otel.logger import JournalLoggerProvider
from provtel.otel.provider import TracerProvider
trace.set_tracer_provider(TracerProvider())
_logs.set_logger_provider(JournalLoggerProvider())
"""
SQLALCHEMY = """
import sqlalchemy
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
SQLAlchemyInstrumentor().instrument()
engine = sqlalchemy.create_engine("sqlite://")
with workflow("main"):
    with task("query"), engine.connect() as connection:
        connection.execute(sqlalchemy.text("select 1"))
"""
THREADING = """
import threading
from concurrent.futures import ThreadPoolExecutor
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
ThreadingInstrumentor().instrument()

@task
def leaf(x):
    return x

with workflow("main"):
    thread = threading.Thread(target=leaf, args=(1,))
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(leaf, 2).result()
"""
LOGGING = """
import logging
from opentelemetry.instrumentation.logging import LoggingInstrumentor
LoggingInstrumentor().instrument()
with task("says"):
    logging.getLogger("mine").warning("inside %d", 1)
"""
GRPC = """
from concurrent import futures
import grpc
from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient, GrpcInstrumentorServer
GrpcInstrumentorServer().instrument()
GrpcInstrumentorClient().instrument()

@task
def answer(request):
    return len(request)

class Service(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: bytes([answer(request)]))

server = grpc.server(futures.ThreadPoolExecutor(1))
server.add_generic_rpc_handlers([Service()])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with workflow("main"), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    with task("asks"):
        assert channel.unary_unary("/things.Things/Count")(b"four") == bytes([4])
server.stop(None).wait()
"""
KAFKA = """
import sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas in a way that is no longer liked
from kafka import KafkaConsumer, KafkaProducer
from opentelemetry.instrumentation.kafka import KafkaInstrumentor
KafkaInstrumentor().instrument()
producer = KafkaProducer(bootstrap_servers=sys.argv[1])
with workflow("main"), task("sends"):
    producer.send("contrib", b"said").get(30)
producer.close()
consumer = KafkaConsumer(
    "contrib", bootstrap_servers=sys.argv[1], auto_offset_reset="earliest", consumer_timeout_ms=30_000
)
assert next(consumer).value == b"said"
consumer.close()
"""
MONGODB = """
import sys
import pymongo
from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
PymongoInstrumentor().instrument()
with pymongo.MongoClient(sys.argv[1]) as client:
    with workflow("main"), task("keeps"):
        client["contrib"]["said"].insert_one({"x": 1})
"""


def edges(stage: Stage, program: str, *arguments: str) -> tuple[list[tuple[str, str]], dict[str, Record]]:
    """Run a program; return which record is inside of which, by name, and the records."""
    stage.run(PROVIDER + program, *arguments, quiet=False)
    records = stage.records()
    names = {record.id: record.name for record in records}
    found = Counter((names[record.parent_id], record.name) for record in records if record.parent_id)
    return sorted(found.elements()), {record.name: record for record in records}


def test_sqlalchemy(stage: Stage) -> None:
    """What a task asks a database is inside of the task."""
    found, records = edges(stage, SQLALCHEMY)

    assert found == [("main", "query"), ("query", "connect"), ("query", "select")]
    assert records["select"].attributes["db.statement"] == "select 1"
    assert records["connect"].workflow_id == records["main"].id


def test_threading(stage: Stage) -> None:
    """Threads, and those of pools, take the running task along."""
    found, _ = edges(stage, THREADING)

    assert found == [("main", "leaf"), ("main", "leaf")]


def test_logging(stage: Stage) -> None:
    """A line that is logged in a task has the task's ids."""
    stage.run(PROVIDER + LOGGING, quiet=False)
    (line,) = lines(stage.store)

    assert (line["body"], line["severity_text"], line["scope"]["name"]) == ("inside 1", "WARN", "mine")
    assert line["span_id"] != ""


def test_grpc(stage: Stage) -> None:
    """A call from a task to a server, and the task that answers it, are one trace through both sides."""
    found, records = edges(stage, GRPC)
    call = "/things.Things/Count"

    assert found == [(call, call), (call, "answer"), ("asks", call), ("main", "asks")]
    assert records["answer"].trace_id == records["main"].trace_id
    assert records["answer"].used == {"request": b"four"}


def test_kafka(stage: Stage, kafka: Kafka) -> None:
    """What a task sends to Kafka is inside of the task, and what takes it from there is in its trace."""
    found, records = edges(stage, KAFKA, kafka.address)

    assert ("sends", "contrib send") in found
    assert records["contrib receive"].trace_id == records["main"].trace_id


def test_pymongo(stage: Stage, mongodb: Mongodb) -> None:
    """What a task writes into MongoDB is inside of the task."""
    found, records = edges(stage, MONGODB, mongodb.address)

    assert ("keeps", "contrib.insert") in [(outer, inner.replace("said.", "")) for outer, inner in found]
    assert records["keeps"].parent_id == records["main"].id
