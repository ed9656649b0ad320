"""The compiled encoder of documents and its twin in Python give the same bytes, whatever they are given."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from dataclasses import dataclass
from typing import Any, Final, cast

import bson
import pytest
from bson.errors import BSONError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from provtel_exporters.mongodb import documents, layout
from provtel_exporters.mongodb.documents import CODEC, Encoder
from provtel_model.anyvalue import TYPE_KEY
from provtel_model.components import Batch, Signal
from provtel_model.otlp.observations import decode_logs, decode_points
from provtel_model.record import PlainRecord

from tests.exporters.records import PLAIN_RECORDS, numbered
from tests.model.strategies import ANY_VALUES, METRIC_REQUESTS, OTHER_LOG_REQUESTS

if layout.compiled is None:
    pytest.skip("only Python encodes documents here", allow_module_level=True)
COMPILED: Final = layout.compiled

STAMP: Final = {"by": "0" * 16, "batch": 2**62, "number": 7}
_NESTED: Final = ["a", "b", "a.b", "a.b.c", "a.c", "b.a", "c", "cpu.user", "cpu.system"]
_ODD_NAMES: Final = ["_id", "_id.x", "attributes", "", ".", "a.", "$set", "a.$b", "x\0y", "ünïcode", "\ud800", TYPE_KEY]
KEYS: Final = st.sampled_from([*_NESTED, *_ODD_NAMES, *(".".join("x" * depth) for depth in (40, 41))])
_INTEGERS: Final = [
    0,
    1,
    -1,
    2**31 - 1,
    2**31,
    -(2**31),
    -(2**31) - 1,
    2**63 - 1,
    -(2**63),
    2**63,
    -(2**63) - 1,
    10**40,
]
_OTHERS: Final = [0.1, -0.0, math.nan, math.inf, 0.123456789, True, None, "", "ä\0", "\ud800", b"", b"\0\xff"]
_OF_NO_RECORD: Final = [dt.datetime(2026, 11, 29, tzinfo=dt.UTC), decimal.Decimal(1), (1,), {1}]
SCALARS: Final[st.SearchStrategy[Any]] = st.sampled_from([*_INTEGERS, *_OTHERS, *_OF_NO_RECORD])
PLAIN_KEYS: Final = st.sampled_from(["a", "b", "cpu.user", "cpu.system", "x.y.z", "ünïcode"])
PLAIN_SCALARS: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [0, -1, 2**40, 0.5, math.nan, "", "ä\0", b"\0", True, None, [], [1, "x"], {}]
)
VALUES: Final = st.recursive(
    SCALARS | PLAIN_SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
MAPS: Final = st.dictionaries(PLAIN_KEYS, PLAIN_SCALARS, max_size=6) | st.dictionaries(KEYS, VALUES, max_size=6)
WITH_ATTRIBUTES: Final = st.fixed_dictionaries(
    {"name": st.text()}, optional={"time": st.sampled_from([0, 2**63]), "attributes": MAPS, "dropped": SCALARS}
)
FIELDS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "used": MAPS,
    "generated": MAPS,
    "telemetry": MAPS,
    "attributes": MAPS,
    "resource": MAPS,
    "scope": WITH_ATTRIBUTES,
    "events": st.lists(WITH_ATTRIBUTES, max_size=2),
    "tags": st.lists(SCALARS, max_size=2),
}
ODD: Final = st.fixed_dictionaries({}, optional={**FIELDS, "workflow_id": SCALARS, "ended_at": SCALARS, "kind": VALUES})
MISTAKEN: Final = st.dictionaries(st.sampled_from([*FIELDS, "links", "id", "run", "_id", "provtel", "x\0"]), VALUES)


@dataclass(frozen=True)
class _Refused:
    """Why a document could not be made."""

    why: str


def record(encoder: Encoder, plain: dict[str, Any]) -> Any:
    """Return the bytes of a record's document."""
    return outcome(lambda: encoder.record("0", cast("PlainRecord", plain), dict(STAMP)).content)


def outcome(make: Any) -> Any:
    """Return what is made, or that nothing is."""
    try:
        return make()
    except (KeyError, ValueError, TypeError, OverflowError, AttributeError, BSONError) as error:
        return _Refused(type(error).__name__)


def in_python(make: Any) -> Any:
    """Return what the twin in Python makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "compiled", None)
        patch.setattr(layout, "compiled", None)
        return outcome(make)


def same_records(plains: list[dict[str, Any]]) -> None:
    """See that both twins make the same of records, in which what they share is met again."""
    compiled, python = Encoder(), Encoder()
    for plain in [*plains, *plains]:
        made = in_python(lambda plain=plain: python.record("0", cast("PlainRecord", plain), dict(STAMP)).content)

        assert record(compiled, plain) == made


@given(plain=PLAIN_RECORDS)
@settings(max_examples=100)
def test_records(plain: PlainRecord) -> None:
    """Any record gives the same document, and the same ``_id``."""
    same_records([cast("dict[str, Any]", plain)])

    assert outcome(lambda: layout.document_id(plain)) == in_python(lambda: layout.document_id(plain))


@given(odd=ODD)
@settings(max_examples=200)
@example(odd={"resource": {"_id": 1, "a": 2}})
@example(odd={"attributes": {"a": 1, "a.b": 2}})
@example(odd={"attributes": {"a.b": 1, "a": 2}})
@example(odd={"attributes": {"a.b": 1, "c": 2, "a.d": 3, "a.e.f": 4, "a.d.x": 5}})
@example(odd={"attributes": {f"k{number}.x": number for number in range(300)}})
@example(odd={"used": {f"k{number}": number / 7 for number in range(1100)}})
@example(odd={"used": {"model": {"layers": [0.123456789, {"a": "a text of some length"}]}}})
def test_hostile_names_and_values(odd: dict[str, Any]) -> None:
    """Dots, dollars and NUL in names, huge integers, NaN, dates, and what is of no type of ours, make no difference."""
    same_records([cast("dict[str, Any]", numbered(1, **odd))])


@given(mistaken=MISTAKEN, missing=st.sets(st.sampled_from(["trace_id", "span_id", "started_at", "workflow_id"])))
@settings(max_examples=200)
def test_what_is_no_record(mistaken: dict[str, Any], missing: set[str]) -> None:
    """Fields of other types than a record's, and such as are missing, end the same way."""
    plain = cast("dict[str, Any]", numbered(1)) | mistaken
    same_records([{name: value for name, value in plain.items() if name not in missing}])


@given(depth=st.integers(36, 44), as_list=st.booleans(), field=st.sampled_from(["used", "attributes", "events"]))
def test_depth(depth: int, *, as_list: bool, field: str) -> None:
    """What is nested as deep as a document may be, and one deeper, ends the same way."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if as_list else {"x": value}
    fields: dict[str, Any] = {field: [{"x": value}] if field == "events" else {"x": value}}
    same_records([cast("dict[str, Any]", numbered(1, **fields))])


@given(extra=st.integers(-3, 3), field=st.sampled_from(["used", "resource", "name"]))
def test_size(extra: int, field: str) -> None:
    """The largest document that is whole is so by both, and so is the smallest that is split."""
    plain = cast("dict[str, Any]", numbered(1))
    whole = len(Encoder().record("0", cast("PlainRecord", plain), STAMP).content)
    longer = plain["name"] + "x" * (2000 - whole + extra) if field == "name" else {"text": "x" * (2000 + extra)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "MAX_DOCUMENT", 2000)
        documents.configure()
        same_records([plain | {field: longer}])
    documents.configure()


IDS: Final = st.sampled_from(["0" * 32, "f" * 16, "F" * 16, "0" * 15 + "ä", "g" * 16, "", 7, None, "é" * 32])


@given(trace=IDS, span=IDS, start=SCALARS)
def test_identities(trace: Any, span: Any, start: Any) -> None:
    """Ids that are none, and starts that are none, are refused by both."""
    plain = cast("PlainRecord", {"trace_id": trace, "span_id": span, "started_at": start})

    assert outcome(lambda: layout.document_id(plain)) == in_python(lambda: layout.document_id(plain))


@given(points=METRIC_REQUESTS, logs=OTHER_LOG_REQUESTS, odd=st.fixed_dictionaries({}, optional={"body": ANY_VALUES}))
@settings(max_examples=40)
def test_data_points_and_log_records(points: Any, logs: Any, odd: dict[str, Any]) -> None:
    """Whatever OTLP carries of metrics and logs gives the same documents."""
    plains: list[Any] = [
        *decode_points(Batch(Signal.METRICS, points.SerializeToString(), 1)),
        *(log | odd for log in decode_logs(Batch(Signal.LOGS, logs.SerializeToString(), 1))),
    ]
    compiled, python = Encoder(), Encoder()
    for plain in plains:
        made = outcome(lambda plain=plain: compiled.observation(plain).content)

        assert made == in_python(lambda plain=plain: python.observation(plain).content)


def test_usual_records_are_encoded_in_c() -> None:
    """What most records are is not left to Python."""
    plain = numbered(1, attributes={"a.b": 1}, events=[{"name": "x", "time": 1}], telemetry={"cpu.user": 0.1}, pid=4)
    content = COMPILED.record("0", plain, STAMP, {})

    assert bson.decode(content, CODEC)["attributes"] == {"a": {"b": 1}}
    assert COMPILED.document_id(plain) == layout.document_id(plain)
