"""A configuration of the components that both have runs on both collectors, and makes the same of the same."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from provtel_model.components import Signal

from tests.collector.processors.requests import REQUESTS, normal
from tests.collector.running import provtel, running
from tests.services.found import Found
from tests.services.otelcol.processing import post
from tests.services.otelcol.server import free_ports, running_as

SECONDS = 10


def document(folder: Path, otlp: int) -> dict[str, Any]:
    """Return a configuration with every processor, and pipelines that a connector joins."""
    processors = ["memory_limiter", "filter", "attributes", "resource", "redaction", "batch"]
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_mib": 4000, "spike_limit_mib": 500},
            "filter": {
                "error_mode": "ignore",
                "trace_conditions": ['span.name == "tmp.clean"'],
                "log_conditions": ["log.severity_number < SEVERITY_NUMBER_INFO"],
                "metric_conditions": ['datapoint.attributes["cpu"] == 0'],
            },
            "attributes": {"actions": [{"key": "url", "action": "delete"}, {"key": "name", "action": "hash"}]},
            "resource": {"attributes": [{"key": "site", "action": "insert", "value": "north"}]},
            "redaction": {
                "allow_all_keys": True,
                "blocked_values": ["4[0-9]{3}(-[0-9]{4}){3}"],
                "blocked_key_patterns": ["^password"],
                "summary": "debug",
            },
            "batch": {"timeout": "20ms"},
        },
        "connectors": {"forward": {}},
        "exporters": {f"file/{signal}": {"path": str(folder / f"{signal}.jsonl")} for signal in Signal},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                **{
                    f"{signal}/in": {"receivers": ["otlp"], "processors": processors[:2], "exporters": ["forward"]}
                    for signal in Signal
                },
                **{
                    f"{signal}/out": {
                        "receivers": ["forward"],
                        "processors": processors[2:],
                        "exporters": [f"file/{signal}"],
                    }
                    for signal in Signal
                },
            },
        },
    }


def kept(folder: Path, otlp: int) -> dict[str, list[Any]]:
    """Send a request of each signal, and return what was written of each."""
    for signal, payload in REQUESTS.items():
        post(otlp, signal.value, payload)
    files = {signal.value: folder / f"{signal}.jsonl" for signal in Signal}
    deadline = time.monotonic() + SECONDS
    while not all(file.exists() and file.read_bytes().endswith(b"\n") for file in files.values()):
        assert time.monotonic() < deadline, {name: file.exists() for name, file in files.items()}
        time.sleep(0.05)
    return {name: [normal(line) for line in file.read_bytes().splitlines()] for name, file in files.items()}


def test_same_file(tmp_path: Path, found_otelcol: Found) -> None:
    """The same file, the same requests, the same files."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
    ports = free_ports(2)
    with running_as(found_otelcol, theirs, document(theirs, ports[0])):
        expected = kept(theirs, ports[0])
    (ours / "collector.yaml").write_text(json.dumps(document(ours, ports[1])))
    with running(provtel("collector", "--config", "collector.yaml"), ours):
        found = kept(ours, ports[1])

    assert found == expected
    assert all(len(requests) == 1 for requests in found.values())
