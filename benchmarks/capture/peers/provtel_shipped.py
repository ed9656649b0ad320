"""provtel, everything shipped by OTLP to an endpoint that answers, default telemetry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["BENCHMARK_SINK"]

import provtel

from benchmarks.capture import sink
from benchmarks.capture.peers import provtel_journal
from benchmarks.capture.peers.compare import differences as compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def start() -> None:
    """Nothing has to be started."""


def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the decorated function."""
    return provtel_journal.wrap(function)


def stop() -> None:
    """Return when the endpoint has acknowledged everything."""
    if not provtel.flush(timeout=60):
        msg = "the sink did not acknowledge everything"
        raise RuntimeError(msg)


def size() -> int:
    """Return the bytes that the sink took."""
    return sink.taken(os.environ["BENCHMARK_SINK"])


def differences(expected: Iterable[tuple[str, tuple[Any, ...]]]) -> str:
    """Compare every span that the sink took."""
    return compare(expected, sink.calls(os.environ["BENCHMARK_SINK"]))
