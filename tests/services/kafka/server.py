"""Apache Kafka itself, found or brought from Maven's registry, and started as a single node for a test."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.services.found import Found, MissingServiceError, cache_folder

RECIPE = Path(__file__).parent
DOWNLOAD_SECONDS = 300
START_SECONDS = 60
STOP_SECONDS = 30
ATTEMPTS = 3
LISTENERS = ("PLAIN", "SASL", "TLS", "SASL_TLS", "CONTROLLER")
USER = "provtel"
PASSWORD = "not-a-secret"  # noqa: S105  # of a server that lives for one test run
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
# Little to compile and to collect: a broker that lives for a minute starts sooner and leaves the cores to the tests.
JAVA_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
# Length, ApiVersions (18) in version 0, number 1, no client id.
_WHAT_DO_YOU_KNOW = struct.pack(">ihhih", 10, 18, 0, 1, -1)


def find() -> Found:
    """Return the server that PROVTEL_TEST_KAFKA names, else one on PATH, else one from Maven's registry.

    The registry is the one that this machine's own Maven settings name.

    Raises:
        MissingServiceError: There is none, and nothing to get one with.
    """
    if shutil.which("java") is None:
        raise MissingServiceError("no java on PATH, which Kafka runs on: install one, version 17 or newer")
    if named := os.environ.get("PROVTEL_TEST_KAFKA"):
        libraries = Path(named) / "libs"
        if not libraries.is_dir():
            raise MissingServiceError(f"PROVTEL_TEST_KAFKA={named} is no folder of a Kafka: it has no folder libs")
        return Found("kafka", libraries, "named by PROVTEL_TEST_KAFKA")
    if on_path := shutil.which("kafka-server-start.sh") or shutil.which("kafka-server-start"):
        libraries = Path(on_path).resolve().parents[1] / "libs"
        if libraries.is_dir():
            return Found("kafka", libraries, "on PATH")
    return _downloaded()


def _downloaded() -> Found:
    recipe = RECIPE / "pom.xml"
    libraries = cache_folder() / f"kafka-{hashlib.sha256(recipe.read_bytes()).hexdigest()[:16]}"
    if libraries.exists():
        return Found("kafka", libraries, "brought before by tests/services/kafka")
    if not shutil.which("mvn"):
        raise MissingServiceError("no kafka-server-start.sh on PATH and no mvn to get Kafka with: install either")
    libraries.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=libraries.parent) as folder:
        fresh = Path(folder) / "libs"
        _download(recipe, fresh)
        try:
            fresh.replace(libraries)  # in one step, because two test runs may bring it at once
        except OSError:
            if not libraries.exists():
                raise
    return Found("kafka", libraries, "brought from Maven's registry by tests/services/kafka")


def _download(recipe: Path, target: Path) -> None:
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}"]
    command = ["mvn", "--quiet", "--batch-mode", "--file", str(recipe), *goal]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        message = f"{' '.join(command)} did not end within {DOWNLOAD_SECONDS} s"
        raise MissingServiceError(message) from None
    if done.returncode:
        raise MissingServiceError(f"{' '.join(command)} says:\n{done.stdout[-2000:]}{done.stderr[-500:]}")


@dataclass
class Kafka:
    """A Kafka of one node that can be stopped and started again; it keeps its ports and its data.

    Attributes:
        libraries: The Java archives that it consists of.
        folder: Where its settings, data, certificates and log are.
        ports: Where it listens, by the names of its listeners.
        properties: Settings beyond those that every test has.
        process: The process, while it runs.
    """

    libraries: Path
    folder: Path
    ports: dict[str, int]
    properties: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it speaks without TLS and asks nobody who they are."""
        return self.address_of("PLAIN")

    def address_of(self, listener: str) -> str:
        """Return where a listener is: ``PLAIN``, ``SASL``, ``TLS``, or ``SASL_TLS``."""
        return f"localhost:{self.ports[listener]}"

    @property
    def authority(self) -> Path:
        """The certificate by which clients know the server."""
        return self.folder / "server.crt"

    def prepare(self) -> None:
        """Make certificate, settings and an empty data folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _make_certificate(self.folder)
        (self.folder / "server.properties").write_text(_properties(self))
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        # With "=", because the id may begin with a hyphen.
        format_ = ["format", f"--cluster-id={cluster}", "--config", str(self.folder / "server.properties")]
        users = [f"{name}=[name={USER},password={PASSWORD}]" for name in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
        command = self._java("kafka.tools.StorageTool", *format_, *(part for user in users for part in ("-S", user)))
        subprocess.run(command, cwd=self.folder, capture_output=True, check=True, timeout=START_SECONDS)

    def start(self) -> None:
        """Start it, and return when it answers."""
        with (self.folder / "server.log").open("ab") as log:
            command = self._java("kafka.Kafka", str(self.folder / "server.properties"))
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait_until_it_answers()

    def stop(self) -> None:
        """Stop it in good order; kill it if it does not."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it, as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _java(self, main: str, *arguments: str) -> list[str]:
        return ["java", *JAVA_OPTIONS, "-cp", f"{self.libraries}/*", main, *arguments]

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self.ports["PLAIN"]):
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(f"Kafka ended:\n{(self.folder / 'server.log').read_text()[-2000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"Kafka did not answer within {START_SECONDS} s")
            time.sleep(0.1)


@contextmanager
def running(found: Found, folder: Path, **properties: str) -> Iterator[Kafka]:
    """Run a Kafka on free ports of this machine for as long as the block lasts.

    Args:
        found: What it consists of.
        folder: Where it keeps everything.
        properties: Further settings, with underscores for dots.
    """
    more = {name.replace("_", "."): value for name, value in properties.items()}
    server = _started(found, folder, more)
    try:
        yield server
    finally:
        server.kill()


def _started(found: Found, folder: Path, properties: dict[str, str]) -> Kafka:
    """Return a server that answers; somebody else may take a free port in the second before it does."""
    for attempt in range(ATTEMPTS):
        ports = dict(zip(LISTENERS, _free_ports(len(LISTENERS)), strict=True))
        server = Kafka(found.binary, folder / str(attempt), ports, properties)
        server.prepare()
        try:
            server.start()
        except (RuntimeError, TimeoutError):
            server.kill()
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return server
    raise AssertionError


def _answers(port: int) -> bool:
    """Say whether a server answers the question which requests it knows."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(_WHAT_DO_YOU_KNOW)
            return len(connection.recv(8)) > 0
    except OSError:
        return False


def _properties(server: Kafka) -> str:
    protocols = {
        "PLAIN": "PLAINTEXT",
        "SASL": "SASL_PLAINTEXT",
        "TLS": "SSL",
        "SASL_TLS": "SASL_SSL",
        "CONTROLLER": "PLAINTEXT",
    }
    listeners = {name: f"{name}://localhost:{port}" for name, port in server.ports.items()}
    public = [address for name, address in listeners.items() if name != "CONTROLLER"]
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@localhost:{server.ports['CONTROLLER']}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAIN",
        "listeners": ",".join(listeners.values()),
        "advertised.listeners": ",".join(public),
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "log.dirs": str(server.folder / "data"),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(server.folder / "server.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(server.folder / "server.crt"),
        **_authentication(),
        **server.properties,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _authentication() -> dict[str, str]:
    security = "org.apache.kafka.common.security"
    modules = {
        "plain": f'{security}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        "scram-sha-256": f"{security}.scram.ScramLoginModule required;",
        "scram-sha-512": f"{security}.scram.ScramLoginModule required;",
        # Takes tokens that nobody signed, as long as they name a subject and have not expired.
        "oauthbearer": f'{security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="x";',
    }
    return {"sasl.enabled.mechanisms": ",".join(MECHANISMS)} | {
        f"listener.name.{listener}.{mechanism}.sasl.jaas.config": module
        for listener in ("sasl", "sasl_tls")
        for mechanism, module in modules.items()
    }


def _make_certificate(folder: Path) -> None:
    """Make a key and a certificate for localhost that is its own authority, and both in one file for Kafka."""
    key, certificate = folder / "server.key", folder / "server.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names, *files], capture_output=True, check=True)
    (folder / "server.pem").write_bytes(key.read_bytes() + certificate.read_bytes())


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(sock.getsockname()[1]) for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports
