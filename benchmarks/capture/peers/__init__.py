"""The ways of capturing that are compared. Each is a class in a module here, loaded in an environment of its own."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import partial

from benchmarks.capture.peers.capture import Capture
from benchmarks.capture.workload import TWO

OURS = "provtel"
JOURNAL, LEAN, SHIPPED = "provtel:Journal", "provtel:Lean", "provtel:Shipped"
FULL, FLOWCEPT_MEASURED = "provtel:Full", "flowcept:CpuAndMemory"
PURE_JOURNAL, PURE_SHIPPED = "provtel:PureJournal", "provtel:PureShipped"
FLOWCEPT, LIGHTWEIGHT = "flowcept:Task", "flowcept:Lightweight"
FLOWCEPT_ONLINE, FLOWCEPT_STORED = "flowcept:Online", "flowcept:Stored"
OTEL, LOGFIRE = "otel:Sdk", "logfire:Instrumented"

REFERENCE = FLOWCEPT
"""What ratios are to."""


@dataclass(frozen=True)
class Peer:
    """One row of the comparison.

    Args:
        name: ``module:Class`` among the modules here.
        title: As the tables show it.
        environment: What it runs in; see `environments`.
        everywhere: Whether it takes part in every case, or in that of two arguments alone.
        share: The part of a case's calls that it makes; slow ones make fewer.
        sink: Whether it needs the endpoint that takes what is sent.
        redis: Whether it needs a Redis server.
        dies: Whether its victims are killed; those that keep records as another peer does are not.
    """

    name: str
    title: str
    environment: str
    everywhere: bool = False
    share: float = 1.0
    sink: bool = False
    redis: bool = False
    dies: bool = True

    def takes_part(self, case: str) -> bool:
        """Say whether it is measured in a case."""
        return self.everywhere or case == TWO


_published = partial(Peer, environment="flowcept", share=0.1, sink=True, redis=True, dies=False)

PEERS = (
    Peer(JOURNAL, "provtel, journal", OURS, everywhere=True),
    Peer(LEAN, "provtel, journal, telemetry off", OURS, everywhere=True, dies=False),
    Peer(FULL, "provtel, journal, telemetry full", OURS, dies=False),
    Peer(SHIPPED, "provtel, shipped by OTLP", OURS, everywhere=True, sink=True),
    Peer(PURE_JOURNAL, "provtel in pure Python, journal", OURS, dies=False),
    Peer(PURE_SHIPPED, "provtel in pure Python, shipped by OTLP", OURS, sink=True, dies=False),
    Peer(FLOWCEPT, "Flowcept @flowcept_task", "flowcept", everywhere=True),
    Peer("flowcept:Telemetry", "Flowcept @telemetry_flowcept_task, CPU", "flowcept", share=0.1, dies=False),
    Peer(
        FLOWCEPT_MEASURED,
        "Flowcept @flowcept_task, CPU and memory telemetry",
        "flowcept",
        share=0.1,
        dies=False,
    ),
    Peer(LIGHTWEIGHT, "Flowcept @lightweight_flowcept_task", "flowcept", dies=False),
    Peer("flowcept:Explicit", "Flowcept FlowceptTask", "flowcept", dies=False),
    Peer(FLOWCEPT_ONLINE, "Flowcept @flowcept_task, into Redis", "flowcept", share=0.2, sink=True, redis=True),
    _published("flowcept:TelemetryOnline", "Flowcept @telemetry_flowcept_task, CPU, into Redis"),
    _published("flowcept:LightweightOnline", "Flowcept @lightweight_flowcept_task, into Redis"),
    _published("flowcept:ExplicitOnline", "Flowcept FlowceptTask, into Redis"),
    Peer(FLOWCEPT_STORED, "Flowcept @flowcept_task, by Redis into LMDB", "flowcept with LMDB", share=0.1, redis=True),
    Peer(OTEL, "OpenTelemetry SDK, OTLP/HTTP", "otel", everywhere=True, share=0.4, sink=True),
    Peer(LOGFIRE, "logfire, OTLP/HTTP", "logfire", everywhere=True, share=0.2, sink=True),
)
TITLES = {peer.name: peer.title for peer in PEERS}


def load(name: str) -> Capture:
    """Return a peer, ready to start; runs under the interpreter of the peer's environment."""
    module, _, kind = name.partition(":")
    capture = getattr(importlib.import_module(f"benchmarks.capture.peers.{module}"), kind)()
    assert isinstance(capture, Capture)
    return capture
