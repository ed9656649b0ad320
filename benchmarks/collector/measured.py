"""A collector as a process that is watched from outside."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.collector.cases import Document
from tests.services.otelcol import server as otelcol
from tests.services.otelcol.server import free_ports

OURS: Final = "provtel"
THEIRS: Final = "otelcol"
TITLES: Final = {OURS: "provtel", THEIRS: "OpenTelemetry Collector"}
_START_SECONDS: Final = 30
_STOP_SECONDS: Final = 30
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """A collector that runs.

    Attributes:
        process: The process.
    """

    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """Return the seconds of all cores that it has used so far, with all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def idle_cpu(self) -> float:
        """Return the same, to the nanosecond, of the threads that it has now."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def peak_mb(self) -> float:
        """Return how much memory it had at its highest, in MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def command(peer: str) -> list[str]:
    """Return what starts a collector, but for its configuration.

    Raises:
        MissingServiceError: There is none.
    """
    if peer == OURS:
        return [str(Path(sys.executable).with_name("provtel")), "collector"]
    return [str(otelcol.find().binary)]


@contextmanager
def running(peer: str, document: Document, folder: Path) -> Iterator[Measured]:
    """Run a collector from when it is healthy to the end of the block."""
    (health,) = free_ports(1)
    extensions = {**document.get("extensions", {}), "health_check": {"endpoint": f"127.0.0.1:{health}"}}
    service = {**document["service"], "extensions": [*document["service"].get("extensions", []), "health_check"]}
    config = folder / "collector.yaml"
    config.write_text(json.dumps({**document, "extensions": extensions, "service": service}))
    with (folder / "collector.log").open("wb") as log:
        process = subprocess.Popen(
            [*command(peer), "--config", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
        )
    try:
        _wait_until(lambda: _is_healthy(process, health, folder))
        yield Measured(process)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_healthy(process: subprocess.Popen[bytes], port: int, folder: Path) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"it ended with {process.returncode}:\n{(folder / 'collector.log').read_text()[-2000:]}")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _wait_until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it was not healthy within {_START_SECONDS} s")
        time.sleep(0.05)
