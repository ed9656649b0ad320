"""Records, data points and log records as documents of MongoDB: nothing is lost, and names lead to what they name."""

from __future__ import annotations

from typing import Any, cast

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_exporters.mongodb.documents import CODEC, MAX_DOCUMENT, PART_BYTES, Document, Encoder, to_plain
from provtel_exporters.mongodb.layout import OURS, document_id, key_number, key_numbers
from provtel_model.components import Batch, Signal
from provtel_model.dataflow import data_keys
from provtel_model.otlp.observations import decode_logs, decode_points
from provtel_model.record import PlainRecord
from provtel_model.telemetry import PlainLog, PlainPoint, observation_id

from tests.exporters.records import PLAIN_RECORDS, content, numbered
from tests.model.strategies import METRIC_REQUESTS, OTHER_LOG_REQUESTS

STAMP = {"by": "0" * 16, "batch": 1, "number": 0}


def document_of(encoder: Encoder, plain: PlainRecord) -> Document:
    """Return the document of a record."""
    return encoder.record(document_id(plain), plain, STAMP)


def record_document(**fields: Any) -> Document:
    """Return the document of a record with some fields."""
    return document_of(Encoder(), numbered(1, **fields))


def read(document: Document) -> dict[str, Any]:
    """Return a document as pymongo reads it."""
    return bson.decode(document.content, CODEC)


def back(document: Document) -> Any:
    """Return what a document holds, with its parts."""
    parts = {part.id: part.data for part in document.parts}
    return to_plain(read(document), lambda _, ids: b"".join(parts[each] for each in ids))


@given(plain=PLAIN_RECORDS)
@settings(max_examples=300)
def test_any_record_comes_back(plain: PlainRecord) -> None:
    """Whatever names and values a record has, its document holds all of it."""
    assert content([back(document_of(Encoder(), plain))]) == content([plain])


@given(points=METRIC_REQUESTS, logs=OTHER_LOG_REQUESTS)
@settings(max_examples=60)
def test_any_data_point_and_log_record_comes_back(points: Any, logs: Any) -> None:
    """Whatever OTLP carries of metrics and logs, the documents hold all of it, under the ids of their content."""
    plains: list[PlainPoint | PlainLog] = [
        *decode_points(Batch(Signal.METRICS, points.SerializeToString(), 1)),
        *decode_logs(Batch(Signal.LOGS, logs.SerializeToString(), 1)),
    ]
    for plain in plains:
        document = Encoder().observation(plain)

        assert document.id == observation_id(plain)
        assert content([back(document)]) == content([cast("PlainRecord", plain)])


@given(plains=st.lists(PLAIN_RECORDS, min_size=2, max_size=4))
def test_what_records_share_is_not_mixed(plains: list[PlainRecord]) -> None:
    """One encoder for many records, some of which share a resource, gives each its own."""
    shared = [cast("PlainRecord", {**plain, "resource": plains[0].get("resource", {})}) for plain in plains]
    encoder = Encoder()

    assert content([back(document_of(encoder, plain)) for plain in shared]) == content(shared)


def test_things_are_found_by_their_names() -> None:
    """Values of users and attributes of OpenTelemetry lie where their names say, without a second copy."""
    document = read(
        record_document(
            used={"lr": 0.1, "layers": [3, 4], "model": {"kind": "cnn"}},
            telemetry={"cpu.user": 0.5, "memory.rss": 7},
            resource={"host.name": "node01", "process.pid": 1},
        )
    )

    assert document["used"] == {"lr": 0.1, "layers": [3, 4], "model": {"kind": "cnn"}}
    assert document["telemetry"] == {"cpu": {"user": 0.5}, "memory": {"rss": 7}}
    assert document["resource"]["host"]["name"] == "node01"
    assert document["duration"] == 5e-7
    assert document["run"] == document["workflow_id"]
    assert "exact" not in document[OURS]


@pytest.mark.parametrize(
    ("used", "shown"),
    [
        ({"a.b": 1}, {"a": {"b": 1}}),
        ({"$set": 1, "x": 2}, {"＄set": 1, "x": 2}),  # noqa: RUF001  # what MongoDB's own documentation proposes
        ({"x\0y": 1, "": 2}, {"x␀y": 1, "␀": 2}),
        ({"a": 1, "a.b": 2}, {"a": 1}),
        ({"a": {"b": {"$ref": 1, "$id": 2}}}, {"a": {"b": {"＄ref": 1, "＄id": 2}}}),  # noqa: RUF001  # as above
    ],
)
def test_names_that_mean_something_to_mongodb(used: dict[str, Any], shown: dict[str, Any]) -> None:
    """Such names come back as they were, and no server refuses the document or takes them for its own."""
    document = record_document(used=used)

    assert read(document)["used"] == shown
    assert back(document)["used"] == used


def test_deep_values_come_back() -> None:
    """A value that is nested deeper than MongoDB takes comes back, from a document that is not so deep."""
    value: Any = 1
    for number in range(90):
        value = [value] if number % 2 else {"x": value}
    document = record_document(used={"value": value})

    assert back(document)["used"] == {"value": value}
    assert _depth(read(document)) < 50


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def test_large_records_are_split() -> None:
    """What is larger than MongoDB takes is in several documents, each of a size that it takes, and comes back."""
    used = {"text": "x" * (MAX_DOCUMENT + 1)}
    document = record_document(used=used, generated={"small": 1})

    assert len(document.content) < 10_000
    assert [len(part.data) <= PART_BYTES for part in document.parts] == [True, True]
    assert read(document)["generated"] == {"small": 1}
    assert back(document)["used"] == used


def test_the_same_content_has_the_same_parts() -> None:
    """A large record that is written again names the same parts, so that nothing is stored twice."""
    first, second = (record_document(used={"text": "x" * (MAX_DOCUMENT + 1)}) for _ in range(2))

    assert [part.id for part in first.parts] == [part.id for part in second.parts]


def test_what_cannot_be_split_is_refused() -> None:
    """A record whose very kind is larger than a document is no record that MongoDB can hold."""
    with pytest.raises(ValueError, match="cannot be split off"):
        record_document(kind="x" * (MAX_DOCUMENT + 1))


@given(plain=PLAIN_RECORDS)
def test_numbers_of_data_keys_are_those_of_the_keys(plain: PlainRecord) -> None:
    """What is indexed of a record are the numbers of its data keys, however they are computed."""
    for values in (plain.get("used", {}), plain.get("generated", {})):
        assert {*key_numbers(plain, values)} == {key_number(key) for key, _ in data_keys(plain, values)}
