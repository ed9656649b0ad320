"""The memory limiter refuses data while there is too little memory."""

from __future__ import annotations

import http.client
import json
import mmap
import time
from pathlib import Path
from typing import Any

import pytest
from provtel_collector import memory
from provtel_collector.processors.memory_limiter.config import MemoryLimiterConfig
from provtel_collector_config.dataclass_loading import load_dataclass
from provtel_model.errors import RetryableError

from tests.collector.parts import batch, traces
from tests.collector.processors.made import Made
from tests.collector.running import provtel, running
from tests.services.otelcol.server import free_ports

MIB = 2**20


class Machine:
    """A machine whose memory a test sets.

    Args:
        monkeypatch: To put it in place of the real one.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.used = 0
        self.garbage = 0
        self.collections = 0
        monkeypatch.setattr(memory, "held", lambda: (self.used + self.garbage) * MIB)
        monkeypatch.setattr(memory, "available", lambda: 1000 * MIB)
        monkeypatch.setattr(memory, "give_back", self._collect)

    def _collect(self) -> None:
        self.collections += 1
        self.garbage = 0


def limiter(**config: Any) -> Made:
    """Return a limiter that looks only when it is told to."""
    return Made("memory_limiter", {"check_interval": "1h", **config})


def test_refuses_above_the_soft_limit(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Above the limit less the spike data are refused for now and counted, below again taken; both are told once."""
    caplog.set_level("INFO")
    machine = Machine(monkeypatch)
    made = limiter(limit_mib=100, spike_limit_mib=30)
    for used in (69, 70, 90, 69):
        machine.used = used
        made.component.check()
        if used == 69:
            made.component.consume(batch(2))
        else:
            with pytest.raises(RetryableError, match="data refused due to high memory usage"):
                made.component.consume(batch(3))

    assert made.counts["processor_memory_limiter_accepted_spans",] == 4
    assert made.counts["processor_memory_limiter_refused_spans",] == 6
    assert caplog.text.count("refusing data") == 1
    assert caplog.text.count("taking data again") == 1


def test_collects_garbage_above_the_hard_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is only garbage is collected at once above the hard limit, and nothing is refused."""
    machine = Machine(monkeypatch)
    machine.used, machine.garbage = 50, 60
    made = limiter(limit_mib=100)

    made.component.check()
    made.component.consume(batch())

    assert machine.collections == 1


def test_waits_between_useless_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection that does not help is not repeated at every look."""
    machine = Machine(monkeypatch)
    machine.used = 200
    made = limiter(limit_mib=100)

    for _ in range(5):
        made.component.check()

    assert machine.collections == 1


@pytest.mark.parametrize(
    ("config", "soft"),
    [
        ({"limit_mib": 100}, 80),
        ({"limit_percentage": 50}, 400),
        ({"limit_percentage": 50, "spike_limit_percentage": 20}, 300),
        ({"limit_mib": 100, "limit_percentage": 50}, 80),
    ],
)
def test_limits(monkeypatch: pytest.MonkeyPatch, config: dict[str, int], soft: int) -> None:
    """The soft limit is the limit less the spike, a fifth if not said; MiB count more than percent."""
    Machine(monkeypatch)

    assert limiter(**config).component._soft == soft * MIB


def test_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at the memory at its interval while it runs."""
    machine = Machine(monkeypatch)
    made = Made("memory_limiter", {"check_interval": "10ms", "limit_mib": 100})
    with made as component:
        machine.used = 95
        deadline = time.monotonic() + 5
        while not component._refusing:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_real_memory() -> None:
    """What this process holds is more than an interpreter and less than is in memory, which is less than there is."""
    block = bytearray(50 * MIB)

    assert 50 * MIB < memory.held() < memory.resident() < memory.available()
    memory.give_back()
    assert len(block) == 50 * MIB


def test_mapped_files_do_not_count(tmp_path: Path) -> None:
    """A file that is mapped and read is in memory, and is not held."""
    file = tmp_path / "file"
    file.write_bytes(b"x" * 50 * MIB)
    before = memory.held(), memory.resident()

    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert sum(mapped[offset] for offset in range(0, len(mapped), 4096)) > 0
        after = memory.held(), memory.resident()

    assert after[0] - before[0] < 10 * MIB
    assert after[1] - before[1] > 40 * MIB


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"limit_mib": 1}, "'check_interval' must be greater than zero"),
        ({"check_interval": "1s"}, "'limit_mib' or 'limit_percentage' must be greater than zero"),
        ({"check_interval": "1s", "limit_mib": 5, "spike_limit_mib": 5}, "must be smaller than 'limit_mib'"),
        ({"check_interval": "1s", "limit_percentage": 101}, "less than or equal to hundred"),
        (
            {"check_interval": "1s", "limit_percentage": 5, "spike_limit_percentage": 6},
            "must be smaller than 'limit_percentage'",
        ),
        (
            {"check_interval": "1s", "limit_mib": 5, "min_gc_interval_when_hard_limited": "20s"},
            "'min_gc_interval_when_soft_limited' should be larger",
        ),
        (
            {"check_interval": "1s", "limit_mib": 5, "max_gc_interval_when_soft_limited": "5s"},
            "'max_gc_interval_when_soft_limited' must be greater",
        ),
    ],
)
def test_refused_configuration(config: dict[str, Any], message: str) -> None:
    """Limits that are none or contradict each other are refused in the OpenTelemetry Collector's words."""
    _, (problem,) = load_dataclass(MemoryLimiterConfig, config)

    assert message in str(problem)


def test_senders_are_told(tmp_path: Path) -> None:
    """A collector that is above its limit refuses for now, lives on, and counts what it refused."""
    (otlp,) = free_ports(1)
    document = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "processors": {"memory_limiter": {"check_interval": "20ms", "limit_mib": 1}},
        "exporters": {"nop": {}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": ["nop"]}},
        },
    }
    (tmp_path / "collector.yaml").write_text(json.dumps(document))
    with running(provtel("collector", "--config", "collector.yaml"), tmp_path) as collector:
        time.sleep(0.3)
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", otlp, timeout=10)
            connection.request("POST", "/v1/traces", traces(2), {"content-type": "application/x-protobuf"})
            answer = connection.getresponse()
            assert (answer.status, b"high memory usage" in answer.read()) == (503, True)
            connection.close()
        assert collector.stop() == 0
        assert collector.counts()["otelcol_processor_memory_limiter_refused_spans"] == 6
