"""What a peer runs in: its interpreter, an empty folder, and the servers that it needs, each a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.capture.environments import UnavailableError, python_of
from benchmarks.capture.peers import Peer
from tests.services import redis
from tests.services.found import Found, MissingServiceError

ROOT = Path(__file__).parents[2]
_FOREIGN = ("BENCHMARK_", "FLOWCEPT_", "LOGFIRE_", "OTEL_", "PROVTEL_")
"""Variables that would change what a peer does."""
_FIXED = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy's threads, which some peers load and others do not, spin for a while after they are loaded."""


@dataclass(frozen=True)
class Field:
    """The peers that can run on this machine.

    Attributes:
        pythons: Interpreter of each environment that could be made.
        redis: The Redis server, where there is one.
        left_out: What is missing, and why, for people.
    """

    pythons: dict[str, str]
    redis: Found | None
    left_out: list[str]

    def has(self, peer: Peer) -> bool:
        """Say whether a peer can run."""
        return peer.environment in self.pythons and (self.redis is not None or not peer.redis)


def prepare(peers: tuple[Peer, ...]) -> Field:
    """Make the environments and find the servers of some peers."""
    pythons: dict[str, str] = {}
    left_out: list[str] = []
    found = None
    for environment in {peer.environment: None for peer in peers}:
        try:
            pythons[environment] = python_of(environment)
        except UnavailableError as error:
            left_out.append(f"{environment}: {error}")
    if any(peer.redis for peer in peers):
        try:
            found = redis.find()
        except MissingServiceError as error:
            left_out.append(f"everything with Redis: {error}")
    return Field(pythons, found, left_out)


@dataclass(frozen=True)
class Surroundings:
    """Where a peer's processes run, one after the other."""

    python: str
    folder: Path
    environment: dict[str, str]

    def command(self, module: str, *arguments: str) -> list[str]:
        """Return what starts a module of ours."""
        return [self.python, "-m", f"benchmarks.capture.{module}", *arguments]

    def run(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a module of ours to its end."""
        return subprocess.run(
            self.command(module, *arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )


@contextlib.contextmanager
def surroundings(field: Field, peer: Peer) -> Iterator[Surroundings]:
    """Yield what a peer runs in; servers and folder are gone afterwards."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="provtel-benchmark-")))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        environment |= _FIXED | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder)}
        port = []
        if peer.redis and field.redis:
            port = [str(stack.enter_context(redis.running(field.redis)))]
            environment["BENCHMARK_REDIS"] = port[0]
        if peer.sink:
            environment["BENCHMARK_SINK"] = stack.enter_context(_sink(port))
        yield Surroundings(field.pythons[peer.environment], folder, environment)


@contextlib.contextmanager
def _sink(arguments: list[str]) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.capture.sink", *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
