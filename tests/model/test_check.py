"""Requests are counted and refused as protobuf's own parser would, by whichever way; and at no cost of memory."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_model import compiled
from provtel_model.components import Signal
from provtel_model.errors import MalformedError
from provtel_model.otlp import check, wire
from provtel_model.otlp.checking import count_parsed, schema

from tests.collector.otlp_receivers import everything
from tests.memory import growth
from tests.model.strategies import LOG_REQUESTS, TRACE_REQUESTS

WALK = compiled.load("provtel_model.otlp._check")
needs_walk = pytest.mark.skipif(WALK is None, reason="it was not compiled here")


def counted(signal: Signal, payload: bytes) -> int:
    """Return what the compiled walk counts."""
    assert WALK is not None
    found: int = WALK.count(schema(signal), payload)
    return found


@pytest.mark.parametrize("signal", Signal)
def test_everything_is_counted(signal: Signal) -> None:
    """A request with every field has the items that protobuf's parser finds."""
    batch = everything(signal)

    assert check(signal, batch.payload).items == count_parsed(signal, batch.payload) > 0


@pytest.mark.parametrize("payload", [b"\x0a", b"\x0a\x05a", b"\x00", b"\x07", b"\xff" * 11, b"\x0c"])
@pytest.mark.parametrize("signal", Signal)
def test_bytes_that_are_none(signal: Signal, payload: bytes) -> None:
    """What is no request is refused with its size."""
    with pytest.raises(MalformedError, match=f"these {len(payload)} bytes are no Export"):
        check(signal, payload)


@needs_walk
@settings(max_examples=60)
@given(TRACE_REQUESTS | LOG_REQUESTS)
def test_walk_counts_as_the_parser(request: Message) -> None:
    """Whatever a sender built is counted the same both ways."""
    signal = Signal.TRACES if isinstance(request, ExportTraceServiceRequest) else Signal.LOGS
    payload = request.SerializeToString()

    assert counted(signal, payload) == count_parsed(signal, payload) >= 0


EDITS = st.lists(
    st.tuples(
        st.integers(0, 5000), st.binary(max_size=3) | st.sampled_from([b"\x80", b"\xff", b"\x00", b"\x0b", b"\x0c"])
    ),
    min_size=1,
    max_size=4,
)


@needs_walk
@settings(max_examples=400)
@given(signal=st.sampled_from(list(Signal)), edits=EDITS, cut=st.booleans())
def test_walk_refuses_as_the_parser(signal: Signal, edits: list[tuple[int, bytes]], *, cut: bool) -> None:
    """A request that was damaged anywhere is taken or refused by both."""
    payload = bytearray(everything(signal).payload)
    for where, patch in edits:
        place = where % len(payload)
        payload[place : place + len(patch)] = patch
    if cut:
        del payload[edits[0][0] % len(payload) :]

    assert counted(signal, bytes(payload)) == count_parsed(signal, bytes(payload))


TAGS = st.builds(lambda number, kind: wire.varint(number << 3 | kind), st.integers(0, 40), st.integers(0, 7))
VARINTS = st.integers(0, 2**64 - 1).map(wire.varint) | st.sampled_from(
    [b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x02", b"\x80" * 9 + b"\x00", b"\x80" * 10 + b"\x00", b"\x80\x00"]
)


@needs_walk
@settings(max_examples=400)
@given(
    st.sampled_from(list(Signal)),
    st.recursive(
        st.lists(TAGS | VARINTS | st.binary(max_size=9), max_size=8).map(b"".join),
        lambda inner: st.lists(st.builds(wire.sized, st.integers(1, 16), inner) | inner, max_size=4).map(b"".join),
        max_leaves=8,
    ),
)
def test_walk_of_anything(signal: Signal, payload: bytes) -> None:
    """Any bytes at all are taken or refused by both."""
    assert counted(signal, payload) == count_parsed(signal, payload)


@needs_walk
@given(
    st.text(max_size=20).map(str.encode)
    | st.binary(max_size=12)
    | st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2).map(
        lambda text: text.encode("utf-16", "surrogatepass")
    )
    | st.sampled_from(
        [b"\xed\xa0\x80", b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80", b"\xf5"]
    )
)
def test_walk_reads_texts_as_the_parser(text: bytes) -> None:
    """A text that is no UTF-8 is refused by both."""
    payload = wire.sized(1, wire.sized(3, b"x" * 7 + text))

    assert counted(Signal.TRACES, payload) == count_parsed(Signal.TRACES, payload)


@needs_walk
@pytest.mark.parametrize("depth", range(85, 110))
@pytest.mark.parametrize("group", [False, True])
def test_walk_goes_as_deep_as_the_parser(depth: int, *, group: bool) -> None:
    """Values and unknown groups may be nested as deep as protobuf allows, and no deeper."""
    if group:
        payload = b"\xfb\x01" * depth + b"\xfc\x01" * depth
    else:
        value = b""
        for _ in range(depth // 2):
            value = wire.sized(5, wire.sized(1, value))
        value = wire.sized(5, value) if depth % 2 else value
        payload = wire.sized(1, wire.sized(1, wire.sized(1, wire.sized(2, value))))

    assert counted(Signal.TRACES, payload) == count_parsed(Signal.TRACES, payload)


@needs_walk
def test_of_a_choice_the_last_counts() -> None:
    """A metric with data of two kinds has the points of the last, as the parser keeps no other."""
    gauge, total = wire.sized(5, wire.sized(1, b"") * 3), wire.sized(7, wire.sized(1, b"") * 2)
    for metric in (gauge + total, total + gauge, gauge + gauge, gauge + total + gauge, wire.text(1, "a") + gauge):
        payload = wire.sized(1, wire.sized(2, wire.sized(2, metric) * 2))

        assert counted(Signal.METRICS, payload) == count_parsed(Signal.METRICS, payload) > 0


@needs_walk
def test_very_many_very_small_items() -> None:
    """A request of ten million empty spans is counted without an object for each."""
    payload = wire.sized(1, wire.sized(2, b"\x12\x00" * 10_000_000))

    with growth() as grown:
        assert check(Signal.TRACES, payload).items == 10_000_000

    assert grown.mib < 20


@needs_walk
@pytest.mark.parametrize(
    ("schema_", "payload", "error"),
    [
        (b"", b"", ValueError),
        (b"x", b"", ValueError),
        (b"\x0f" + bytes(63), b"", ValueError),
        (b"\x06\x01" + bytes(62), b"", ValueError),
        (bytearray(64), b"", TypeError),
        (bytes(64), "", TypeError),
    ],
)
def test_schema_that_is_none(schema_: object, payload: object, error: type[Exception]) -> None:
    """The walk trusts no schema either."""
    assert WALK is not None
    with pytest.raises(error):
        WALK.count(schema_, payload)
