"""Compiled and in Python, a journal gives the same bytes, whatever is in it."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_model.anyvalue import TYPE_KEY
from provtel_model.components import Batch
from provtel_model.journal import JournalDrainer, spans
from provtel_model.journal.activities import Activities
from provtel_model.journal.layout import (
    CURSOR_FILE,
    FRAME_HEADER,
    Kind,
    ProcessFacts,
    pack,
    pack_segment_header,
    segment_name,
)
from provtel_model.journal.records import Ended
from provtel_model.otlp import decode
from provtel_model.otlp.encode import MAX_BYTES

from tests.model.strategies import ANY_VALUES, TEXT

TRACE = bytes(range(16))
PROCESS = ProcessFacts({"host.name": "node7"}, "1.2.3", 42, 1, "another boot", "another host").to_payload()
DEFINITIONS = [
    [1, ["x", "yé", "z" * 130], ["o"], {"kind": "task", "name": "step", "tags": ["a"]}],
    [2, [], ["p", "q"], {"kind": "task", "name": "n" * 200, "plan": {"line": 7}}],
    [3, ["x", "x"], ["o"], {"kind": "task", "name": "two roles of one name"}],
    [4, ["x"], ["o"], {"kind": "task", "name": "with a cost", "telemetry": {"cpu.scope": "process"}}],
    [5, [], [], {"kind": "span", "name": "GET", "span_kind": 3, "scope": {"name": "requests", "version": "1"}}],
    [6, [], [], {"kind": "span", "name": "", "span_kind": 1, "scope": {"name": ""}, "resource": {"a": [1]}}],
    [7, [], [], {"kind": "span", "name": "SET", "span_kind": 3, "scope": {"name": "requests", "version": "1"}}],
]
CONTEXTS = [[1, {"workflow_id": "w", "workflow_name": "sweep"}], [2, {}]]

try:
    transcode: Any = importlib.import_module("provtel_model.journal._transcode")
except ImportError:
    transcode = None
needs_both = pytest.mark.skipif(transcode is None, reason="not compiled here, so that there is one way only")

_NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.sampled_from([0, 127, 128, 255, 2**32, 2**63 - 1, 2**63])
_VALUES = (
    ANY_VALUES
    | _NUMBERS
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
    | st.dictionaries(TEXT, ANY_VALUES, max_size=40)
    | st.builds(lambda items: {TYPE_KEY: "tuple", "items": items}, st.lists(ANY_VALUES, max_size=3))
)
_DATA = st.lists(_VALUES, max_size=4) | st.none() | st.dictionaries(TEXT, _VALUES, max_size=3) | ANY_VALUES
_SPANS = st.integers(1, 6) | st.integers(0, 2**64 - 1)
_TIMES = st.integers(1, 2**62) | _NUMBERS | ANY_VALUES
_COSTS = (
    st.floats(0, 1e4) | st.floats() | st.sampled_from([0.0, -0.0, 5e-7, 1.5e-6, 2.5e-6, 0.0000005, 1e300]) | _NUMBERS
)
_NAMES = st.sampled_from(
    ["a", "b", "http.url", "workflow.id", "prov.used", "prov.used.x", "task.cpu.user", "code.line.number"]
)
_ATTRIBUTES = st.dictionaries(_NAMES | TEXT, _VALUES, max_size=4) | st.dictionaries(TEXT, st.none(), max_size=40)
_FACTS: Any = st.just([]) | st.sampled_from(
    [
        [{"error": {"type": "ValueError", "message": "no"}}],
        [{}],
        [None],
        [{"name": "x", "attributes": {"a": 1}}],
        [1, 2],
    ]
)
_FACTS |= _ATTRIBUTES.map(lambda attributes: [{"attributes": attributes}]) | _VALUES.map(lambda any_value: [any_value])
"""What stands at the end of a frame: nothing, attributes, or what is for Python to understand or refuse."""


@st.composite
def _starts(draw: st.DrawFn) -> bytes:
    items = [Kind.START.value, draw(st.integers(1, 8)), draw(st.integers(1, 3)), draw(st.just(TRACE) | st.binary())]
    items += [draw(_SPANS), draw(st.none() | _SPANS), draw(_TIMES), draw(_DATA)]
    return pack([*items, *draw(_FACTS)])


@st.composite
def _ends(draw: st.DrawFn) -> bytes:
    status = draw(st.sampled_from([0, 0, 0, 1, 2, 9]))
    costs: list[Any] = draw(st.sampled_from([[None, None], [draw(_COSTS), draw(_COSTS)], [draw(_COSTS), None]]))
    items = [Kind.END.value, draw(_SPANS), draw(_TIMES), status, draw(_DATA), *costs]
    return pack([*items, *draw(_FACTS)])


def _frame(payload: bytes) -> bytes:
    return FRAME_HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def _facts() -> Iterator[bytes]:
    yield PROCESS
    for definition in DEFINITIONS:
        yield pack([Kind.DEFINITION.value, *definition])
    for context in CONTEXTS:
        yield pack([Kind.CONTEXT.value, *context])


# So that the compiled way has seen each definition in each context, and takes what follows.
_KNOWN = [
    pack(items)
    for definition in (1, 2, 3, 4, 5, 6, 7)
    for context in (1, 2)
    for items in (
        [Kind.START.value, definition, context, TRACE, 77, None, 5, None],
        [Kind.END.value, 77, 9, 0, None, None, None],
    )
]


@st.composite
def _segments(draw: st.DrawFn) -> bytes:
    """Frames in any order, then damage."""
    drawn: list[Any] = draw(st.lists(_starts() | _ends() | st.tuples(_starts(), _ends()), max_size=12))
    payloads = [part for one in drawn for part in (one if isinstance(one, tuple) else (one,))]
    redefined = pack([Kind.DEFINITION.value, 1, ["other"], ["o"], {"kind": "task", "name": "other"}])
    if draw(st.integers(0, 9)) == 0:
        payloads.insert(draw(st.integers(0, len(payloads))), redefined)
    content = b"".join(map(_frame, [*_facts(), *(_KNOWN if draw(st.booleans()) else []), *payloads]))
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(max_size=8)) + content[at + draw(st.integers(0, 8)) :]
    return content + bytes(draw(st.sampled_from([0, 3, 100])))


def _drained(folder: Path, content: bytes, cursor: int, *, parts: int = 1) -> list[Batch]:
    """Drain a segment as if it had grown in parts; its writer is on another host, so that it may still grow."""
    (folder / CURSOR_FILE).write_text(f"1 {cursor}")
    batches: list[Batch] = []
    drainer = JournalDrainer(folder)
    for part in range(1, parts + 1):
        grown = pack_segment_header(1) + content[: len(content) * part // parts]
        (folder / segment_name(1)).write_bytes(grown + bytes(16))
        drainer.drain(batches.append, remove=False)
    return batches


def _compare(folder: Path, content: bytes, cursor: int = 0, parts: int = 1) -> list[Batch]:
    """Drain a segment both ways, see that they agree, and return the batches."""
    ways = []
    for module in (transcode, None):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(spans, "_transcode", module)
            ways.append(_drained(folder, content, cursor, parts=parts))
    assert ways[0] == ways[1]
    return ways[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a journal that is written anew for each example."""
    return tmp_path_factory.mktemp("journal")


FEW_OR_MANY = pytest.mark.parametrize("examples", [100, pytest.param(5000, marks=pytest.mark.long)])


@needs_both
@FEW_OR_MANY
def test_any_journal_gives_the_same_both_ways(folder: Path, examples: int) -> None:
    """Frames of every kind, whole and damaged, from any cursor on, grown at once or bit by bit: the same batches."""

    @settings(max_examples=examples)
    @given(_segments(), st.integers(0, 2000) | st.just(0), st.sampled_from([1, 1, 2, 5]))
    def compare(content: bytes, cursor: int, parts: int) -> None:
        for batch in _compare(folder, content, cursor, parts):
            assert len(decode(batch)) <= batch.items

    compare()


@needs_both
@FEW_OR_MANY
def test_any_payload_is_read_or_refused(folder: Path, examples: int) -> None:
    """A payload whose checksum fits may hold anything: what is no msgpack, or none of ours, ends as in Python."""

    @settings(max_examples=examples)
    @given(st.lists(st.tuples(_starts() | _ends(), st.integers(0, 400), st.binary(max_size=6), st.integers(0, 6))))
    def compare(damaged: list[tuple[bytes, int, bytes, int]]) -> None:
        payloads = [payload[:at] + put + payload[at + cut :] for payload, at, put, cut in damaged]
        _compare(folder, b"".join(map(_frame, [*_facts(), *_KNOWN, *payloads])))

    compare()


_NEST = 5000
_HOSTILE = {
    "deep list": b"\x91" * _NEST + b"\xc0",
    "deep map": b"\x81\xa1k" * _NEST + b"\xc0",
    "as deep as protobuf goes": b"\x91" * 40 + b"\xc0",
    "endless list": b"\x91\xdd\xff\xff\xff\xff\xc0",
    "endless map": b"\x91\xdf\xff\xff\xff\xff\xa1k\xc0",
    "endless text": b"\x91\xdb\xff\xff\xff\xffabc",
    "endless bytes": b"\x91\xc6\xff\xff\xff\xffabc",
    "cut number": b"\x91\xcf\x00\x00",
    "no UTF-8": b"\x91\xa2\xc3\x28",
    "a surrogate": b"\x91\xa3\xed\xa0\x80",
    "a key twice": b"\x82\xa1k\x01\xa1k\x02",
    "a key that is no text": b"\x81\x01\x02",
    "an extension": b"\x91\xd4\x01\x02",
    "a type that is none": b"\x91\xc1",
    "a float of 32 bits": b"\x91\xca\x3f\x80\x00\x01",
    "numbers longer than needed": b"\x91\xcf\x00\x00\x00\x00\x00\x00\x00\x01",
    "negative numbers of every length": b"\x93\xd0\xff\xd1\xff\xfe\xd2\xff\xff\xff\xfd",
    "something behind": b"\x91\x01\x01",
    "an empty list, at length": b"\xdc\x00\x00",
    "nothing": b"",
}


@needs_both
@pytest.mark.parametrize("value", _HOSTILE.values(), ids=_HOSTILE)
def test_hostile_values_are_refused_within_bounds(folder: Path, value: bytes) -> None:
    """What claims to be longer or deeper than it is, or is no value at all, is left out as it is in Python."""
    start = b"\x98\x03\x01\x01\xc4\x10" + TRACE + b"\x05\xc0\x09"
    end = b"\x97\x04\x05\x0a\x00"
    good = [pack([Kind.START.value, 1, 1, TRACE, 6, None, 9, [1]]), pack([Kind.END.value, 6, 10, 0, [2], 0.5, 0.25])]

    for payloads in ([start + value, end + b"\xc0\xc0\xc0"], [start + b"\xc0", end + value + b"\xc0\xc0"]):
        batches = _compare(folder, b"".join(map(_frame, [*_facts(), *_KNOWN, *payloads, *good])))
        assert [plain["span_id"] for plain in decode(batches[0])].count(f"{6:016x}") == 1


@needs_both
def test_usual_activities_are_read_by_compiled_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many activities, nested ones among them, Python sees the first, so that the price is that of compiled code."""
    seen: list[bytes] = []
    take = Activities.take

    def spy(activities: Activities, payload: bytes) -> Ended | None:
        seen.append(payload)
        return take(activities, payload)

    monkeypatch.setattr(Activities, "take", spy)
    monkeypatch.setattr(spans, "_transcode", transcode)
    outer = pack([Kind.START.value, 2, 1, TRACE, 10**6, None, 5, {"a": [None, True, "é", b"b"]}])
    inner = [
        part
        for span in range(1000)
        for part in (
            pack([Kind.START.value, 1, 1, TRACE, span, 10**6, 5, [span, -0.5, "text" * 50]]),
            pack([Kind.END.value, span, 9, 0, {"o": [span]}, 2.6e-6, 0.125]),
            pack([Kind.START.value, 5 + span % 3, 1, TRACE, span, 10**6, 5, None, {"attributes": {"a": span}}]),
            pack([Kind.END.value, span, 9, 0, None, None, None, {"attributes": {"b": ["text", span]}}]),
        )
    ]
    payloads = [*_facts(), *_KNOWN, outer, *inner, pack([Kind.END.value, 10**6, 9, 0, None, None, None])]

    batches = _drained(folder, b"".join(map(_frame, payloads)), 0)

    assert sum(batch.items for batch in batches) == 2015
    assert len(seen) <= len(list(_facts())) + len(_KNOWN)


@needs_both
@given(st.lists(st.floats(0, 1e7) | st.integers(0, 10**8).map(lambda halves: halves / 2e6), max_size=200))
def test_costs_are_rounded_as_python_does(folder: Path, costs: list[float]) -> None:
    """To the microsecond, also where a cost is half of one."""
    ends = [
        part
        for cost in costs
        for part in (
            pack([Kind.START.value, 1, 1, TRACE, 8, None, 5, None]),
            pack([Kind.END.value, 8, 9, 0, None, cost, 0.0]),
        )
    ]

    _compare(folder, b"".join(map(_frame, [*_facts(), *_KNOWN, *ends])))


@needs_both
def test_place_outside_of_the_buffer_is_an_error() -> None:
    """What no caller of ours does is no crash either."""
    for at in (-1, 1):
        with pytest.raises(ValueError, match="outside"):
            transcode.take(b"", at, 0, {}, {})
    assert transcode.take(b"", 0, 0, {}, {}) == (0, 0, 0, ())


def test_request_that_is_too_large_is_cut(folder: Path) -> None:
    """Small frames may make large spans, by what their definition says: receivers take requests of some MiB."""
    definition = [1, ["x"], ["o"], {"kind": "task", "name": "n" * 100_000}]
    facts = [PROCESS, pack([Kind.DEFINITION.value, *definition]), pack([Kind.CONTEXT.value, 1, {}])]
    tasks = [
        part
        for span in range(1, 101)
        for part in (
            pack([Kind.START.value, 1, 1, TRACE, span, None, 5, [span]]),
            pack([Kind.END.value, span, 9, 0, None, None, None]),
        )
    ]

    batches = _drained(folder, b"".join(map(_frame, [*facts, *tasks])), 0)

    assert all(len(batch.payload) <= MAX_BYTES for batch in batches)
    assert [int(plain["span_id"], 16) for batch in batches for plain in decode(batch)] == list(range(1, 101))
    assert sum(batch.items for batch in batches) == 100
