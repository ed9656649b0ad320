"""MongoDB that dies, collectors that die, networks that fail: what was acknowledged is in the store, each span once."""

from __future__ import annotations

import random
import threading
import time
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
from tests.end_to_end.faults import Faults
from tests.end_to_end.network import network_to
from tests.end_to_end.processes import Collector, Place, free_address
from tests.services.found import Found
from tests.services.mongodb.server import running


def mongodb_collector(place: Place, mongodb: str) -> Collector:
    """Return a collector by the preset, which gives up soon and tries again soon."""
    settings = {
        "exporters.mongodb.timeout": "4s",
        "exporters.mongodb.retry_on_failure.initial_interval": "100ms",
        "exporters.mongodb.retry_on_failure.max_interval": "300ms",
        "service.telemetry.metrics.level": "none",
    }
    sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    variables = {"PROVTEL_MONGODB_ENDPOINT": mongodb, "PROVTEL_COLLECTOR_GRPC_ENDPOINT": free_address()}
    return Collector(place, ("--config", "preset:mongodb", *sets), variables)


class Turns(Faults):
    """The faults in turns."""

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
            self.last_for_a_while()
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
        through = f"mongodb://{network.address}/provtel?serverSelectionTimeoutMS=1000"
        collector = mongodb_collector(Place(tmp_path), through)
        stack.callback(collector.kill)
        collector.start()

        def replace_collector() -> None:
            collector.kill()
            collector.start()

        location = f"{mongodb.address}/provtel?serverSelectionTimeoutMS=500"
        with following(location) as follower:
            with sending(sender_to(collector), threads=2) as senders:
                senders.wait_for_more(10)
                for fault in Turns(mongodb, network, replace_collector, chance).some(times):
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
    assert list((tmp_path / "state").rglob("*.jsonl")) == []  # nothing was put aside
