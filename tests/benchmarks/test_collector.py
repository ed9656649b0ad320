"""The benchmark of the collector: that it still runs, and that it notices requests that did not arrive once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from provtel_collector.registry import find_factories
from provtel_collector.service import Service
from provtel_collector_config.loading import load

from benchmarks.collector import load as loading
from benchmarks.collector import payloads, runner
from benchmarks.collector.clients import HttpClient
from benchmarks.collector.measured import OURS, THEIRS
from tests.house.project import ROOT
from tests.services.otelcol.server import free_ports

SMALLEST = ["--case", "http-kafka", "--rounds", "1", "--scale", "0.05"]


@pytest.mark.usefixtures("found_kafka", "found_otelcol")
def test_smallest_run_measures_both(tmp_path: Path) -> None:
    """A short run ends well, with figures of both collectors side by side, a page and one object."""
    page = tmp_path / "page.md"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.collector", *SMALLEST, "--page", page],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    for peer in (OURS, THEIRS):
        assert all(result["cases"]["http-kafka"][peer][figure] > 0 for figure in ("cpu_us", "memory_mb", "per_second"))
    assert result["cases"]["http-kafka"][OURS]["cpu_us_ratio"] > 0
    assert result["machine"] in page.read_text()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_load_is_taken(protocol: Literal["http", "grpc"], tmp_path: Path) -> None:
    """What the load sends over several connections arrives as that many requests."""
    (port,) = free_ports(1)
    file = tmp_path / "collector.yaml"
    file.write_text(
        json.dumps(
            {
                "receivers": {"otlp": {"protocols": {protocol: {"endpoint": f"127.0.0.1:{port}"}}}},
                "exporters": {"debug": None},
                "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}}},
            }
        )
    )
    payload = payloads.request(512).SerializeToString()

    with Service(load([str(file)], find_factories())) as service:
        clients = [loading.PROTOCOLS[protocol](port, payload) for _ in range(3)]
        sending = loading.Load(clients, 20)
        sending.run()
        for client in clients:
            client.socket.close()

    assert len(sending.seconds) == 20
    assert service.counters.total("otelcol_receiver_accepted_spans") == 20 * 512


def test_payload_is_always_the_same() -> None:
    """The file that is sent has the same bytes in every run, some 229 kB of them."""
    first, second = (payloads.request(512).SerializeToString() for _ in range(2))

    assert first == second
    assert 220_000 < len(first) < 240_000


@pytest.mark.parametrize("taken", [1, 3])
def test_request_that_did_not_arrive_once_is_noticed(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round in which requests are missing, or come twice, does not count."""

    class Goal:
        address = topic = ""

        def taken(self) -> int:
            """Return as many as the test says."""
            return taken

    monkeypatch.setattr(runner, "_DRAIN_SECONDS", 0.1)

    with pytest.raises(runner.VoidError):
        runner._wait_for(Goal(), 2)


def test_refusal_is_noticed() -> None:
    """An answer that is no success ends the load."""
    client = HttpClient.__new__(HttpClient)
    client._received = b""

    with pytest.raises(Exception, match="503"):
        client.incoming(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


def test_targets_are_judged() -> None:
    """A target is held on its own side of the limit, and left out where nothing was measured."""
    medians = {"http-kafka": {OURS: {"cpu_us_ratio": 0.3, "memory_mb": 120.0}}, "singles": {OURS: {"per_second": 1e4}}}

    judged = runner.judge(medians, None)

    assert [one["held"] for one in judged] == [True, False, True]
