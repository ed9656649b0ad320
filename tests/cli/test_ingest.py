"""The command that brings foreign OTLP into a store."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from provtel_model.filters import Query
from provtel_model.otlp import encode, to_json
from provtel_model.otlp.encode_observations import encode_logs, encode_points
from provtel_model.telemetry import Window
from provtel_query.stores import open_reader

from tests.cli.conftest import Ask
from tests.exporters.records import numbered
from tests.services.kafka.server import PASSWORD, USER, Kafka
from tests.services.kafka.topics import make_topic
from tests.services.otelcol.server import Otelcol

STORE = ("--store", "in.jsonl", "--json")


def payload(*numbers: int) -> bytes:
    """Return a request of numbered tasks in protobuf."""
    (batch,) = encode(numbered(number) for number in numbers)
    return batch.payload


def line(*numbers: int) -> bytes:
    """Return a request of numbered tasks as a line of JSON."""
    (batch,) = encode(numbered(number) for number in numbers)
    return to_json(batch.signal, batch.payload) + b"\n"


def stored() -> list[int]:
    """Return the numbers of the tasks in the store."""
    reader = open_reader("in.jsonl")
    found = [record.used["number"] for record in reader.find(Query(sort=(("started_at", 1),)))]
    reader.close()
    return found


@pytest.fixture(autouse=True)
def _here(folder: Path) -> None:
    """Work in an empty folder."""
    assert folder == Path.cwd()


def test_files_of_every_form(ask: Ask) -> None:
    """Files of lines, of protobuf and compressed ones are taken together; what comes again is a duplicate."""
    (points,) = encode_points([{"name": "rss", "kind": "gauge", "time": 5, "value": 3}])
    (logs,) = encode_logs([{"time": 5, "body": "said"}])
    Path("a.jsonl").write_bytes(line(0) + line(1))
    Path("b.gz").write_bytes(gzip.compress(line(2)))
    Path("c.pb").write_bytes(payload(3))
    Path("d.bin").write_bytes(b"".join(len(one).to_bytes(4, "big") + one for one in (payload(4), payload(1, 5))))
    Path("e.jsonl").write_bytes(b"".join(to_json(one.signal, one.payload) + b"\n" for one in (points, logs)))
    first = ask("ingest", "a.jsonl", "b.gz", "c.pb", "d.bin", "e.jsonl", *STORE).objects[0]

    assert first == {
        "requests": 8,
        "records": {"stored": 6, "duplicates": 1},
        "points": {"stored": 1, "duplicates": 0},
        "logs": {"stored": 1, "duplicates": 0},
        "skipped": 0,
        "malformed": 0,
        "reasons": [],
    }
    assert stored() == [0, 1, 2, 3, 4, 5]
    assert [log["body"] for log in open_reader("in.jsonl").logs(Window())] == ["said"]
    again = ask("ingest", "a.jsonl", "e.jsonl", "--store", "in.jsonl")
    assert again.out == (
        "4 requests: 0 records stored, 2 there already; 0 data points stored, 1 there already; "
        "0 log records stored, 1 there already\n"
    )


def test_the_store_is_the_nearest_by_default(ask: Ask) -> None:
    """Without a store the one that recording would write to takes it."""
    Path("a.jsonl").write_bytes(line(0, 1))

    assert ask("ingest", "a.jsonl").code == 0
    assert len(ask("tasks", "--json").objects) == 2


def test_standard_input(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe is taken as a file is."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(line(0)))))

    assert ask("ingest", "-", *STORE).objects[0]["records"]["stored"] == 1


@pytest.mark.parametrize("keep_going", [False, True])
def test_what_is_malformed_ends_it_or_is_passed_over(ask: Ask, keep_going: bool) -> None:
    """Everything before a malformed line is stored, nothing of it is, and what follows only if asked; all is told."""
    Path("a.jsonl").write_bytes(line(0) + b"nonsense\n" + line(1) + line(2)[:-20])
    Path("b.jsonl").write_bytes(line(3))
    answer = ask("ingest", "a.jsonl", "b.jsonl", *STORE, *(["--keep-going"] if keep_going else []))

    assert "a.jsonl: line 2: it is no JSON" in answer.err
    if keep_going:
        assert answer.code == 0
        assert "a.jsonl: line 4: it is not whole" in answer.err
        assert stored() == [0, 1, 3]
    else:
        assert answer.code == 1
        assert answer.objects[0]["records"] == {"stored": 1, "duplicates": 0}
        assert answer.objects[0]["malformed"] == 1
        assert stored() == [0]


def test_what_no_store_takes_is_found(ask: Ask) -> None:
    """One request that cannot be stored ends it behind those before, whichever were written with it."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"\1" * 3, span_id=b"\1" * 8, name="short")
    Path("a.bin").write_bytes(
        b"".join(len(one).to_bytes(4, "big") + one for one in (payload(0), request.SerializeToString(), payload(1)))
    )
    answer = ask("ingest", "a.bin", "--signal", "traces", *STORE)

    assert answer.code == 1
    assert "a.bin: byte " in answer.err
    assert stored() == [0]
    assert ask("ingest", "a.bin", "--signal", "traces", "--keep-going", *STORE).objects[0]["malformed"] == 1
    assert stored() == [0, 1]


def test_spans_without_an_id_are_skipped(ask: Ask) -> None:
    """What cannot be addressed is counted, and the rest is taken."""
    request: Any = json.loads(line(0))
    request["resourceSpans"][0]["scopeSpans"][0]["spans"].append({"name": "nobody"})
    Path("a.json").write_text(json.dumps(request, indent=1))

    assert (
        ask("ingest", "a.json", "--store", "in.jsonl").out
        == "1 request: 1 record stored, 0 there already; 1 item skipped\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("missing.jsonl",), 1, "missing.jsonl cannot be read: No such file"),
        (("a.jsonl", "--from-offset", "3"), 2, "--from-offset is for a topic of Kafka"),
        (("kafka://h:1/t", "--from-offset", "yesterday"), 1, "'yesterday' is neither an offset"),
        (("kafka://user:secret@h:1/t",), 1, "auth.sasl.mechanism must say how to log in: PLAIN, SCRAM-SHA-256 or"),
        (("kafka://h:1/t?signal=odd",), 1, "this is no topic of Kafka"),
        (("kafka://h:1",), 1, "this is no topic of Kafka"),
        (("guess.pb",), 1, "guess.pb: byte 0: it cannot be told whether it carries traces"),
        ((), 2, "Missing argument"),
    ],
)
def test_what_cannot_be_ingested_is_told(ask: Ask, arguments: list[str], code: int, says: str) -> None:
    """A slip is an error that says what and where, and shows no secret."""
    Path("a.jsonl").write_bytes(line(0))
    Path("guess.pb").write_bytes(b"\n\0")
    answer = ask("ingest", *arguments, "--store", "in.jsonl")

    assert answer.code == code
    assert says in answer.err
    assert "secret" not in answer.err


def test_what_otelcol_keeps_is_taken(ask: Ask, otelcol: Otelcol) -> None:
    """A file that the OpenTelemetry Collector's file exporter wrote is taken as it is."""
    headers = {"Content-Type": "application/x-protobuf"}
    request = urllib.request.Request(f"{otelcol.endpoint}/v1/traces", payload(0, 1), headers)  # noqa: S310  # loopback
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310  # loopback
    otelcol.wait_for_spans(2)
    answer = ask("ingest", str(otelcol.folder / "traces.jsonl"), *STORE)

    assert answer.objects[0]["records"]["stored"] == 2
    assert stored() == [0, 1]


def test_a_topic_is_taken_from_where_one_wants(ask: Ask, kafka: Kafka) -> None:
    """Of a topic with several partitions that is taken which is there, from the beginning, an offset or a moment."""
    topic = make_topic(kafka, partitions=2)
    producer = KafkaProducer(bootstrap_servers=kafka.address)
    for number in range(3):
        producer.send(topic, line(number) if number % 2 else payload(number), partition=0).get(30)
    time.sleep(0.01)
    now = dt.datetime.now(dt.UTC)
    time.sleep(0.01)
    producer.send(topic, payload(3), partition=1).get(30)
    producer.send(topic, b"nonsense", partition=1).get(30)
    producer.send(topic, payload(4), partition=1).get(30)
    producer.close()
    address = f"kafka://{kafka.address}/{topic}"

    since = ask("ingest", address, "--from-offset", now.isoformat(), *STORE)
    assert since.code == 1
    assert f"{topic}: partition 1 offset 1: " in since.err
    assert stored() == [3]
    behind = ask("ingest", address, "--from-offset", "2", "--keep-going", *STORE)
    assert behind.objects[0]["records"] == {"stored": 2, "duplicates": 0}
    assert stored() == [2, 3, 4]
    everything = ask("ingest", f"{address}?signal=traces", "--keep-going", *STORE).objects[0]
    assert everything["records"] == {"stored": 2, "duplicates": 3}
    assert everything["malformed"] == 1
    assert stored() == [0, 1, 2, 3, 4]
    login = f"{USER}:{PASSWORD}@{kafka.address_of('SASL_TLS')}/{topic}?auth.sasl.mechanism=SCRAM-SHA-256"
    secured = ask("ingest", f"kafka://{login}&tls.ca_file={kafka.authority}", "--keep-going", *STORE)
    assert f"kafka://***@localhost:{kafka.ports['SASL_TLS']}/{topic}" in secured.err
    assert (secured.objects[0]["records"]["duplicates"] > 0, PASSWORD in secured.err) == (True, False)
    missing = ask("ingest", f"kafka://{kafka.address}/nothing-there", *STORE)
    assert (missing.code, "there is no topic 'nothing-there'; there are " in missing.err) == (1, True)
