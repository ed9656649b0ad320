"""A Redis server, found or installed from Debian's package, and started on free ports of this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.services import debian
from tests.services.found import Found, MissingServiceError

PROGRAM = "redis-server"
START_SECONDS = 10
_PING = b"PING\r\n"


def find() -> Found:
    """Return the server that PROVTEL_TEST_REDIS names, else one on PATH, else with ``CI=true`` Debian's, installed.

    Raises:
        MissingServiceError: There is none.
    """
    if named := os.environ.get("PROVTEL_TEST_REDIS"):
        if shutil.which(named) is None:
            raise MissingServiceError(f"PROVTEL_TEST_REDIS={named} is no program")
        return Found("redis", Path(named), "named by PROVTEL_TEST_REDIS")
    if on_path := shutil.which(PROGRAM):
        return Found("redis", Path(on_path), "on PATH")
    if os.environ.get("CI") == "true":
        return install()
    raise MissingServiceError(f"no {PROGRAM} on PATH: install one, or let `make services` do it")


def install() -> Found:
    """Return the server on PATH, else the one of Debian's package, which is installed.

    Raises:
        MissingServiceError: It cannot be installed.
    """
    if on_path := shutil.which(PROGRAM):
        return Found("redis", Path(on_path), "on PATH")
    debian.install(PROGRAM, [PROGRAM], PROGRAM)
    return Found("redis", Path(shutil.which(PROGRAM) or ""), "installed from Debian's package")


@dataclass
class Redis:
    """A Redis that can be killed and started again; it keeps its ports and its data.

    Attributes:
        binary: The program.
        folder: Where its data, its socket and its log are.
        port: Where it listens.
        settings: What it is told beside, as on its command line, with underscores for hyphens.
        process: The process, while it runs.
    """

    binary: Path
    folder: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens, as programs are told it."""
        return f"localhost:{self.port}"

    @property
    def socket(self) -> Path:
        """Its socket in the file system."""
        return self.folder / "redis.sock"

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.folder),
            "unixsocket": str(self.socket),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
        }
        told |= {name.replace("_", "-"): value for name, value in self.settings.items()}
        command = [str(self.binary), *(part for name, value in told.items() for part in (f"--{name}", value))]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _wait_until_it_answers(self.process, self.port)

    def kill(self) -> None:
        """Kill it, as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def client(self, **others: Any) -> Any:
        """Return a client of redis-py that speaks to it."""
        return redis.Redis(port=self.port, socket_timeout=START_SECONDS, **others)

    def look(self, *words: str | int) -> str:
        """Return what redis-cli shows for a command."""
        command = ["redis-cli", "-p", str(self.port), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout


@contextmanager
def serving(found: Found, folder: Path, **settings: str) -> Iterator[Redis]:
    """Run a server that has everything on disk before it answers, for as long as the block lasts."""
    server = Redis(found.binary, folder, free_port(), settings)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """Return a port that nobody listens at."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return int(free.getsockname()[1])


@contextmanager
def running(found: Found) -> Iterator[int]:
    """Run a server that keeps nothing on disk for as long as the block lasts; yield its port."""
    port = free_port()
    command = [str(found.binary), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _wait_until_it_answers(process, port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"redis-server does not answer at port {port}")
        time.sleep(0.02)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(_PING)
            # One that asks who is there answers too, and one that still reads its data does not count.
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False
