"""Servers that speak MongoDB's protocol, started on a free port of this machine, killed, and started again."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.services.found import Found
from tests.services.mongodb.finding import GIVEN, RECIPES

START_SECONDS = 60
USER = "provtel"
PASSWORD = "not-a-secret"  # noqa: S105  # of a server that lives for one test run
USERS_DATABASE = "ferretdb"
JAVA_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


@dataclass
class Mongodb:
    """A server that can be killed and started again; it keeps its ports and its data.

    Attributes:
        found: What it is.
        folder: Where its data, certificate and log are.
        port: Where it listens without TLS.
        tls_port: Where it listens with TLS, if it can.
        users: Whether it asks who one is.
        process: The process, while it runs.
    """

    found: Found
    folder: Path
    port: int
    tls_port: int
    users: bool = False
    process: subprocess.Popen[bytes] | None = None
    databases: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Its address as clients are told it, without a database."""
        return os.environ[GIVEN].rstrip("/") if self.is_given else f"mongodb://127.0.0.1:{self.port}"

    @property
    def is_given(self) -> bool:
        """Whether it is somebody else's, which is not started here."""
        return self.found.binary == Path(GIVEN)

    @property
    def authority(self) -> Path:
        """The certificate by which clients know the server."""
        return self.folder / "server.crt"

    def new_database(self) -> str:
        """Return the address of a database that nobody has used."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.databases.append(name)
        return f"{self.address}/{name}"

    def start(self) -> None:
        """Start it, and return when it answers."""
        if self.is_given:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.found} ended:\n{(self.folder / 'server.log').read_text()[-2000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.found} did not answer within {START_SECONDS} s")
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it, as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        with MongoClient[dict[str, object]](self.address, serverSelectionTimeoutMS=500) as client:
            try:
                client.admin.command("ping")
            except PyMongoError:
                return False
        return True

    def _command(self) -> list[str]:
        if self.found.service == "mongo-java-server":
            place = [str(RECIPES / "h2" / "Server.java"), str(self.port), str(self.folder / "data")]
            return ["java", *JAVA_OPTIONS, "-cp", f"{self.found.binary}/*", *place]
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        if self.found.service == "mongodb":
            return [str(self.found.binary), "--bind_ip", "127.0.0.1", "--port", str(self.port), "--dbpath", str(data)]
        return [str(self.found.binary), *self._ferretdb(data)]

    def _ferretdb(self, data: Path) -> Iterator[str]:
        yield from ("--handler=sqlite", f"--sqlite-url=file:{data}/", f"--state-dir={data}", "--debug-addr=-")
        yield from ("--telemetry=disable", "--log-level=WARN", f"--listen-addr=127.0.0.1:{self.port}")
        if not self.authority.exists():
            _make_certificate(self.folder)
        yield from (f"--listen-tls=127.0.0.1:{self.tls_port}", f"--listen-tls-cert-file={self.authority}")
        yield f"--listen-tls-key-file={self.folder / 'server.key'}"
        if self.users:
            yield from ("--test-enable-new-auth", f"--setup-database={USERS_DATABASE}")
            yield from (f"--setup-username={USER}", f"--setup-password={PASSWORD}")


@contextmanager
def running(found: Found, folder: Path, *, users: bool = False) -> Iterator[Mongodb]:
    """Run a server for as long as the block lasts; of one that is given only the databases of the tests are removed.

    Args:
        found: What it is.
        folder: Where it keeps everything.
        users: Whether it is to ask who one is.
    """
    server = Mongodb(found, folder, _free_port(), _free_port(), users)
    server.start()
    try:
        yield server
    finally:
        if server.is_given:
            with MongoClient[dict[str, object]](server.address) as client:
                for name in server.databases:
                    client.drop_database(name)
        server.kill()


def _make_certificate(folder: Path) -> None:
    """Make a key and a certificate for this machine that is its own authority."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "server.key"), "-out", str(folder / "server.crt")]
    subprocess.run([*command, *names, *files], capture_output=True, check=True)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return int(free.getsockname()[1])
