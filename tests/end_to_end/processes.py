"""The processes of an end-to-end test: programs that record, a collector, the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

PROVTEL: Final = Path(sys.executable).with_name("provtel")
SECONDS: Final = 180


@dataclass(frozen=True)
class Place:
    """A folder of a test, with the store in it.

    Attributes:
        folder: Where everything is.
    """

    folder: Path

    @property
    def store(self) -> Path:
        """The store folder."""
        return self.folder / ".provtel"

    def environment(self, **more: str) -> dict[str, str]:
        """Return an environment that knows this place only, and what is given here."""
        foreign = ("PROVTEL", "OTEL")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return kept | {"PROVTEL_STORE": str(self.store), "XDG_STATE_HOME": str(self.folder / "state")} | more

    def run(self, *command: str | Path, expected: int = 0, **variables: str) -> str:
        """Return what a Python script or program prints; its exit code must be the one expected."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == expected, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def provtel(self, *arguments: str) -> str:
        """Return what the command line prints."""
        return self.run(PROVTEL, *arguments)

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the objects that the command line prints with --json."""
        return [json.loads(line) for line in self.provtel(*arguments, "--json").splitlines()]

    def activities(self) -> list[dict[str, Any]]:
        """Return all tasks and workflows in the store."""
        return self.objects("tasks", "--all", "--limit", "0") + self.objects("workflows", "--limit", "0")

    def journals(self) -> list[Path]:
        """Return the journals that are not wholly acknowledged or drained."""
        folder = self.store / "journal"
        return list(folder.iterdir()) if folder.exists() else []


def free_address() -> str:
    """Return a loopback address that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


@dataclass
class Collector:
    """A collector in a process of its own, from a preset that users run.

    Attributes:
        place: Where its store and its log are.
        arguments: What it is told on its command line.
        variables: What it is told by the environment, beside its addresses.
        address: Where it takes OTLP.
        health: Where it answers whether all is well.
        process: The process, once it runs.
    """

    place: Place
    arguments: Sequence[str] = ("--config", "preset:embedded")
    variables: Mapping[str, str] = field(default_factory=dict)
    address: str = field(default_factory=free_address)
    health: str = field(default_factory=free_address)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The address as programs are told it."""
        return f"http://{self.address}"

    def start(self) -> None:
        """Start it, and return when it is healthy."""
        environment = self.place.environment(
            PROVTEL_COLLECTOR_ENDPOINT=self.address, PROVTEL_COLLECTOR_HEALTH_ENDPOINT=self.health, **self.variables
        )
        command = [str(PROVTEL), "collector", *self.arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.place.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait(self.is_healthy, f"a healthy collector; its log is {self.log}")

    @property
    def log(self) -> Path:
        """What it says."""
        return self.place.folder / "collector.log"

    def is_healthy(self) -> bool:
        """Say whether it answers that all is well."""
        assert self.process
        assert self.process.poll() is None, self.log.read_text()
        try:
            with urllib.request.urlopen(f"http://{self.health}/", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """Kill it, where it runs, so that it can save nothing."""
        if self.process:
            self.end(signal.SIGKILL)

    def stop(self) -> int:
        """Stop it as a service manager does, and return its exit code."""
        return self.end(signal.SIGTERM)

    def end(self, how: signal.Signals) -> int:
        """Send a signal, and return the exit code."""
        assert self.process
        self.process.send_signal(how)
        return self.process.wait(SECONDS)


@contextmanager
def collecting(place: Place) -> Iterator[Collector]:
    """Run a collector for as long as the block lasts."""
    collector = Collector(place)
    collector.start()
    try:
        yield collector
    finally:
        if collector.process and collector.process.poll() is None:
            collector.kill()


def wait(ready: Callable[[], bool], what: str) -> None:
    """Wait until something is ready."""
    end = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < end, f"waited {SECONDS} s in vain for {what}"
        time.sleep(0.02)
