"""What came with a request reaches processors, and stays with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from provtel_model.components import Signal
from provtel_model.otlp import check, decode

from tests.collector.processors.made import Made
from tests.collector.processors.requests import REQUESTS

METADATA = {"tenant": "physics"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [("metadata.Tenant", "physics"), ("tenant", "physics"), ("metadata.other", None)],
)
def test_attribute_from_metadata(source: str, expected: str | None) -> None:
    """An attribute can be a header of the request."""
    made = Made("attributes", {"actions": [{"key": "tenant", "action": "upsert", "from_context": source}]})
    with made as component:
        component.consume(replace(check(Signal.TRACES, REQUESTS[Signal.TRACES]), metadata=METADATA))

    (sent,) = made.recorder.batches
    assert {record["attributes"].get("tenant") for record in decode(sent)} == {expected}
    assert sent.metadata == METADATA


@pytest.mark.parametrize(
    ("type_", "config"),
    [
        ("redaction", {"allow_all_keys": True, "blocked_values": ["ada"]}),
        ("filter", {"trace_conditions": ['span.name == "train"']}),
        ("batch", {"send_batch_size": 1}),
    ],
)
def test_metadata_stay(type_: str, config: dict[str, Any]) -> None:
    """What is changed keeps what it came with."""
    made = Made(type_, config)
    with made as component:
        component.consume(replace(check(Signal.TRACES, REQUESTS[Signal.TRACES]), metadata=METADATA))

    assert made.recorder.batches[0].metadata == METADATA
