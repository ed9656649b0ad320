"""Slurm on one node, installed from Debian's packages, and started for a test."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.services import debian
from tests.services.found import Found, MissingServiceError
from tests.services.otelcol.server import free_ports

PACKAGES = ("slurm-wlm", "munge")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")
START_SECONDS = 60
STOP_SECONDS = 10
CONFIGURATION = Path(__file__).with_name("slurm.conf")


def find() -> Found:
    """Return Slurm's controller on PATH, else with ``CI=true`` that of Debian's packages, which are installed.

    Raises:
        MissingServiceError: There is none, or it cannot be run here.
    """
    if _complete():
        return _found("on PATH")
    if os.environ.get("CI") == "true":
        return install()
    raise MissingServiceError("no Slurm on PATH: install one, or let `make services` do it")


def install() -> Found:
    """Return Slurm's controller on PATH, else that of Debian's packages, which are installed.

    Raises:
        MissingServiceError: It cannot be installed.
    """
    if _complete():
        return _found("on PATH")
    debian.install("Slurm", PROGRAMS, *PACKAGES)
    return _found("installed from Debian's packages")


def _complete() -> bool:
    return all(map(shutil.which, PROGRAMS))


def _found(how: str) -> Found:
    if os.geteuid() != 0:
        raise MissingServiceError("Slurm is there, but only root can start a node of it")
    return Found("slurm", Path(shutil.which("slurmctld") or ""), how)


@dataclass(frozen=True)
class Cluster:
    """A cluster of this machine.

    Attributes:
        folder: Its configuration, state and logs.
    """

    folder: Path

    def run(self, *command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one of Slurm's commands to its end."""
        return subprocess.run(
            command,
            cwd=cwd,
            env={**_clean(os.environ), "SLURM_CONF": str(self.folder / "slurm.conf"), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(("PROVTEL", "OTEL", "SLURM"))}


@contextmanager
def running(folder: Path, scripts: Path) -> Iterator[Cluster]:
    """Run a cluster whose node runs the prolog, task prolog and epilog of a folder.

    Args:
        folder: Where it keeps everything.
        scripts: The folder of the scripts.
    """
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname().split(".")[0]
    controller_port, node_port = free_ports(2)
    configuration = folder / "slurm.conf"
    known = {**_clean(os.environ), "SLURM_CONF": str(configuration)}
    with ExitStack() as stack:
        # A socket's path must be short.
        munge = Path(stack.enter_context(TemporaryDirectory(prefix="munge-")))
        configuration.write_text(
            CONFIGURATION.read_text().format(
                host=host,
                folder=folder,
                munge=munge,
                scripts=scripts,
                controller_port=controller_port,
                node_port=node_port,
            )
        )
        stack.enter_context(_daemon(_munged(munge), folder / "munged.log", known))
        _wait((munge / "socket").exists, f"munged; see {folder}")
        stack.enter_context(_daemon(["slurmctld", "-D"], folder / "slurmctld.log", known))
        stack.enter_context(_daemon(["slurmd", "-D"], folder / "slurmd.log", known))
        cluster = Cluster(folder)
        _wait(lambda: "idle" in cluster.run("sinfo", "--noheader", cwd=folder).stdout, f"a node; see {folder}")
        yield cluster


def _munged(folder: Path) -> list[str]:
    """Return the command of the daemon by which a cluster knows its users, with a key and a socket of its own."""
    folder.chmod(0o755)
    key = folder / "key"
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(128))
    files = [f"--{name}-file={folder / name}" for name in ("key", "pid", "seed")]
    return ["munged", "--foreground", f"--socket={folder / 'socket'}", *files]


@contextmanager
def _daemon(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {START_SECONDS} s in vain for {what}")
        time.sleep(0.1)
