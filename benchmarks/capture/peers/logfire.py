"""logfire without its service: its decorator, and the standard exporter to an endpoint on this machine."""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

from benchmarks.capture.peers.otel import ROOMY, Spans
from benchmarks.capture.workload import Function


class Instrumented(Spans):
    """``@logfire.instrument`` with arguments and result."""

    output = "return"

    def kept(self, value: Any) -> Any:
        """Return the two ends of an array, which it keeps as text."""
        if isinstance(value, int | float):
            return value
        return json.dumps([*map(float, value[:5]), *map(float, value[-5:])], separators=(",", ":"))

    def start(self) -> None:
        """Configure it to send to the sink and nowhere else."""
        os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = os.environ["BENCHMARK_SINK"] + "/v1/traces"
        os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = ROOMY
        self.logfire: Any = importlib.import_module("logfire")
        self.logfire.configure(send_to_logfire=False, console=False, metrics=False, inspect_arguments=False)

    def wrap(self, function: Function) -> Function:
        """Return the decorated function."""
        wrapped: Function = self.logfire.instrument(span_name=function.__name__, record_return=True)(function)
        return wrapped

    def stop(self) -> None:
        """Flush and shut down."""
        self.logfire.shutdown()
