"""Every comparison of every kind of value comes out as with the OpenTelemetry Collector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_collector.attribute_lists import set_raw
from provtel_model.components import Signal
from provtel_model.otlp import check

from tests.collector.processors.made import Made
from tests.services.found import Found
from tests.services.otelcol.processing import process

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**53 + 1, -(2**63), 0.0, 1.0, 1.5, -1.5, 1e300, float("nan"), float("inf")),
    *("", "1", "a", "B", "é", "true", b"", b"a", b"\x01", [], [1], ["1"], {}, {"a": 1}, {"a": "b"}),
]
OPERANDS = (
    *("nil", "true", "false", "0", "1", "-1", "9007199254740993", "1.0", "1.5", "-0.5", '""', '"1"', '"a"', '"é"'),
    *(
        "0x61",
        "0x",
        "SPAN_KIND_INTERNAL",
        'span.attributes["b"]',
        'span.attributes["b"]["a"]',
        'span.attributes["a"][0]',
    ),
)
SIGNS = ("==", "!=", "<", "<=", ">", ">=")
OTHERS = (
    *('IsMatch(span.attributes["a"], "^[1t-]")', 'not IsMatch(span.attributes["a"], "a")'),
    *('span.attributes["a"] == nil or span.attributes["a"] != span.attributes["b"]', "span.attributes == nil"),
    *('IsMatch(span.attributes["b"], ".*") and not (span.attributes["a"] == 1)', "true", "false", "not true and false"),
)


def request() -> bytes:
    """Return spans with each value, once beside nothing, once beside itself, and once beside another."""
    made = ExportTraceServiceRequest()
    spans = made.resource_spans.add().scope_spans.add().spans
    for number, value in enumerate(VALUES):
        for beside in ((), (value,), (VALUES[number - 1],)):
            span = spans.add(name=f"{number} {len(spans)}", trace_id=b"t" * 16, span_id=len(spans).to_bytes(8, "big"))
            set_raw(span.attributes.add(key="a").value, value)
            for other in beside:
                set_raw(span.attributes.add(key="b").value, other)
    spans.add(name="none", trace_id=b"t" * 16, span_id=b"nothing!")
    return made.SerializeToString()


def test_comparisons(tmp_path: Path, found_otelcol: Found) -> None:
    """Of spans with values of every kind, the same are dropped by each condition."""
    compared = [
        text
        for operand in OPERANDS
        for sign in SIGNS
        for text in (f'span.attributes["a"] {sign} {operand}', f'{operand} {sign} span.attributes["a"]')
        if operand != "0x"
    ]
    conditions = {f"case{number}": text for number, text in enumerate([*compared, *OTHERS])}
    cases = {name: ("traces", ("filter", config_of(text))) for name, text in conditions.items()}

    theirs = process(found_otelcol, tmp_path, cases, {"traces": [request()]})

    kept = {name: (kept_by_us(text), kept_by_them(theirs[name])) for name, text in conditions.items()}
    different = {conditions[name]: sorted(ours ^ judged) for name, (ours, judged) in kept.items() if ours != judged}
    assert different == {}


def config_of(text: str) -> dict[str, Any]:
    """Return what a user writes for a condition on spans."""
    return {"trace_conditions": [{"context": "span", "conditions": [text]}]}


def kept_by_us(text: str) -> set[str]:
    """Return the names of the spans that our filter keeps."""
    made = Made("filter", config_of(text))
    with made as component:
        component.consume(check(Signal.TRACES, request()))
    kept = [ExportTraceServiceRequest.FromString(one.payload) for one in made.recorder.batches]
    return {span.name for one in kept for span in one.resource_spans[0].scope_spans[0].spans}


def kept_by_them(written: list[bytes]) -> set[str]:
    """Return the names of the spans that were written."""
    kept = map(json.loads, written)
    return {span["name"] for one in kept for span in one["resourceSpans"][0]["scopeSpans"][0]["spans"]}
