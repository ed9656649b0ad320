"""What cannot be meant is refused when the configuration is read, with the place and the reason."""

from __future__ import annotations

from typing import Any

import pytest
from provtel_collector.registry import find_factory
from provtel_collector_config.dataclass_loading import load_dataclass
from provtel_collector_config.ids import Kind
from provtel_model.components import Context, Signal
from provtel_model.errors import ConfigError

from tests.collector.parts import Recorder


def problems(type_: str, config: Any) -> list[str]:
    """Return what is said against a configuration."""
    loaded, found = load_dataclass(find_factory(Kind.PROCESSORS, type_).config, config)
    assert (loaded is None) == bool(found)
    return list(map(str, found))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"key": "a", "action": "rename"}, 'unsupported action "rename"'),
        ({"action": "insert", "value": 1}, 'missing required field "key"'),
        ({"key": "a", "action": "upsert"}, 'field "value", "from_attribute"'),
        ({"key": "a", "action": "insert", "value": 1, "from_attribute": "b"}, "multiple value sources"),
        ({"key": "a", "action": "insert", "from_context": "auth.x"}, 'from_context "auth.x" is not available'),
        ({"action": "delete"}, 'at least one of "key" and "pattern"'),
        ({"key": "a", "action": "delete", "value": 1}, "does not use"),
        ({"key": "a", "action": "update", "value": 1, "pattern": "x"}, 'does not use the "pattern" field'),
        ({"action": "hash", "pattern": "("}, "is no regular expression of RE2"),
        ({"key": "a", "action": "extract"}, 'missing required field "pattern"'),
        ({"key": "a", "action": "extract", "pattern": "x"}, "no named matcher groups"),
        ({"key": "a", "action": "extract", "pattern": "(?P<a>x)(y)"}, "at least one unnamed matcher group"),
        ({"key": "a", "action": "convert"}, 'missing required field "converted_type"'),
        ({"key": "a", "action": "convert", "converted_type": "bytes"}, 'invalid value "bytes"'),
        ({"key": "a", "action": "hash", "converted_type": "int"}, 'does not use the "converted_type" field'),
    ],
)
def test_actions(action: dict[str, Any], message: str) -> None:
    """An action that lacks something, or has too much, is refused by both processors that have actions."""
    for type_, key in (("attributes", "actions"), ("resource", "attributes")):
        (said,) = problems(type_, {key: [action]})
        assert message in said


@pytest.mark.parametrize(
    ("type_", "config", "message"),
    [
        ("attributes", {}, 'missing required field "actions"'),
        ("resource", {}, 'missing required field "attributes"'),
        ("redaction", {"blocked_values": ["["]}, "is no regular expression"),
        ("redaction", {"hash_function": "hmac-sha256", "hmac_key": "short"}, "at least 32 bytes"),
        ("redaction", {"hash_function": "sha9"}, '"sha9"'),
        ("filter", {"log_conditions": ['log.bdy == "x"']}, '"log.bdy" is not available in conditions'),
        ("filter", {"trace_conditions": ['name == "x"']}, '"name" does not say of what'),
        ("filter", {"trace_conditions": ["Len(span.name) > 1"]}, 'the function "Len" is not available'),
        ("filter", {"trace_conditions": ["span.kind == SPAN_KIND_NONE"]}, "no enumeration SPAN_KIND_NONE"),
        ("filter", {"trace_conditions": ["span.kind"]}, "a comparison"),
        ("filter", {"trace_conditions": ["not true"]}, "does not say of what it is"),
        ("filter", {"trace_conditions": ["(span.kind == 1"]}, "')' was expected at the end"),
        ("filter", {"trace_conditions": ["span.kind == 1 span.kind"]}, "nothing was expected before 'span'"),
        ("filter", {"trace_conditions": ["span.kind == [1]"]}, "lists, maps and arithmetic are not available"),
        ("filter", {"trace_conditions": ["span.kind == $"]}, "'$' is not understood"),
        ("filter", {"trace_conditions": [r'span.name == "\d"']}, "is no escape"),
        ("filter", {"trace_conditions": ['IsMatch(span.name, "(")']}, "is no regular expression"),
        ("filter", {"metrics": {"include": {"match_type": "expr"}}}, '"expr"'),
        ("filter", {"logs": {"include": {"severity_number": {"min": "LOUD"}}}}, "'LOUD' is not a valid severity"),
    ],
)
def test_configurations(type_: str, config: dict[str, Any], message: str) -> None:
    """A configuration that says nothing, or what is not understood, is refused."""
    assert any(message in said for said in problems(type_, config))


@pytest.mark.parametrize(
    ("signal", "match", "message"),
    [
        (Signal.TRACES, {"log_bodies": ["x"]}, "log_bodies should not be specified for traces"),
        (Signal.LOGS, {"services": ["x"]}, "services should not be specified for logs"),
        (Signal.METRICS, {"attributes": [{"key": "x"}]}, "attributes should not be specified for metrics"),
        (Signal.TRACES, {}, 'at least one of "attributes"'),
    ],
)
def test_match_of_another_signal(signal: Signal, match: dict[str, Any], message: str) -> None:
    """What a signal does not have cannot select it: that is told with the processor's path."""
    factory = find_factory(Kind.PROCESSORS, "attributes")
    actions = [{"key": "a", "action": "delete"}]
    loaded, _ = load_dataclass(factory.config, {"actions": actions, "include": {"match_type": "strict", **match}})

    with pytest.raises(ConfigError, match=f"^processors::attributes/one: {message}"):
        factory.create(loaded, Context("attributes/one", {signal: Recorder()}, lambda *_: None))
