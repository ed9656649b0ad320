"""Lets everybody write the same tasks, one after the other, several rounds."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.backends import hop
from benchmarks.backends.tasks import write_messages
from benchmarks.capture.environments import UnavailableError, python_of
from tests.house.project import ROOT
from tests.services.kafka.server import Kafka
from tests.services.mongodb.server import Mongodb

Figures = dict[str, float]
_SECONDS: Final = 600
_FLOWCEPT: Final = "flowcept with databases"


class VoidError(Exception):
    """A round does not count."""


class LeftOutError(Exception):
    """A peer cannot be measured here; the text says why."""


@dataclass(frozen=True)
class Surroundings:
    """What a round has around it.

    Attributes:
        mongodb: The server of MongoDB's protocol.
        kafka: Kafka.
        count: How many tasks.
        folder: An empty folder.
    """

    mongodb: Mongodb
    kafka: Kafka
    count: int
    folder: Path


def _ours(location: str, around: Surroundings) -> Figures:
    command = [sys.executable, "-m", "benchmarks.backends.ours", location, str(around.count)]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return _figures(command, around, PYTHONPATH=path)


def _theirs(kind: str, around: Surroundings) -> Figures:
    try:
        python = python_of(_FLOWCEPT)
    except UnavailableError as error:
        raise LeftOutError(str(error)) from error
    messages = around.folder / "messages.jsonl"
    write_messages(messages, around.count)
    command = [python, str(Path(__file__).with_name("theirs.py")), kind, str(messages)]
    return _figures(command, around, BENCHMARK_MONGODB=around.mongodb.new_database())


def _theirs_in_mongodb(around: Surroundings) -> Figures:
    if around.mongodb.found.service != "mongodb":
        raise LeftOutError(
            "its writer updates by pipelines, which only MongoDB itself takes: give one by PROVTEL_TEST_MONGODB, or "
            "mongod on PATH"
        )
    return _theirs("mongodb", around)


def _figures(command: list[str], around: Surroundings, **variables: str) -> Figures:
    done = subprocess.run(
        command,
        cwd=around.folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        raise VoidError((done.stderr.strip().splitlines() or ["it ended"])[-1])
    said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    if said["records"] != around.count:
        raise VoidError(f"{said['records']} of {around.count} records are there")
    return {
        "cpu_us": said["cpu"] / around.count * 1e6,
        "wall_us": said["wall"] / around.count * 1e6,
        "bytes": said["bytes"] / around.count,
        "point_ms": said["point"] * 1e3,
        "filtered_ms": said["filtered"] * 1e3,
    }


PEERS: Final[dict[str, tuple[str, Callable[[Surroundings], Figures]]]] = {
    "lmdb": ("provtel, LMDB", lambda around: _ours("store", around)),
    "flowcept-lmdb": ("Flowcept 1.0.3, LMDB", lambda around: _theirs("lmdb", around)),
    "mongodb": ("provtel, MongoDB", lambda around: _ours(around.mongodb.new_database(), around)),
    "flowcept-mongodb": ("Flowcept 1.0.3, MongoDB", _theirs_in_mongodb),
    "kafka-mongodb": (
        "provtel's collector, Kafka to MongoDB (goal: 25 us CPU)",
        lambda around: hop.measure(around.kafka, around.mongodb, around.count),
    ),
}
"""Each peer's title, and what measures it."""


@dataclass
class Results:
    """All that was measured.

    Attributes:
        rounds: The figures of each peer, in order.
        void: What was wrong.
        left_out: Who could not be measured, and why.
    """

    rounds: dict[str, list[Figures]] = field(default_factory=lambda: defaultdict(list))
    void: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def medians(self) -> dict[str, Figures]:
        """Return the median of each figure of each peer."""
        return {
            peer: {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
            for peer, rounds in self.rounds.items()
            if rounds
        }


def measure(mongodb: Mongodb, kafka: Kafka, peers: list[str], rounds: int, count: int) -> Results:
    """Measure some peers in turn."""
    results = Results()
    for number in range(rounds):
        for peer in peers:
            title, work = PEERS[peer]
            print(f"round {number + 1} of {rounds}: {title}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                try:
                    results.rounds[peer].append(work(Surroundings(mongodb, kafka, count, Path(folder))))
                except LeftOutError as error:
                    results.left_out[peer] = str(error)
                except (VoidError, TimeoutError, RuntimeError, OSError, subprocess.TimeoutExpired) as error:
                    results.void.append(f"{title}: {error}")
    return results
