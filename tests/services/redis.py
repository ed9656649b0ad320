"""A Redis server, found or installed from Debian's package, and started on a free port of this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.services.found import Found, MissingServiceError

PROGRAM = "redis-server"
START_SECONDS = 10
_PING = b"PING\r\n"


def find() -> Found:
    """Return the server on PATH, else with ``CI=true`` the one of Debian's package, which is installed.

    Raises:
        MissingServiceError: There is none.
    """
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
    command = ["apt-get", "install", "--yes", "--quiet", PROGRAM]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise MissingServiceError(f"no {PROGRAM} on PATH, and no apt-get to install one: {error}") from None
    found = shutil.which(PROGRAM)
    if done.returncode or found is None:
        raise MissingServiceError(f"no {PROGRAM} on PATH, and {' '.join(command)} says:\n{done.stderr[-500:]}")
    return Found("redis", Path(found), "installed from Debian's package")


@contextmanager
def running(found: Found) -> Iterator[int]:
    """Run a server that keeps nothing on disk for as long as the block lasts; yield its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = int(free.getsockname()[1])
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
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
