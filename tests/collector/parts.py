"""Components for tests: exporters that record what they were given, receivers that are told what to send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_collector.registry import find_factories
from provtel_collector.service import Service
from provtel_collector_config.configuration import Configuration
from provtel_collector_config.loading import load
from provtel_model.components import Batch, Context, Factory, Signal
from provtel_model.otlp import check


@dataclass(frozen=True, slots=True)
class NoConfig:
    """Nothing to say."""


@dataclass(eq=False)
class Part:
    """A component that keeps a diary.

    Args:
        context: Where it stands.
        diary: Shared by all parts of a service: what happened to whom, in order.
        failing: What happens at a step, by ``start``, ``shutdown`` or ``consume``.
    """

    context: Context
    diary: list[str]
    failing: Mapping[str, Exception] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)

    def start(self) -> None:
        """Note it."""
        self._note("start")

    def shutdown(self) -> None:
        """Note it."""
        self._note("shutdown")

    def consume(self, batch: Batch) -> None:
        """Note it, and give on what is given where something follows."""
        self._note("consume")
        self.batches.append(batch)
        for following in self.context.next.values():
            following.consume(batch)

    def _note(self, step: str) -> None:
        self.diary.append(f"{step} {self.context.id}")
        if step in self.failing:
            raise self.failing[step]


class Workshop:
    """Makes a service of parts, and remembers them.

    Args:
        folder: Where its configuration is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.diary: list[str] = []
        self.parts: dict[str, list[Part]] = {}
        self.failing: dict[str, dict[str, Exception]] = {}

    def part(self, id_: str) -> Part:
        """Return the only part of an id."""
        (found,) = self.parts[id_]
        return found

    def service(self, document: str) -> Service:
        """Return a service that has not started, of parts and of the components that there are."""
        return Service(self.configuration(document))

    def configuration(self, document: str) -> Configuration:
        """Return a configuration of parts and of the components that there are."""
        file = self.folder / "collector.yaml"
        file.write_text(document)
        known = find_factories()
        parts = {kind: {**known[kind], "part": Factory("part", NoConfig, self._make)} for kind in known}
        return load([str(file)], parts)

    def _make(self, _config: NoConfig, context: Context) -> Part:
        made = Part(context, self.diary, self.failing.get(context.id, {}))
        self.parts.setdefault(context.id, []).append(made)
        return made


def traces(count: int = 1, first: int = 1) -> bytes:
    """Return a request of spans whose span ids count up from `first`."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(first, first + count):
        spans.add(
            name=f"span {number}",
            trace_id=b"t" * 16,
            span_id=number.to_bytes(8, "big"),
            start_time_unix_nano=10**18 + number,
            end_time_unix_nano=10**18 + number + 1,
        )
    return request.SerializeToString()


def logs(count: int = 1) -> bytes:
    """Return a request of log records."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for number in range(count):
        records.add(time_unix_nano=10**18 + number).body.string_value = f"log {number}"
    return request.SerializeToString()


def batch(count: int = 1, signal: Signal = Signal.TRACES) -> Batch:
    """Return a batch."""
    return check(signal, traces(count) if signal is Signal.TRACES else logs(count))


class Recorder:
    """A consumer that keeps what it is given, or does as told."""

    def __init__(self, doing: Callable[[Batch], None] = lambda _: None) -> None:
        self.batches: list[Batch] = []
        self.doing = doing

    def consume(self, batch: Batch) -> None:
        """Do as told, then keep the batch."""
        self.doing(batch)
        self.batches.append(batch)


def raising(error: Exception) -> Callable[[Batch], None]:
    """Return what a consumer does that fails."""

    def fail(_batch: Batch) -> None:
        raise error

    return fail
