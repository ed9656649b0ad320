"""Any value, as text, is what the OpenTelemetry Collector makes of it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_collector.attribute_lists import as_text, set_raw
from provtel_model.components import Signal
from provtel_model.otlp import check
from provtel_model.otlp.json_codec import from_json, to_json

from tests.collector.processors.made import Made
from tests.collector.processors.requests import normal
from tests.services.found import Found
from tests.services.otelcol.processing import Processor, process

VALUES = 3000
CHARACTERS = 'abc<>&"\\/\b\f\n\r\t\0\x1f\x7f\x80é\u2028\u2029\ufffd😀'
NUMBERS = (
    0.0,
    -0.0,
    1e21,
    1e20,
    1e-6,
    9.99e-7,
    1e-7,
    1.5,
    123456789.125,
    5e-324,
    1.7e308,
    math.nan,
    math.inf,
    -math.inf,
)


def some_value(chance: random.Random, depth: int = 0) -> Any:
    """Return a value of any kind."""
    leaves: list[Callable[[], Any]] = [
        lambda: None,
        lambda: chance.random() < 0.5,
        lambda: chance.randint(-(2**63), 2**63 - 1),
        lambda: chance.choice(NUMBERS),
        lambda: chance.uniform(-1, 1) * 10.0 ** chance.randint(-12, 25),
        lambda: "".join(chance.choices(CHARACTERS, k=chance.randint(0, 6))),
        lambda: chance.randbytes(chance.randint(0, 5)),
    ]
    if depth < 3 and chance.random() < 0.4:
        length = chance.randint(0, 3)
        if chance.random() < 0.5:
            return [some_value(chance, depth + 1) for _ in range(length)]
        return {"".join(chance.choices(CHARACTERS, k=2)): some_value(chance, depth + 1) for _ in range(length)}
    return chance.choice(leaves)()


def test_texts_are_those_of_otelcol(tmp_path: Path, found_otelcol: Found) -> None:
    """Values of every kind and depth become the same texts."""
    chance = random.Random(1)  # noqa: S311  # the same in every run
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for _ in range(VALUES):
        set_raw(spans.add().attributes.add(key="value").value, some_value(chance))
    ours = [as_text(span.attributes[0].value) for span in spans]

    converting = ("attributes", {"actions": [{"key": "value", "action": "convert", "converted_type": "string"}]})
    made = process(
        found_otelcol, tmp_path, {"texts": ("traces", converting)}, {"traces": [request.SerializeToString()]}
    )

    (written,) = map(json.loads, made["texts"])
    theirs = [
        span["attributes"][0]["value"].get("stringValue", "")
        for span in written["resourceSpans"][0]["scopeSpans"][0]["spans"]
    ]
    assert len(theirs) == VALUES
    assert [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]] == []


CARELESS = {"allow_all_keys": True, "redact_all_types": True, "summary": "debug"}
# Without doubles to integers: of those that no integer can hold, Go makes what the processor's instruction happens to.
CASES: dict[str, Processor] = {
    "double": ("attributes", {"actions": [{"key": "value", "action": "convert", "converted_type": "double"}]}),
    "hash": ("attributes", {"actions": [{"pattern": ".", "action": "hash"}]}),
    "extract": ("attributes", {"actions": [{"key": "value", "action": "extract", "pattern": "(?P<x>[a-c])(?P<y>.*)"}]}),
    "masked": ("redaction", {**CARELESS, "blocked_values": ["[a-c]+", "1*", "\\s"], "allowed_values": ["^-"]}),
    "blocked": ("redaction", {**CARELESS, "blocked_key_patterns": ["^val"], "hash_function": "sha1"}),
    "texts": ("redaction", {"allow_all_keys": True, "blocked_values": ["."], "summary": "info"}),
    "allowed": ("redaction", {"allowed_keys": ["value"], "ignored_keys": ["number"], "summary": "debug"}),
}


def test_values_of_every_kind(tmp_path: Path, found_otelcol: Found) -> None:
    """Whatever values spans have, each processor makes the same of them."""
    chance = random.Random(2)  # noqa: S311  # the same in every run
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(VALUES // 10):
        span = spans.add(name="n", trace_id=b"t" * 16, span_id=(number + 1).to_bytes(8, "big"))
        for key in ("value", "number", "other"):
            set_raw(span.attributes.add(key=key).value, some_value(chance))
    given = check(Signal.TRACES, request.SerializeToString())

    theirs = process(
        found_otelcol, tmp_path, {name: ("traces", case) for name, case in CASES.items()}, {"traces": [given.payload]}
    )

    for name, (type_, config) in CASES.items():
        made = Made(type_, config)
        with made as component:
            component.consume(given)
        ours = [to_json(Signal.TRACES, sent.payload) for sent in made.recorder.batches]
        # By way of the bytes, because Go writes large doubles as integers, which Python's JSON then takes them for.
        judged = [to_json(Signal.TRACES, from_json(Signal.TRACES, one)) for one in theirs[name]]
        assert list(map(normal, ours)) == list(map(normal, judged)), name
