"""Conditions are understood or refused, whatever is written, and compare as OTTL does."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_collector.conditions import ConditionError, Level, Place, parse_condition
from provtel_collector.conditions.values import compare
from provtel_model.components import Signal

from tests.collector.processors.requests import fill

WORDS = st.sampled_from(
    [
        *('"text"', "5", "0.5", "nil", "true", "span.name", 'span.attributes["a"]', "resource.attributes"),
        *("and", "or", "not", "(", ")", "==", "!=", "<", "IsMatch(", ",", "SPAN_KIND_CLIENT", "-", "[", "]", "."),
        *("0xff", r'"\\d"', r'"\q"'),
    ]
)
VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary()


def span(**attributes: Any) -> Place:
    """Return a place with one span."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    fill(group.resource.attributes, {"host.name": "login1"})
    scoped = group.scope_spans.add()
    scoped.scope.name = "provtel"
    item = scoped.spans.add(name="train", trace_id=bytes(range(16)), span_id=bytes(range(8)), kind=3)
    fill(item.attributes, attributes)
    event = item.events.add(name="began")
    return Place(group, scoped, item, event)


def holds(text: str, place: Place, signal: Signal = Signal.TRACES, default: str = "") -> bool:
    """Say whether a condition holds."""
    return parse_condition(text, signal, default).decide(place)


@given(st.text() | st.lists(WORDS, max_size=8).map(" ".join))
def test_any_text_is_understood_or_refused(text: str) -> None:
    """Whatever is written becomes a condition that can be decided, or is refused with its reason."""
    try:
        condition = parse_condition(text, Signal.TRACES)
    except ValueError:
        return
    try:
        decided = condition.decide(span(a=1))
    except ConditionError:
        return
    assert decided in {True, False}


@given(VALUES, VALUES)
def test_comparisons_fit_together(left: Any, right: Any) -> None:
    """Unequal is the opposite of equal; an order, where there is one, fits to equality."""
    assert compare(left, "!=", right) is not compare(left, "==", right)
    assert compare(left, "==", right) == compare(right, "==", left)
    assert compare(left, "<", right) == compare(right, ">", left)
    if compare(left, "==", right) and not isinstance(left, list | dict):
        assert compare(left, "<=", right)
        assert compare(left, ">=", right)


@given(st.integers(-(2**53), 2**53), st.floats(allow_nan=False))
def test_numbers_are_compared_as_numbers(left: int, right: float) -> None:
    """An integer and a fraction are compared by what they are worth; a truth is no number."""
    for sign, function in (("==", operator.eq), ("<", operator.lt), (">=", operator.ge)):
        assert compare(left, sign, right) == function(left, right)
    assert compare(True, "!=", 1)


@given(st.text())
def test_any_text_can_be_written(text: str) -> None:
    """A text that is written with escapes is the text."""
    written = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    assert holds(f'span.attributes["a"] == "{written}"', span(a=text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('span.name == "train"', True),
        ("span.kind == SPAN_KIND_CLIENT", True),
        ('span.kind.string == "Client"', True),
        ("span.status.code == STATUS_CODE_UNSET", True),
        ('span.trace_id.string == "000102030405060708090a0b0c0d0e0f"', True),
        ('span.attributes["map"]["b"][1] == 2.0', True),
        ('span.attributes["map"]["b"][9] == nil', None),
        ('span.attributes["map"]["x"] == nil', True),
        ('span.attributes["none"]["x"] != nil', False),
        ('span.attributes["none"] == nil and nil == nil', True),
        ('span.attributes["n"] > 4 and span.attributes["n"] <= 5.0', True),
        ('span.attributes["n"] > -1', True),
        ('span.attributes["n"] == "5"', False),
        ('span.attributes["n"] < "9"', False),
        ('not span.attributes["n"] == 6', True),
        ('not (span.name == "train" or span.name == "x")', False),
        ("true", True),
        ("false or true and false", False),
        ('IsMatch(span.attributes["n"], "^5$")', True),
        ('IsMatch(span.attributes["none"], ".*")', False),
        ('IsMatch(span.name, "^tr.*n$") == true', True),
        ('span.attributes["bytes"] == 0x6162', True),
        ('resource.attributes["host.name"] == "login1" and scope.name == "provtel"', True),
        ('instrumentation_scope.version == ""', True),
        ('spanevent.name == "began"', True),
    ],
)
def test_decisions(text: str, expected: bool | None) -> None:
    """Paths, literals and operators mean what they mean in OTTL; None is what cannot be decided."""
    place = span(n=5, map={"b": [1, 2]})
    place.item.attributes.add(key="bytes").value.bytes_value = b"ab"

    if expected is None:
        with pytest.raises(ConditionError):
            holds(text, place)
    else:
        assert holds(text, place, default="span") is expected


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ('resource.attributes["a"] == 1', Level.RESOURCE),
        ('scope.name == "a" and resource.attributes["a"] == 1', Level.SCOPE),
        ('span.name == "a" or scope.name == "b"', Level.ITEM),
        ('span.name == "a" or spanevent.name == "b"', Level.PART),
    ],
)
def test_depth(text: str, level: Level) -> None:
    """A condition is decided as deep in a request as it must look."""
    assert parse_condition(text, Signal.TRACES).level is level


def test_paths_without_a_beginning() -> None:
    """Where it is said what conditions are about, paths need not say it."""
    assert holds('name == "train" and attributes["a"] == 1', span(a=1), default="span")
    assert holds('attributes["host.name"] == "login1"', span(), default="resource")
