"""MongoDB that dies, collectors that die, networks that fail: what was acknowledged is in the store, each span once."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from provtel_exporters.mongodb import open_reader
from provtel_exporters.otlp import otlp_http
from provtel_exporters.otlp.config import OtlpHttpConfig
from provtel_model.components import Context
from provtel_model.errors import StoreError
from provtel_model.filters import Query
from provtel_model.settings import Duration

from tests.end_to_end.consumers import SECONDS, SPANS, Senders, ids, sending
from tests.end_to_end.network import Network, network_to
from tests.end_to_end.processes import PROVTEL, Place, free_address, wait
from tests.services.found import Found
from tests.services.mongodb.server import Mongodb, running


@dataclass
class Collector:
    """A collector by the preset, which gives up soon and tries again soon.

    Attributes:
        place: Where its log and its dead letters are.
        mongodb: The address of MongoDB.
    """

    place: Place
    mongodb: str
    address: str = field(default_factory=free_address)
    health: str = field(default_factory=free_address)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it is healthy."""
        environment = self.place.environment(
            PROVTEL_MONGODB_ENDPOINT=self.mongodb,
            PROVTEL_COLLECTOR_ENDPOINT=self.address,
            PROVTEL_COLLECTOR_GRPC_ENDPOINT=free_address(),
            PROVTEL_COLLECTOR_HEALTH_ENDPOINT=self.health,
        )
        settings = {
            "exporters.mongodb.timeout": "4s",
            "exporters.mongodb.retry_on_failure.initial_interval": "100ms",
            "exporters.mongodb.retry_on_failure.max_interval": "300ms",
            "service.telemetry.metrics.level": "none",
        }
        sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        command = [str(PROVTEL), "collector", "--config", "preset:mongodb", *sets]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.place.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait(self._is_healthy, f"a healthy collector; its log is {self.log}")

    @property
    def log(self) -> Path:
        """What it says."""
        return self.place.folder / "collector.log"

    @property
    def dead_letters(self) -> list[Path]:
        """The files of what was put aside."""
        return list((self.place.folder / "state").rglob("*.jsonl"))

    def kill(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _is_healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            with urllib.request.urlopen(f"http://{self.health}/", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Faults:
    """What can happen, each over when it returns.

    Args:
        mongodb: The server.
        network: What is between it and the collector.
        collector: The collector.
        chance: Says what happens next, and for how long.
    """

    def __init__(self, mongodb: Mongodb, network: Network, collector: Collector, chance: random.Random) -> None:
        self._mongodb = mongodb
        self._network = network
        self._collector = collector
        self._chance = chance
        self._seconds = 1.0

    def server_dies(self) -> None:
        """Kill the server, and start it again."""
        self._mongodb.kill()
        time.sleep(self._seconds / 4)
        self._mongodb.start()

    def server_freezes(self) -> None:
        """Let the server be silent for longer than anybody waits."""
        assert self._mongodb.process is not None
        self._mongodb.process.send_signal(signal.SIGSTOP)
        time.sleep(self._seconds)
        self._mongodb.process.send_signal(signal.SIGCONT)

    def collector_dies(self) -> None:
        """Kill the collector, and start another."""
        self._collector.kill()
        self._collector.start()

    def network_breaks(self) -> None:
        """Cut every connection, and let none begin for a while."""
        self._network.cut()
        time.sleep(self._seconds)
        self._network.mend()

    def network_is_silent(self) -> None:
        """Pass nothing on for a while, and then all of it."""
        self._network.silence()
        time.sleep(self._seconds)
        self._network.mend()

    def network_is_slow(self) -> None:
        """Pass everything on late for a while."""
        self._network.delay = 0.2
        time.sleep(self._seconds)
        self._network.mend()

    def some(self, times: int) -> Iterator[Callable[[], None]]:
        """Yield so many, one of each kind before any comes twice."""
        everything = [
            self.server_dies,
            self.collector_dies,
            self.network_breaks,
            self.server_freezes,
            self.network_is_silent,
            self.network_is_slow,
        ]
        for number in range(times):
            if not number % len(everything):
                self._chance.shuffle(everything)
            self._seconds = self._chance.uniform(0.2, 3)
            yield everything[number % len(everything)]


@dataclass
class Follower:
    """Somebody who follows a store for as long as it changes, whatever happens to the server.

    Attributes:
        location: The store.
        seen: The ids that they were told of.
    """

    location: str
    seen: set[str] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)
    cursor: str = ""

    def follow(self) -> None:
        """Follow until told to stop."""
        while not self.stopping.is_set():
            try:
                self.catch_up()
            except StoreError:
                continue
            finally:
                time.sleep(0.5)  # to look costs this server as much as to write

    def catch_up(self) -> None:
        """Take what there is."""
        reader = open_reader(self.location)
        try:
            while (answer := reader.changes(self.cursor, limit=500)).records:
                self.seen |= {record.id for record in answer.records}
                self.cursor = answer.cursor
        finally:
            reader.close()


@contextmanager
def following(location: str) -> Iterator[Follower]:
    """Follow a store for the length of the block, and to its end."""
    follower = Follower(location)
    thread = threading.Thread(target=follower.follow)
    thread.start()
    try:
        yield follower
    finally:
        follower.stopping.set()
        thread.join()
    follower.catch_up()


def stored(location: str) -> list[str]:
    """Return the ids in a store."""
    reader = open_reader(location)
    try:
        return [record.id for record in reader.find(Query())]
    finally:
        reader.close()


def wait_for(expected: set[str], location: str) -> list[str]:
    """Return what is in a store as soon as everything expected is."""
    deadline = time.monotonic() + SECONDS
    while not expected <= set(found := stored(location)):
        assert time.monotonic() < deadline, f"{len(expected - set(found))} of {len(expected)} spans are missing"
        time.sleep(1)
    return found


def sender_to(collector: Collector) -> Senders:
    """Return an exporter to a collector, which gives up soon."""
    config = OtlpHttpConfig(endpoint=f"http://{collector.address}", timeout=Duration(10))
    return otlp_http.create(config, Context("otlp_http", {}, lambda *_: None))  # type: ignore[no-any-return]  # Any


@pytest.mark.parametrize(
    ("seed", "times"),
    [(1, 3), *(pytest.param(seed, 12, marks=pytest.mark.long) for seed in range(2, 8))],
)
def test_everything_fails_under_load(found_durable_mongodb: Found, tmp_path: Path, seed: int, times: int) -> None:
    """Whatever dies, freezes or is cut off, what a sender was answered is stored, once, and told to who follows."""
    chance = random.Random(seed)  # noqa: S311  # hides nothing
    with ExitStack() as stack:
        mongodb = stack.enter_context(running(found_durable_mongodb, tmp_path / "mongodb"))
        network = stack.enter_context(network_to(mongodb.port))
        collector = Collector(Place(tmp_path), f"mongodb://{network.address}/provtel?serverSelectionTimeoutMS=1000")
        stack.callback(collector.kill)
        collector.start()
        location = f"{mongodb.address}/provtel?serverSelectionTimeoutMS=500"
        with following(location) as follower:
            with sending(sender_to(collector), threads=2) as senders:
                senders.wait_for_more(10)
                for fault in Faults(mongodb, network, collector, chance).some(times):
                    time.sleep(chance.uniform(0, 0.5))
                    fault()
                    senders.wait_for_more(10)
            acknowledged = ids(*senders.acknowledged)
            found = wait_for(acknowledged, location)

    assert len(found) == len(set(found))
    assert len(acknowledged) >= 10 * times * SPANS
    # Beside these, at most what was under way at each fault and at the end.
    assert len(set(found) - acknowledged) <= 2 * SPANS * (times + 1)
    assert follower.seen == set(found)
    assert collector.dead_letters == []
