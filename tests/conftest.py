"""What all tests share: deterministic examples, real servers, and an honest end of a run."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.services import logfire as logfire_packages
from tests.services import openmpi, torch
from tests.services import redis as redis_server
from tests.services.amdsmi import library as amdsmi
from tests.services.compose import reader as compose_reader_service
from tests.services.container import reader as container_reader_service
from tests.services.found import Found, MissingServiceError, alone
from tests.services.h2spec import program as h2spec
from tests.services.kafka import server as kafka_server
from tests.services.mongodb import finding as mongodb_finding
from tests.services.mongodb import server as mongodb_server
from tests.services.nvml import library as nvml
from tests.services.otelcol import server as otelcol_server
from tests.services.rocrate import validator as roc_validator_service
from tests.services.sdks import programs as sdks
from tests.services.slurm import cluster as slurm_cluster
from tests.services.systemd import find as find_systemd_analyze

# No deadline: on a shared machine a slow example is no failure. In CI the examples are the same in every run.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

SERVICES = pytest.StashKey[dict[str, str]]()
LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the list of services and of tests left out; see that Ctrl-C ends what tests start, as on a terminal."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:  # as in a job in the background; programs would inherit it
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    config.stash[SERVICES] = {}
    config.stash[LEFT_OUT] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that reports what this one found and left out, where tests run in several."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["services"], told["left_out"] = session.config.stash[SERVICES], session.config.stash[LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # of xdist, which has no types
    """Take what a process that ran tests tells."""
    told: dict[str, Any] = getattr(node, "workeroutput", {})
    for name, line in told.get("services", {}).items():
        node.config.stash[SERVICES].setdefault(name, line)
    node.config.stash[LEFT_OUT].extend(told.get("left_out", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """End the run with the services that were real and the tests that were left out."""
    services, left_out = config.stash[SERVICES], config.stash[LEFT_OUT]
    if services or left_out:
        terminalreporter.section("services")
    for line in services.values():
        terminalreporter.line(line)
    for test in left_out:
        terminalreporter.line(f"LEFT OUT {test}")


def _required(request: pytest.FixtureRequest, name: str, find: Callable[[], Found]) -> Found:
    """Return a service; where it is missing, leave the test out visibly, or fail it in CI."""
    try:
        with alone(name):
            found = find()
    except MissingServiceError as error:
        request.config.stash[SERVICES][name] = f"{name}: missing: {error}"
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing: {error}", pytrace=False)
        request.config.stash[LEFT_OUT].append(request.node.nodeid or f"what needs {name}")
        pytest.skip(f"{name} is missing: {error}")
    request.config.stash[SERVICES].setdefault(name, str(found))  # the first finding says how it was had
    return found


@pytest.fixture
def otelcol(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[otelcol_server.Otelcol]:
    """Run the OpenTelemetry Collector itself: it takes OTLP by HTTP and writes it to files."""
    found = _required(request, "otelcol", otelcol_server.find)
    with otelcol_server.running(found, tmp_path / "otelcol") as server:
        yield server


@pytest.fixture
def found_otelcol(request: pytest.FixtureRequest) -> Found:
    """Find the OpenTelemetry Collector, for a test that runs one by a configuration of its own."""
    return _required(request, "otelcol", otelcol_server.find)


@pytest.fixture
def found_h2spec(request: pytest.FixtureRequest) -> Found:
    """Find the program that asks a server of HTTP/2 for everything."""
    return _required(request, "h2spec", h2spec.find)


@pytest.fixture
def found_sdk(request: pytest.FixtureRequest) -> Callable[[str], Found]:
    """Find a program that sends by OpenTelemetry's SDK of a language."""
    finders = {"go_sdk": sdks.find_go, "java_sdk": sdks.find_java}
    return lambda name: _required(request, name, finders[name])


@pytest.fixture(scope="session")
def _shared_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Found], kafka_server.Kafka]]:
    """Start Kafka for the first test that asks, and keep it for the others: it takes seconds."""
    started: dict[Found, kafka_server.Kafka] = {}
    with ExitStack() as stack:

        def start(found: Found) -> kafka_server.Kafka:
            if found not in started:
                folder = tmp_path_factory.mktemp("kafka")
                started[found] = stack.enter_context(kafka_server.running(found, folder))
            return started[found]

        yield start


@pytest.fixture
def found_kafka(request: pytest.FixtureRequest) -> Found:
    """Find Kafka, for a test that runs a server of its own to stop and to start it."""
    return _required(request, "kafka", kafka_server.find)


@pytest.fixture
def kafka(found_kafka: Found, _shared_kafka: Callable[[Found], kafka_server.Kafka]) -> kafka_server.Kafka:
    """Run Kafka itself, one for all tests: each takes topics and groups of its own."""
    return _shared_kafka(found_kafka)


@pytest.fixture
def found_redis(request: pytest.FixtureRequest) -> Found:
    """Find Redis, for a test that runs servers of its own."""
    return _required(request, "redis", redis_server.find)


@pytest.fixture
def redis(found_redis: Found, tmp_path: Path) -> Iterator[redis_server.Redis]:
    """Run Redis itself; it starts in no time, and each test has its own."""
    with redis_server.serving(found_redis, tmp_path / "redis") as server:
        yield server


@pytest.fixture(scope="session")
def mongodb(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[mongodb_server.Mongodb]:
    """Run a server that speaks MongoDB's protocol, one for all tests: each takes a database of its own."""
    found = _required(request, "mongodb", mongodb_finding.find_any)
    with mongodb_server.running(found, tmp_path_factory.mktemp("mongodb")) as server:
        yield server


@pytest.fixture
def found_durable_mongodb(request: pytest.FixtureRequest) -> Found:
    """Find a server of MongoDB's protocol whose data outlive it, for a test that kills it."""
    return _required(request, "mongodb to kill", mongodb_finding.find_durable)


@pytest.fixture(scope="session")
def found_ferretdb(request: pytest.FixtureRequest) -> Found:
    """Find FerretDB, for a test of TLS and of users."""
    return _required(request, "ferretdb", mongodb_finding.find_ferretdb)


@pytest.fixture
def found_logfire(request: pytest.FixtureRequest) -> Found:
    """Find logfire."""
    return _required(request, "logfire", logfire_packages.find)


@pytest.fixture
def found_openmpi(request: pytest.FixtureRequest) -> Found:
    """Find Open MPI, whose `mpirun` starts programs."""
    return _required(request, "openmpi", openmpi.find)


@pytest.fixture
def amdsmi_library(request: pytest.FixtureRequest) -> Path:
    """Return the folder of AMD's package, over a library that answers by a script."""
    return _required(request, "amdsmi", amdsmi.build).binary


@pytest.fixture
def nvml_library(request: pytest.FixtureRequest) -> Path:
    """Return the folder of a library that answers as NVIDIA's does, by a script."""
    return _required(request, "nvml", nvml.build).binary.parent


@pytest.fixture
def gpu(request: pytest.FixtureRequest) -> str:
    """Return the name of a real GPU; where there is none the test is left out, in CI too, and the run says so."""
    found = nvml.find_device()
    request.config.stash[SERVICES]["gpu"] = f"gpu: {found or 'none here: no GPU of NVIDIA, or no driver'}"
    if found is None:
        request.config.stash[LEFT_OUT].append(request.node.nodeid)
        pytest.skip("there is no GPU here")
    return found


@pytest.fixture
def mount_namespace(request: pytest.FixtureRequest) -> list[str]:
    """Return a command that runs another where it may mount; without one a test is left out, and the run says so."""
    command = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run([*command, "mount", "-t", "tmpfs", "none", "/mnt"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        request.config.stash[SERVICES]["mounting"] = f"mounting: not allowed here: {error}"
        request.config.stash[LEFT_OUT].append(request.node.nodeid)
        pytest.skip("nothing can be mounted here")
    return command


@pytest.fixture
def torch_python(request: pytest.FixtureRequest) -> Found:
    """Find a Python that has PyTorch."""
    return _required(request, "torch", torch.find)


@pytest.fixture
def otelcol_binary(request: pytest.FixtureRequest) -> Path:
    """Return the OpenTelemetry Collector itself, which can check a configuration without running it."""
    return _required(request, "otelcol", otelcol_server.find).binary


@pytest.fixture
def compose_reader(request: pytest.FixtureRequest) -> Path:
    """Return a program that reads compose files as Docker's own command does."""
    return _required(request, "compose", compose_reader_service.find).binary


@pytest.fixture
def container_reader(request: pytest.FixtureRequest) -> Path:
    """Return a program that reads Containerfiles as BuildKit does."""
    return _required(request, "container", container_reader_service.find).binary


@pytest.fixture
def slurm(request: pytest.FixtureRequest) -> None:
    """See that there is Slurm, which `tests.services.slurm.cluster` runs."""
    _required(request, "slurm", slurm_cluster.find)


@pytest.fixture
def systemd_analyze(request: pytest.FixtureRequest) -> Path:
    """Return systemd's own check of units."""
    return _required(request, "systemd-analyze", find_systemd_analyze).binary


@pytest.fixture
def roc_validator(request: pytest.FixtureRequest) -> Found:
    """Find roc-validator."""
    return _required(request, "roc-validator", roc_validator_service.find)


@pytest.fixture
def reference_data(request: pytest.FixtureRequest) -> Path:
    """Return the folder of documents and schemas that others wrote; a test is left out visibly where it is not here."""
    given = os.environ.get("PROVTEL_REFERENCE_DATA")
    if not given:
        request.config.stash[LEFT_OUT].append(request.node.nodeid)
        pytest.skip("PROVTEL_REFERENCE_DATA names no folder of reference data")
    return Path(given)
