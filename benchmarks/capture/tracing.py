"""Spans of OpenTelemetry's plain API, ours beside the SDK's, until they are encoded; and the start under both distros.

``python -m benchmarks.capture.tracing sdk|provtel SPANS`` measures one provider and prints a JSON object.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.capture.environments import UnavailableError, folder_of
from benchmarks.capture.surroundings import ROOT

SPANS = 20_000
_WARM_UP = 500
_REQUEST = 512
_PROVIDERS = ("sdk", "provtel")
_DISTROS = {"sdk": ("distro", "configurator"), "provtel": ("provtel", "provtel")}
_DISTRO_PACKAGE = "opentelemetry-distro==0.66b1"


def measure(rounds: int, scale: float) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Return what spans and starts cost by either provider, in turn, and what was left out."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in _PROVIDERS}
    left_out = []
    for _ in range(rounds):
        for name in _PROVIDERS:
            print(f"spans of the plain API: {name}", file=sys.stderr)
            command = [sys.executable, "-m", "benchmarks.capture.tracing", name, str(int(SPANS * scale))]
            done = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=True)
            taken[name].append(json.loads(done.stdout))
    try:
        distro = folder_of(_DISTRO_PACKAGE)
    except UnavailableError as error:
        left_out.append(f"start under opentelemetry-instrument: {error}")
    else:
        for number in range(rounds + 1):
            for name in _PROVIDERS:
                started = _start(name, distro)
                if number:  # the first filled the caches of byte code and files
                    taken[name][number - 1]["start_ms"] = started
    return {name: _medians(many) for name, many in taken.items()}, left_out


def _medians(many: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(one[key] for one in many) for key in many[0]} if many else {}


def _environment(**more: str) -> dict[str, str]:
    foreign = ("OTEL_", "PROVTEL_STORE", "PROVTEL_ENDPOINT", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | more


def _start(name: str, packages: Path) -> float:
    """Return the milliseconds of CPU of ``opentelemetry-instrument`` with a program that does nothing."""
    distro, configurator = _DISTROS[name]
    with tempfile.TemporaryDirectory() as folder:
        environment = _environment(
            PYTHONPATH=str(packages),
            PROVTEL_STORE=folder,
            XDG_STATE_HOME=folder,
            OTEL_PYTHON_DISTRO=distro,
            OTEL_PYTHON_CONFIGURATOR=configurator,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_METRICS_EXPORTER="none",
            OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="*",
        )
        command = [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable, "-c", "pass"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def _work(tracer: Any, spans: int) -> None:
    """Do what both are measured by: a span in a block, two attributes at its start, one later."""
    for number in range(spans):
        with tracer.start_as_current_span("work", attributes={"number": number, "share": 2.5}) as span:
            span.set_attribute("word", "text")


def _by_the_sdk(spans: int) -> tuple[float, float]:
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

    ended: list[ReadableSpan] = []

    class Collects(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            ended.append(span)

    provider = TracerProvider()
    provider.add_span_processor(Collects())
    tracer = provider.get_tracer("benchmark")
    _work(tracer, _WARM_UP)
    ended.clear()
    made = _cpu(lambda: _work(tracer, spans))

    def encode() -> None:
        for at in range(0, spans, _REQUEST):
            encode_spans(ended[at : at + _REQUEST]).SerializeToString()

    return made, _cpu(encode)


def _by_ours(spans: int) -> tuple[float, float]:
    from provtel import recording
    from provtel.otel.provider import TracerProvider
    from provtel_model.journal import JournalDrainer

    tracer = TracerProvider().get_tracer("benchmark")
    _work(tracer, _WARM_UP)
    recorder = recording.recorder()
    assert recorder is not None
    assert recorder.journal is not None
    drainer = JournalDrainer(recorder.journal)
    drainer.drain(lambda _batch: None)
    items = 0

    def take(batch: Any) -> None:
        nonlocal items
        items += batch.items

    made, encoded = _cpu(lambda: _work(tracer, spans)), _cpu(lambda: drainer.drain(take))
    assert items == spans, f"{spans} spans were made, and {items} encoded"
    return made, encoded


def _cpu(function: Callable[[], object]) -> float:
    gc.collect()
    before = time.process_time()
    function()
    return time.process_time() - before


def main(name: str, spans: int) -> dict[str, float]:
    """Return microseconds of CPU a span: to make it, and to encode it as OTLP."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"PROVTEL_STORE": folder, "XDG_STATE_HOME": folder}
        made, encoded = (_by_the_sdk if name == "sdk" else _by_ours)(spans)
    return {"made_us": made / spans * 1e6, "encoded_us": encoded / spans * 1e6}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
