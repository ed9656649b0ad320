"""Delivery and connectors are configured as in the OpenTelemetry Collector: what it takes is taken, what not is not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from provtel_collector.registry import find_factories
from provtel_collector_config.loading import load
from provtel_collector_config.problems import InvalidConfigurationError
from provtel_collector_config.sources import Sources

ACCEPTED = """
receivers: {otlp: {protocols: {http: }}}
exporters:
  otlp_http:
    endpoint: http://localhost:9
    timeout: 3s
    retry_on_failure:
      enabled: true
      initial_interval: 1s
      randomization_factor: 0.2
      multiplier: 2
      max_interval: 10s
      max_elapsed_time: 1h
    sending_queue:
      enabled: true
      num_consumers: 3
      wait_for_result: false
      block_on_overflow: true
      sizer: items
      queue_size: 100000
      storage: file_storage/a
      batch:
        flush_timeout: 1s
        min_size: 100
        max_size: 1000
        sizer: items
        partition: {metadata_keys: [tenant]}
  otlp_grpc: {endpoint: "localhost:9", sending_queue: {batch: , sizer: bytes, queue_size: 5000000}}
  otlp_http/none: {endpoint: "http://localhost:9", sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}
connectors: {forward: , forward/2: }
extensions:
  file_storage/a:
    directory: FOLDER
    timeout: 2s
    fsync: true
    max_size: 200000000
    create_directory: true
    directory_permissions: "0700"
    recreate: true
    compaction:
      directory: FOLDER
      on_start: true
      on_rebound: true
      rebound_needed_threshold_mib: 50
      rebound_trigger_threshold_mib: 5
      max_transaction_size: 100
      check_interval: 3s
      cleanup_on_start: true
service:
  extensions: [file_storage/a]
  pipelines:
    traces/in: {receivers: [otlp], exporters: [forward, otlp_http/none]}
    traces/out: {receivers: [forward], exporters: [otlp_http, otlp_grpc]}
"""
BASE = """
receivers: {otlp: {protocols: {http: }}}
exporters: {otlp_http: {endpoint: "http://localhost:9"}, debug: }
connectors: {forward: , forward/2: }
extensions: {file_storage: {directory: FOLDER}}
processors: {batch: }
service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp_http]}}}
"""
QUEUE = "exporters::otlp_http::sending_queue"
RETRY = "exporters::otlp_http::retry_on_failure"
PIPELINES = "service::pipelines"
REFUSED = [
    (f"{QUEUE}::queue_size: 0", "`queue_size` must be positive"),
    (f"{QUEUE}::num_consumers: -1", "`num_consumers` must be positive"),
    (f"{QUEUE}: {{storage: file_storage, wait_for_result: true}}", "`wait_for_result` is not supported"),
    (f"{QUEUE}: {{sizer: items, batch: {{min_size: 2000}}}}", "`min_size` must be less than or equal to `queue_size`"),
    (f"{QUEUE}::batch: {{min_size: 10, max_size: 5}}", "`max_size` (5) must be greater or equal to `min_size` (10)"),
    (f"{QUEUE}::batch::sizer: requests", '`batch` supports only `items` or `bytes` sizer, found "requests"'),
    (f"{QUEUE}::batch::flush_timeout: 0s", "`flush_timeout` must be positive, found 0"),
    (f"{QUEUE}::batch::partition::metadata_keys: [a, A]", "duplicate entry in metadata_keys"),
    (f"{QUEUE}::quee_size: 5", "has invalid keys: quee_size"),
    (f"{QUEUE}::sizer: spans", "spans"),
    (f"{RETRY}::randomization_factor: 2", "'randomization_factor' must be within [0, 1]"),
    (f"{RETRY}::max_elapsed_time: 1s", "'max_elapsed_time' must not be less than 'initial_interval'"),
    (f"{RETRY}::initial_interval: -1s", ""),
    ("extensions::file_storage::max_size: -1", "max size cannot be less than 0"),
    ("extensions::file_storage: {create_directory: true, directory_permissions: '9'}", "valid octal representation"),
    ("extensions::file_storage: {create_directory: true, directory_permissions: '7777'}", "invalid bits"),
    (
        f"{PIPELINES}: {{traces: {{receivers: [otlp, forward], exporters: [forward]}}}}",
        'cycle detected: connector "forward" (traces to traces) -> connector "forward" (traces to traces)',
    ),
    (
        (
            f"{PIPELINES}: {{traces: {{receivers: [otlp, forward/2], processors: [batch], exporters: [forward]}}, "
            "traces/b: {receivers: [forward], exporters: [forward/2, debug]}}"
        ),
        'processor "batch" in pipeline "traces"',
    ),
    (
        f"{PIPELINES}: {{traces: {{receivers: [otlp], exporters: [forward]}}}}",
        'connector "forward" used as exporter in [traces] pipeline but not used in any supported receiver pipeline',
    ),
    (
        f"{PIPELINES}: {{traces: {{receivers: [forward], exporters: [debug]}}}}",
        'connector "forward" used as receiver in [traces] pipeline but not used in any supported exporter pipeline',
    ),
    (
        (
            f"{PIPELINES}: {{traces: {{receivers: [otlp], exporters: [forward]}}, "
            "logs: {receivers: [forward], exporters: [debug]}}"
        ),
        'connector "forward" used as',
    ),
    (
        f"{PIPELINES}::traces::exporters: [forward/3]",
        'service::pipelines::traces: references exporter "forward/3" which is not configured',
    ),
]


def ours(*configs: str) -> str:
    """Return what we say of a configuration; nothing where we take it."""
    try:
        load(Sources(configs), find_factories())
    except InvalidConfigurationError as error:
        return str(error)
    return ""


def theirs(otelcol: Path, *configs: str) -> str:
    """Return what the OpenTelemetry Collector says of a configuration; nothing where it takes it."""
    arguments = [argument for config in configs for argument in ("--config", config)]
    done = subprocess.run([otelcol, "validate", *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def test_every_key_is_taken_by_both(otelcol_binary: Path, tmp_path: Path) -> None:
    """A document that says everything that can be said of delivery runs on both."""
    file = tmp_path / "collector.yaml"
    file.write_text(ACCEPTED.replace("FOLDER", str(tmp_path)))

    assert theirs(otelcol_binary, str(file)) == ""
    assert ours(str(file)) == ""


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[change for change, _ in REFUSED])
def test_what_neither_takes(otelcol_binary: Path, tmp_path: Path, change: str, said: str) -> None:
    """What makes no sense is refused by both, in the same words."""
    file = tmp_path / "collector.yaml"
    file.write_text(BASE.replace("FOLDER", str(tmp_path)))
    assert ours(str(file)) == ""

    changed = (str(file), f"yaml:{change}")

    assert said in theirs(otelcol_binary, *changed) != ""
    assert said in ours(*changed) != ""
