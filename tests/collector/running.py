"""Collectors as processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 60


@dataclass
class Collector:
    """A collector that runs in a process.

    Args:
        process: The process.
        log: What it writes to stderr.
        addresses: Where its components listen, by id.
    """

    process: subprocess.Popen[bytes]
    log: Path
    addresses: Mapping[str, str]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code of the process."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def counts(self) -> dict[str, int]:
        """Return what it says at its end that it counted."""
        return {name: int(count) for name, count in re.findall(r"(otelcol_\w+)=(\d+)", self.log.read_text())}


@contextmanager
def running(command: Sequence[str | Path], folder: Path, **environment: str) -> Iterator[Collector]:
    """Run a collector in a folder from the moment when it says that it is ready; kill what is left of it."""
    log = folder / "collector.log"
    process = begin(command, folder, **environment)
    try:
        yield Collector(process, log, _wait_until_ready(process, log))
    finally:
        process.kill()
        process.wait()


def begin(command: Sequence[str | Path], folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a collector in a folder; its stderr is `collector.log` there."""
    with (folder / "collector.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def provtel(*arguments: str) -> list[str]:
    """Return the command line of the `provtel` command."""
    return ["-m", "provtel_cli.main", *arguments]


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if ready := re.search(r"ready: (.*)\n", log.read_text()):
            return dict(re.findall(r"(\S+) on (http://[^\s,]+)", ready[1]))
        assert process.poll() is None, f"it ended with {process.returncode}:\n{log.read_text()}"
        time.sleep(0.02)
    raise TimeoutError(f"it was not ready after {START_SECONDS} s:\n{log.read_text()}")
