"""Whatever happens to the collectors on the way, every span that was acknowledged is stored, and none twice."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from provtel_exporters.lmdb import open_reader
from provtel_model.filters import Query

from tests.collector.load import Load, free_port
from tests.collector.running import begin, provtel

SECONDS = 60
SHORT_LINE = """
from provtel_collector.delivery import persistent_queue
persistent_queue._MOST_IN_LINE = 5
"""


@dataclass
class Hop:
    """A collector that is killed and comes back at the same place.

    Args:
        folder: Where it runs.
        document: Its configuration.
    """

    folder: Path
    document: dict[str, Any]
    port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; return when it takes data."""
        self.folder.mkdir(exist_ok=True)
        receivers = {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.port}"}}}}
        document = {"receivers": receivers, **self.document}
        (self.folder / "collector.yaml").write_text(json.dumps(document))
        self.process = begin(provtel("collector", "--config", "collector.yaml"), self.folder, **self.environment)
        log = self.folder / "collector.log"
        wait_for(lambda: "ready:" in log.read_text(), log.read_text)

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """Kill it, as the kernel would that needs memory."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Stop it in good order."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(SECONDS) == 0, (self.folder / "collector.log").read_text()

    def freeze(self, *, frozen: bool) -> None:
        """Let it stand still, as a machine does that swaps, or go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)


def wait_for(condition: Callable[[], bool], said: Callable[[], str] = lambda: "") -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen\n{said()}"
        time.sleep(0.02)


def pipelines(exporter: str) -> dict[str, Any]:
    """Return a service with one pipeline to an exporter."""
    return {
        "telemetry": {"metrics": {"level": "none"}},
        "pipelines": {"traces": {"receivers": ["otlp"], "exporters": [exporter]}},
    }


@dataclass
class Road:
    """Senders, a collector with a queue on the disk, and a collector with a store.

    Args:
        folder: Where all of it is.
    """

    folder: Path

    def __post_init__(self) -> None:
        """Make the hops; the far one first, as the near one knows its port."""
        self.far = Hop(
            self.folder / "far",
            {"exporters": {"lmdb": {"store": str(self.folder / "store")}}, "service": pipelines("lmdb")},
        )
        exporter = {
            "endpoint": f"http://127.0.0.1:{self.far.port}",
            "timeout": "2s",
            "retry_on_failure": {"initial_interval": "50ms", "max_interval": "200ms"},
            "sending_queue": {"storage": "file_storage", "queue_size": 100_000},
        }
        storage = {"directory": str(self.folder / "queue"), "create_directory": True}
        service = {"extensions": ["file_storage"], **pipelines("otlp_http")}
        self.near = Hop(
            self.folder / "near",
            {"exporters": {"otlp_http": exporter}, "extensions": {"file_storage": storage}, "service": service},
        )

    def start(self) -> None:
        """Start both."""
        self.far.start()
        self.near.start()

    def stored(self) -> Counter[str]:
        """Return how often each span is in the store."""
        with closing(open_reader(str(self.folder / "store"))) as reader:
            return Counter(record.plain["span_id"] for record in reader.find(Query(limit=None)))

    def end(self, load: Load) -> None:
        """Let the senders finish, let everything arrive, stop the collectors, and compare."""
        load.end()
        wait_for(lambda: len(self.stored()) >= len(load.acknowledged), lambda: self.missing(load))
        self.near.stop()
        self.far.stop()
        stored = self.stored()
        assert set(stored) == load.acknowledged
        assert set(stored.values()) == {1}

    def missing(self, load: Load) -> str:
        """Return what is not there."""
        gone = load.acknowledged - set(self.stored())
        log = (self.folder / "near/collector.log").read_text()[-2000:]
        return f"{len(gone)} of {len(load.acknowledged)} are missing\n{log}"


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    """Have a road of the test, and leave no process behind."""
    road = Road(tmp_path)
    yield road
    for hop in (road.near, road.far):
        if hop.process is not None:
            hop.process.send_signal(signal.SIGCONT)
            hop.kill()


def kill_at_random(hops: list[Hop], times: int, seed: int) -> None:
    """Kill one of some collectors time and again, and let it come back after a while."""
    chance = random.Random(seed)  # noqa: S311  # the same in every run
    for _ in range(times):
        time.sleep(chance.uniform(0.05, 0.8))
        hop = chance.choice(hops)
        hop.kill()
        time.sleep(chance.uniform(0, 0.3))
        hop.start()


BATCH = {"min_size": 50, "max_size": 60, "flush_timeout": "20ms"}


@pytest.mark.parametrize(
    "queue",
    [{"storage": "file_storage"}, {"storage": "file_storage", "batch": BATCH}, {}, {"batch": BATCH}],
    ids=["disk", "disk-batched", "memory", "memory-batched"],
)
def test_killed_at_random(road: Road, queue: dict[str, Any]) -> None:
    """What a collector acknowledged that is killed under load arrives, batched or not, with and without a storage."""
    road.near.document["exporters"]["otlp_http"]["sending_queue"] = {"queue_size": 100_000, **queue}
    road.start()
    load = Load(road.near.port)
    load.begin(8)

    kill_at_random([road.near], 3, seed=1)

    road.end(load)
    assert load.refused > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_everything_is_killed_at_random(road: Road, seed: int, tmp_path: Path) -> None:
    """Both collectors are killed time and again, in any order."""
    (tmp_path / "sitecustomize.py").write_text(SHORT_LINE if seed % 2 else "")
    road.near.environment["PYTHONPATH"] = str(tmp_path)
    road.start()
    load = Load(road.near.port, spans=1 + seed * 7)
    load.begin(8)

    kill_at_random([road.near, road.far], 12, seed)

    road.end(load)


def test_destination_is_away(road: Road) -> None:
    """While the destination is away everything is taken, and it arrives when the destination is back."""
    road.start()
    load = Load(road.near.port, pause=0.01)
    load.begin(4)
    road.far.kill()
    time.sleep(2)
    before = len(load.acknowledged)
    wait_for(lambda: len(load.acknowledged) > before)

    road.far.start()
    road.end(load)


def test_destination_comes_and_goes(road: Road) -> None:
    """A destination that is there for moments only, or stands still, gets everything in the end."""
    road.start()
    load = Load(road.near.port, pause=0.02)
    load.begin(4)

    for _ in range(2):
        road.far.kill()
        time.sleep(0.3)
        road.far.start()
        road.far.freeze(frozen=True)
        time.sleep(2.5)  # longer than an attempt may take
        road.far.freeze(frozen=False)

    road.end(load)


@pytest.mark.parametrize("setting", ["", SHORT_LINE], ids=["long line", "short line"])
def test_killed_while_the_destination_is_away(road: Road, setting: str, tmp_path: Path) -> None:
    """What waits survives a kill, and another, before the destination is back, in the line or on the disk only."""
    (tmp_path / "sitecustomize.py").write_text(setting)
    road.near.environment["PYTHONPATH"] = str(tmp_path)
    road.start()
    load = Load(road.near.port)
    load.begin(4)
    time.sleep(0.3)
    road.far.kill()
    for _ in range(2):
        time.sleep(0.3)
        road.near.kill()
        road.near.start()
    road.far.start()

    road.end(load)


def test_full_disk(road: Road, small_disk: Path | None) -> None:
    """While the disk is full nothing is acknowledged, the process lives, and when there is room it goes on."""
    if small_disk is not None:
        road.near.document["extensions"]["file_storage"]["directory"] = str(small_disk / "queue")
    road.start()
    load = Load(road.near.port, pause=0.01)
    load.begin(4)
    time.sleep(0.3)

    with full(road.near.pid, small_disk):
        road.far.kill()
        wait_for(lambda: load.refused > 0)
        assert os.path.exists(f"/proc/{road.near.pid}")  # noqa: PTH110  # no file
    road.far.start()

    road.end(load)


@contextmanager
def full(pid: int, disk: Path | None) -> Iterator[None]:
    """Leave a process no room on its disk; without a disk of its own, no file may grow beyond what the storage has."""
    if disk is None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        yield
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return
    filler = disk / "filler"
    fill(filler)
    yield
    filler.unlink()


def fill(file: Path) -> None:
    """Write a file until the disk is full."""
    with file.open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(65536))
        except OSError:
            pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """Mount a disk of eight megabytes; None where this may not be done."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        yield None
        return
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


JUMPING = """
import itertools, time
jumps = itertools.cycle([0, 86_400, -400 * 86_400, 10**8])
true_time = time.time
time.time = lambda: true_time() + next(jumps)
time.time_ns = lambda: int(time.time() * 1e9)
"""


def test_clock_jumps(road: Road, tmp_path: Path) -> None:
    """A clock that jumps by days between any two looks at it neither loses nor delays anything."""
    (tmp_path / "sitecustomize.py").write_text(JUMPING)
    road.near.environment["PYTHONPATH"] = str(tmp_path)
    road.start()
    load = Load(road.near.port, pause=0.01)
    load.begin(4)
    time.sleep(0.3)
    road.far.kill()
    time.sleep(0.3)
    road.near.kill()
    road.near.start()
    road.far.start()

    road.end(load)
