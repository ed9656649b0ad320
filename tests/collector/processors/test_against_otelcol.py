"""The processors that the OpenTelemetry Collector has too make the same of the same requests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from provtel_collector.registry import find_factory
from provtel_collector_config.dataclass_loading import load_dataclass
from provtel_collector_config.ids import Kind
from provtel_model.components import Context, Signal
from provtel_model.otlp import check
from provtel_model.otlp.json_codec import to_json

from tests.collector.parts import Recorder
from tests.collector.processors.requests import REQUESTS, normal
from tests.services.found import Found
from tests.services.otelcol.processing import Processor, process

TRACES, LOGS, METRICS = Signal.TRACES, Signal.LOGS, Signal.METRICS
CARD = "4111-1111-1111-1111"


def changing(*actions: dict[str, Any], **selection: Any) -> Processor:
    """Return an ``attributes`` processor."""
    return "attributes", {"actions": list(actions), **selection}


ALL_ACTIONS = (
    {"key": "new", "action": "insert", "value": {"deep": [1, "two", 2.5, True]}},
    {"key": "name", "action": "insert", "value": "unused"},
    {"key": "count", "action": "update", "value": 8},
    {"key": "missing", "action": "update", "value": 8},
    {"key": "ratio", "action": "UPSERT", "from_attribute": "map"},
    {"key": "copied", "action": "upsert", "from_attribute": "nothing", "default_value": "default"},
    {"key": "self", "action": "upsert", "from_attribute": "nothing"},
    {"key": "empty", "action": "delete"},
    {"action": "delete", "pattern": "^password\\."},
    {"key": "yes", "action": "hash"},
    {"action": "hash", "pattern": "^(count|tiny|list|words)$"},
    {"key": "url", "action": "extract", "pattern": "^(?P<scheme>\\w+)://(?P<host>[^/]+)/(?P<rest>[a-z]*)"},
    {"key": "lines", "action": "extract", "pattern": "(?P<scheme>never)"},
)
CASES: dict[str, tuple[Signal, Processor]] = {
    "all_actions": (TRACES, changing(*ALL_ACTIONS)),
    "to_string": (
        TRACES,
        changing(
            *(
                {"key": key, "action": "convert", "converted_type": "string"}
                for key in ("count", "ratio", "tiny", "huge", "whole", "yes", "list", "map", "empty")
            )
        ),
    ),
    "to_int": (
        TRACES,
        changing(
            *(
                {"key": key, "action": "convert", "converted_type": "int"}
                for key in ("number", "ratio", "decimal", "yes", "no", "words", "map")
            )
        ),
    ),
    "to_double": (
        TRACES,
        changing(
            *(
                {"key": key, "action": "convert", "converted_type": "double"}
                for key in ("number", "count", "decimal", "yes", "words", "list", "empty")
            )
        ),
    ),
    "on_logs": (LOGS, changing({"key": "index", "action": "delete"})),
    "on_metrics": (METRICS, changing({"key": "cpu", "action": "upsert", "value": "all"})),
    "included_spans": (
        TRACES,
        changing(
            {"key": "seen", "action": "insert", "value": True},
            include={"match_type": "strict", "services": ["service of login1"], "span_kinds": ["SPAN_KIND_CLIENT"]},
            exclude={"match_type": "regexp", "span_names": ["^eval"]},
        ),
    ),
    "included_by_attributes": (
        TRACES,
        changing(
            {"key": "seen", "action": "insert", "value": True},
            include={
                "match_type": "strict",
                "attributes": [{"key": "count", "value": 7}, {"key": "list", "value": ["a", 1, 2.5, True, None]}],
                "libraries": [{"name": "provtel", "version": "2.0"}],
            },
        ),
    ),
    "included_by_patterns": (
        TRACES,
        changing(
            {"key": "seen", "action": "insert", "value": True},
            include={
                "match_type": "regexp",
                "attributes": [{"key": "ratio", "value": "^0\\.25$"}, {"key": "huge", "value": "^15000"}],
                "resources": [{"key": "host.name", "value": "node"}],
            },
        ),
    ),
    "included_logs": (
        LOGS,
        changing(
            {"key": "seen", "action": "insert", "value": True},
            include={"match_type": "regexp", "log_bodies": ["^[a-z]"], "log_severity_number": {"min": 4}},
            exclude={"match_type": "strict", "log_severity_texts": ["WARN"]},
        ),
    ),
    "included_metrics": (
        METRICS,
        changing(
            {"key": "seen", "action": "insert", "value": True},
            include={"match_type": "regexp", "metric_names": ["^l"], "resources": [{"key": "host.name", "value": "x"}]},
        ),
    ),
    "resource_traces": (TRACES, ("resource", {"attributes": [*ALL_ACTIONS, {"key": "pid", "action": "hash"}]})),
    "resource_logs": (LOGS, ("resource", {"attributes": [{"key": "host.name", "action": "delete"}]})),
    "resource_metrics": (METRICS, ("resource", {"attributes": [{"key": "pid", "value": 1, "action": "insert"}]})),
    "redact_keys": (TRACES, ("redaction", {"allowed_keys": ["name", "count", "host.name"], "summary": "debug"})),
    "redact_nothing_allowed": (METRICS, ("redaction", {"summary": "info"})),
    "redact_values": (
        TRACES,
        (
            "redaction",
            {
                "allow_all_keys": True,
                "blocked_values": ["4[0-9]{3}(-[0-9]{4}){3}", "ada", "w*"],
                "blocked_key_patterns": ["^password", "^count$", "^lines$", "^empty$"],
                "ignored_keys": ["name"],
                "ignored_key_patterns": ["^(service|url)"],
                "allowed_values": ["^two"],
                "summary": "debug",
            },
        ),
    ),
    "redact_all_types": (
        TRACES,
        (
            "redaction",
            {
                "allow_all_keys": True,
                "redact_all_types": True,
                "blocked_values": ["[0-9]+"],
                "summary": "info",
                "hash_function": "md5",
            },
        ),
    ),
    **{
        f"redact_{name}": (
            LOGS,
            (
                "redaction",
                {
                    "allow_all_keys": True,
                    "blocked_values": [CARD],
                    "blocked_key_patterns": ["password"],
                    "hash_function": name,
                    "hmac_key": "k" * 64,
                    "summary": "debug",
                },
            ),
        )
        for name in ("sha1", "sha3", "hmac-sha256", "hmac-sha512")
    },
    "redact_bodies": (
        LOGS,
        (
            "redaction",
            {
                "allowed_keys": ["name", "card", "deep", "index", "host.name"],
                "ignored_keys": ["k"],
                "blocked_values": ["4111(-1111)*", "5"],
                "allowed_values": ["^fine$", "^a$"],
                "summary": "debug",
            },
        ),
    ),
    "filter_spans": (
        TRACES,
        (
            "filter",
            {
                "spans": {
                    "include": {"match_type": "regexp", "span_names": ["train", "tmp"]},
                    "exclude": {"match_type": "strict", "attributes": [{"key": "count", "value": 7}]},
                }
            },
        ),
    ),
    "filter_all": (TRACES, ("filter", {"traces": {"resource": ['attributes["pid"] == 42']}})),
    "filter_conditions": (
        TRACES,
        (
            "filter",
            {
                "trace_conditions": [
                    'resource.attributes["host.name"] == "login1" and scope.version == "1.0"',
                    'span.attributes["count"] > 6.5 and not (span.kind != SPAN_KIND_CLIENT or span.name == "x")',
                    'spanevent.name == "began" and span.status.code == STATUS_CODE_ERROR',
                ]
            },
        ),
    ),
    "filter_old_conditions": (
        TRACES,
        (
            "filter",
            {
                "traces": {
                    "span": ['attributes["x"] == nil', 'IsMatch(attributes["count"], "^[1-9]$") and kind == 3'],
                    "spanevent": ['attributes["count"] == 1'],
                }
            },
        ),
    ),
    "filter_undecided": (
        TRACES,
        ("filter", {"trace_conditions": ['span.attributes["name"]["x"] == nil', 'span.attributes["no"] == "no"']}),
    ),
    "filter_logs": (
        LOGS,
        (
            "filter",
            {
                "logs": {
                    "include": {"match_type": "regexp", "severity_number": {"min": "info", "match_undefined": True}},
                    "exclude": {
                        "match_type": "strict",
                        "bodies": ["5", ""],
                        "record_attributes": [{"key": "name", "value": "node7"}],
                    },
                }
            },
        ),
    ),
    "filter_log_conditions": (
        LOGS,
        (
            "filter",
            {
                "log_conditions": [
                    "log.severity_number < SEVERITY_NUMBER_DEBUG",
                    'IsMatch(log.body, "4111") and resource.attributes["host.name"] != "login1"',
                    'log.attributes["index"] >= 4 and log.event_name == "event.4"',
                ]
            },
        ),
    ),
    "filter_metrics": (
        METRICS,
        (
            "filter",
            {
                "metrics": {
                    "include": {
                        "match_type": "strict",
                        "metric_names": ["load", "latency"],
                        "resource_attributes": [{"key": "host.name", "value": "node7"}],
                    }
                }
            },
        ),
    ),
    "filter_excluded_metrics": (
        METRICS,
        (
            "filter",
            {
                "metrics": {
                    "exclude": {
                        "match_type": "regexp",
                        "metric_names": ["^l"],
                        "resource_attributes": [{"key": "host.name", "value": "node"}],
                    }
                }
            },
        ),
    ),
    "filter_metric_conditions": (
        METRICS,
        (
            "filter",
            {
                "metric_conditions": [
                    "metric.type == METRIC_DATA_TYPE_SUMMARY",
                    'metric.name == "load" and datapoint.value_int == 1',
                    'datapoint.attributes["cpu"] == 0',
                ]
            },
        ),
    ),
}


@pytest.fixture
def judged(found_otelcol: Found, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """Let the OpenTelemetry Collector process everything once."""
    return judge(found_otelcol, tmp_path_factory.getbasetemp() / "processors")


@cache
def judge(found: Found, folder: Path) -> dict[str, list[bytes]]:
    """Return what the OpenTelemetry Collector makes of each case."""
    requests = {signal.value: [payload] for signal, payload in REQUESTS.items()}
    cases = {name: (signal.value, processor) for name, (signal, processor) in CASES.items()}
    return process(found, folder, cases, requests)


@pytest.mark.parametrize("name", CASES)
def test_same_as_otelcol(judged: dict[str, list[bytes]], name: str) -> None:
    """Of one request, ours and the OpenTelemetry Collector's processor make the same."""
    signal, (type_, config) = CASES[name]

    ours = run(signal, type_, config)

    assert list(map(normal, ours)) == list(map(normal, judged[name]))


def run(signal: Signal, type_: str, config: Any) -> list[bytes]:
    """Return what our processor makes of the request of a signal, in OTLP/JSON."""
    factory = find_factory(Kind.PROCESSORS, type_)
    loaded, problems = load_dataclass(factory.config, config)
    assert problems == []
    recorder = Recorder()
    processor = factory.create(loaded, Context(type_, {signal: recorder}, lambda *_: None))
    processor.start()
    processor.consume(check(signal, REQUESTS[signal]))
    processor.shutdown()
    for batch in recorder.batches:
        assert batch.items == check(signal, batch.payload).items
    return [to_json(signal, batch.payload) for batch in recorder.batches]
