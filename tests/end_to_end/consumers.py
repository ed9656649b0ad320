"""What stands around a queue in tests of faults: threads that send into it, collectors that take out of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_exporters.lmdb import open_reader
from provtel_model.components import Signal
from provtel_model.errors import RetryableError, StoreError
from provtel_model.filters import Query
from provtel_model.otlp import check

TRACE: Final = b"t" * 16
SPANS: Final = 20
SECONDS: Final = 90


def request_of(first: int) -> bytes:
    """Return a request of spans whose ids count up."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(first, first + SPANS):
        span = spans.add(name="task", trace_id=TRACE, span_id=number.to_bytes(8, "big"))
        span.start_time_unix_nano, span.end_time_unix_nano = 10**18 + number, 10**18 + number + 1
    return request.SerializeToString()


def ids(*firsts: int) -> set[str]:
    """Return the record ids of the spans of requests."""
    return {f"{TRACE.hex()}-{number:016x}" for first in firsts for number in range(first, first + SPANS)}


@dataclass
class Members:
    """Collectors that share a queue as one consumer group, and write one store.

    Attributes:
        folder: Where the store, the configuration and the logs are.
        receiver: By which receiver they take out of the queue, type -> configuration.
        choose: What chooses whom a fault meets.
        processes: Those that run.
    """

    folder: Path
    receiver: Mapping[str, Mapping[str, Any]]
    choose: random.Random
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    started: int = 0

    @property
    def store(self) -> Path:
        """The store folder."""
        return self.folder / ".provtel"

    @property
    def dead_letters(self) -> list[Path]:
        """The files of what was put aside."""
        return list((self.folder / "state").rglob("*.jsonl"))

    def start(self) -> None:
        """Start one more."""
        document = {
            "receivers": self.receiver,
            "exporters": {"lmdb": {"store": str(self.store)}},
            "service": {
                "pipelines": {"traces": {"receivers": list(self.receiver), "exporters": ["lmdb"]}},
                "telemetry": {"metrics": {"level": "none"}},
            },
        }
        config = self.folder / "collector.yaml"
        config.write_text(json.dumps(document))
        self.started += 1
        environment = {**os.environ, "XDG_STATE_HOME": str(self.folder / "state")}
        with (self.folder / f"collector-{self.started}.log").open("wb") as log:
            command = [sys.executable, "-m", "provtel_cli.main", "collector", "--config", str(config)]
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.processes.append(process)

    def kill_one(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End one of them, and return when it is gone."""
        process = self.processes.pop(self.choose.randrange(len(self.processes)))
        process.send_signal(how)
        process.wait(SECONDS)

    def stored(self) -> list[str]:
        """Return the ids in the store."""
        try:
            reader = open_reader(str(self.store))
        except StoreError:
            return []
        try:
            return [record.id for record in reader.find(Query())]
        finally:
            reader.close()

    def wait_for(self, expected: set[str]) -> list[str]:
        """Return what is in the store as soon as everything expected is."""
        deadline = time.monotonic() + SECONDS
        while not expected <= set(stored := self.stored()):
            missing = len(expected - set(stored))
            assert time.monotonic() < deadline, f"{missing} of {len(expected)} spans are missing; {self.logs()}"
            assert all(process.poll() is None for process in self.processes), self.logs()
            time.sleep(0.2)
        return stored

    def logs(self) -> str:
        """Return the last words of each."""
        return "\n".join(file.read_text()[-1000:] for file in sorted(self.folder.glob("collector-*.log")))


@contextmanager
def members(folder: Path, receiver: Mapping[str, Mapping[str, Any]], count: int, seed: int = 0) -> Iterator[Members]:
    """Run several collectors of one group."""
    group = Members(folder, receiver, random.Random(seed))  # noqa: S311  # hides nothing
    try:
        for _ in range(count):
            group.start()
        yield group
    finally:
        for process in group.processes:
            process.kill()
            process.wait()


@dataclass
class Senders:
    """Threads that send by an exporter, again and again until each request is acknowledged.

    Attributes:
        exporter: The exporter.
        acknowledged: The first id of each request that was.
        failures: Why one was not.
    """

    exporter: Any
    stopping: threading.Event = field(default_factory=threading.Event)
    acknowledged: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def send(self, begin: int) -> None:
        """Send until told to stop."""
        first = begin
        while not self.stopping.is_set():
            batch = check(Signal.TRACES, request_of(first))
            try:
                self.exporter.consume(batch)
            except RetryableError as error:
                self.failures.append(str(error))
                time.sleep(0.1)
            else:
                self.acknowledged.append(first)
                first += SPANS
                time.sleep(0.005)

    def wait_for_more(self, count: int) -> None:
        """Return when so many more requests were acknowledged."""
        before = len(self.acknowledged)
        deadline = time.monotonic() + SECONDS
        while len(self.acknowledged) < before + count:
            assert time.monotonic() < deadline, self.failures[-1:]
            time.sleep(0.05)


@contextmanager
def sending(exporter: Any, threads: int = 4) -> Iterator[Senders]:
    """Send from several threads for the length of the block; at its end each has its last answer."""
    exporter.start()
    senders = Senders(exporter)
    workers = [threading.Thread(target=senders.send, args=(number * 10**9,)) for number in range(1, threads + 1)]
    try:
        for worker in workers:
            worker.start()
        yield senders
    finally:
        senders.stopping.set()
        for worker in workers:
            worker.join()
        exporter.shutdown()
