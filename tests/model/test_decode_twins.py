"""The compiled reader of spans and its twin in Python make the same records of the same bytes, whatever the bytes."""

from __future__ import annotations

import sys

import ormsgpack
import pytest
from google.protobuf.message import Message
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from provtel_model import attributes as names
from provtel_model.compiled import load
from provtel_model.components import Batch, Signal
from provtel_model.errors import MalformedError
from provtel_model.otlp import decode, encode
from provtel_model.otlp.wire import sized

from tests.exporters.records import numbered
from tests.model.strategies import TRACE_REQUESTS

TEXTS = ("", "task", "cancelled", "x")
KNOWN = (
    names.PROV_ACTIVITY_TYPE,
    names.PROV_ACTIVITY_STATE,
    names.PROV_USED,
    names.PROV_USED + ".x",
    names.PROV_GENERATED,
    names.WORKFLOW_ID,
    names.WORKFLOW_TASK_TAGS,
    names.CODE_LINE_NUMBER,
    names.PROV_AGENT_ID,
    names.ERROR_TYPE,
    names.TASK_PREFIX + "cpu.user",
    names.TASK_PREFIX,
)
"""Attributes that have a place, or look as if they had one."""
VALUES = st.sampled_from(
    [
        AnyValue(),
        *(AnyValue(string_value=text) for text in TEXTS),
        AnyValue(int_value=7),
        AnyValue(double_value=0.5),
        AnyValue(bool_value=False),
        AnyValue(kvlist_value=KeyValueList()),
        AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="x", value=AnyValue(int_value=-1))])),
    ]
)
PAIRS = st.lists(st.builds(KeyValue, key=st.sampled_from(KNOWN), value=VALUES), max_size=6)


def outcome(payload: bytes) -> list[bytes] | None:
    """Return the records of a request, the order of their keys included; ``None`` where it is refused."""
    try:
        return [ormsgpack.packb(plain) for plain in decode(Batch(Signal.TRACES, payload, 0))]
    except MalformedError:
        return None


def both(payload: bytes) -> tuple[list[bytes] | None, list[bytes] | None]:
    """Return what either twin makes of a request."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_compiled", None)
        return outcome(payload), _compiled(payload)


def _compiled(payload: bytes) -> list[bytes] | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_compiled", READER)
        return outcome(payload)


MODULE = sys.modules["provtel_model.otlp.decode"]
"""The module, whose name the package gives to its function."""
READER = load("provtel_model.otlp._decode")
if READER is None:
    pytest.skip("only Python reads spans here", allow_module_level=True)


def _span(*attributes: KeyValue) -> bytes:
    span = Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="ä", start_time_unix_nano=2**64 - 1, attributes=attributes)
    return span.SerializeToString()


def test_what_we_write() -> None:
    """Records of ours come back the same from both."""
    plains = [numbered(number) for number in range(20)]
    (batch,) = encode(plains)
    python, compiled = both(batch.payload)

    assert compiled == python
    assert [ormsgpack.unpackb(plain)["used"] for plain in compiled or []] == [plain["used"] for plain in plains]


@given(TRACE_REQUESTS)
@settings(max_examples=80)
def test_what_anybody_writes(request: Message) -> None:
    """Requests of any sender too."""
    python, compiled = both(request.SerializeToString())

    assert python is not None
    assert compiled == python


@given(PAIRS)
def test_attributes_with_a_place(pairs: list[KeyValue]) -> None:
    """What is a field, and what stays an attribute because its value is not the registry's, is the same for both."""
    python, compiled = both(sized(1, sized(2, sized(2, _span(*pairs)))))

    assert python is not None
    assert compiled == python


@given(TRACE_REQUESTS, st.data())
@settings(max_examples=150)
@example(ExportTraceServiceRequest(), None)
def test_bytes_that_are_damaged(request: Message, data: st.DataObject | None) -> None:
    """Of damaged bytes both make the same, or both refuse them."""
    payload = bytearray(request.SerializeToString())
    if payload and data is not None:
        for _ in range(data.draw(st.integers(1, 3))):
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        payload = payload[: data.draw(st.integers(0, len(payload)))] if data.draw(st.booleans()) else payload
    python, compiled = both(bytes(payload))

    assert compiled == python


@pytest.mark.parametrize("depth", [1, 19, 21, 28, 40])
def test_deep_values(depth: int) -> None:
    """However deep a value is nested, both read it, or both refuse it."""
    value = AnyValue(string_value="x").SerializeToString()
    for _ in range(depth):
        value = sized(6, sized(1, sized(1, b"k") + sized(2, value)))
    attribute = sized(9, sized(1, b"deep") + sized(2, value))
    span = sized(2, _span() + attribute)
    python, compiled = both(sized(1, sized(2, span)))

    assert compiled == python
    assert (python is None) == (depth > 30)
