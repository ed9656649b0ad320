"""Whatever requests have in them, processors give on valid requests, of as many items as they say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_model import attributes
from provtel_model.components import Batch, Signal
from provtel_model.otlp import check, decode, wire

from tests.collector.processors.made import Made
from tests.model.strategies import ANY_VALUES

KEYS = (attributes.PROV_USED, f"{attributes.PROV_USED}.lr", attributes.WORKFLOW_ID, "plain", "password")
EVENT = attributes.EVENT_STARTED
PROCESSORS: list[tuple[str, dict[str, Any]]] = [
    *(
        ("attributes", {"actions": [{"key": key, "action": "convert", "converted_type": kind} for key in KEYS]})
        for kind in ("string", "int", "double")
    ),
    ("attributes", {"actions": [{"action": "hash", "pattern": "."}]}),
    ("resource", {"attributes": [{"key": "plain", "action": "extract", "pattern": "(?P<a>.)(?P<b>.*)"}]}),
    ("redaction", {"allow_all_keys": True, "redact_all_types": True, "blocked_values": ["[a-m]"], "summary": "debug"}),
    ("redaction", {"allow_all_keys": True, "blocked_key_patterns": ["pass"], "hash_function": "sha3"}),
    ("redaction", {"summary": "info"}),
    (
        "filter",
        {"trace_conditions": ['IsMatch(span.attributes["plain"], "a")'], "log_conditions": ['log.body["a"] == 1']},
    ),
    ("filter", {"trace_conditions": ['span.attributes["plain"] > span.attributes["workflow.id"]']}),
    ("provenance", {"data": "nested"}),
    ("provenance", {"data": "flattened"}),
]


def requests_of(value: Any) -> list[Batch]:
    """Return requests that have a value wherever one can be."""
    pairs = b"".join(wire.sized(9, wire.key_value(key, value)) for key in KEYS)
    traces = ExportTraceServiceRequest()
    group = traces.resource_spans.add()
    span = group.scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.MergeFromString(pairs)
    group.resource.attributes.extend(span.attributes)
    span.events.add(name="e").attributes.extend(span.attributes)
    logs = ExportLogsServiceRequest()
    log = logs.resource_logs.add().scope_logs.add().log_records.add(event_name=EVENT)
    log.trace_id, log.span_id = span.trace_id, span.span_id
    log.attributes.extend(span.attributes)
    log.body.CopyFrom(span.attributes[0].value)
    return [check(Signal.TRACES, traces.SerializeToString()), check(Signal.LOGS, logs.SerializeToString())]


@settings(max_examples=25)
@given(ANY_VALUES)
@pytest.mark.parametrize(("type_", "config"), PROCESSORS)
def test_any_request(type_: str, config: dict[str, Any], value: Any) -> None:
    """No value breaks a processor, and what it gives on can be read."""
    made = Made(type_, config)
    with made as component:
        for batch in requests_of(value):
            component.consume(batch)

    for sent in made.recorder.batches:
        assert check(sent.signal, sent.payload).items == sent.items
        decode(sent)
