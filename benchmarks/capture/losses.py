"""How many finished tasks are lost when a process dies: real victims, each with a file of its own that tells."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.capture.peers import Peer
from benchmarks.capture.surroundings import Field, Surroundings, surroundings

WAYS = ("SIGKILL", "SIGTERM", "fork")
_SEED = 20_260_101
_AT_ONCE = 3
_SECONDS = 30
_CALLS = (300, 1500)
"""A victim dies after a random number of calls between these."""


@dataclass
class Toll:
    """What some victims lost.

    Attributes:
        finished: Calls that had returned, by the victims' own files.
        lost: Those of them that are nowhere on record.
        twice: Those that are there more than once.
        hung: Victims that did not end by themselves.
    """

    finished: int = 0
    lost: int = 0
    twice: int = 0
    hung: int = 0

    def add(self, told: Iterable[int], found: Iterable[int], hung: bool) -> None:  # noqa: FBT001  # one victim's facts
        """Count one victim."""
        self.hung += hung
        there, truth = Counter(found), list(told)
        self.finished += len(truth)
        self.lost += sum(not there[number] for number in truth)
        self.twice += sum(there[number] > 1 for number in truth)


class VictimError(Exception):
    """A victim could not be killed, or what it left not be read; the message says why."""


def measure(field: Field, peers: list[Peer], victims: int) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Let processes of every peer die in every way; return peer -> way -> toll, and what went wrong."""
    choice = random.Random(_SEED)  # noqa: S311  # the same deaths in every run
    draws = [
        (peer, way, choice.randint(*_CALLS)) for peer in peers if peer.dies for way in WAYS for _ in range(victims)
    ]
    tolls: dict[str, dict[str, Toll]] = {peer.name: {way: Toll() for way in WAYS} for peer, _, _ in draws}
    void = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        deaths = [pool.submit(_kill, field, *draw) for draw in draws]
        for (peer, way, _), death in zip(draws, deaths, strict=True):
            try:
                tolls[peer.name][way].add(*death.result())
            except (VictimError, subprocess.TimeoutExpired) as error:
                void.append(f"{way}: {peer.title}: {error}")
    return {name: {way: asdict(toll) for way, toll in ways.items()} for name, ways in tolls.items()}, void


def _kill(field: Field, peer: Peer, way: str, calls: int) -> tuple[list[int], list[int], bool]:
    """Return the calls that a victim saw return, those on record afterwards, and whether it hung."""
    with surroundings(field, peer) as place:
        oracle = place.folder / "oracle"
        hung = _die(place, place.command("victim", peer.name, str(oracle), way), oracle, way, calls)
        told = [int(line) for line in oracle.read_bytes().split(b"\n")[:-1]]
        collected = place.run("victim", peer.name, str(oracle), "collect")
        if collected.returncode:
            raise VictimError(f"what is left cannot be read: {(collected.stderr.strip().splitlines() or [''])[-1]}")
        return told, json.loads(collected.stdout.splitlines()[-1]), hung


def _die(place: Surroundings, command: list[str], oracle: Path, way: str, calls: int) -> bool:
    """Run a victim until it is dead; say whether it hung, and had to be killed after all."""
    with (
        (place.folder / "victim.log").open("wb") as log,
        subprocess.Popen(
            command,
            cwd=place.folder,
            env=place.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as victim,
    ):
        try:
            if way != "fork":
                _wait_for_calls(victim, oracle, calls, place.folder / "victim.log")
                victim.send_signal(signal.Signals[way])
            with contextlib.suppress(subprocess.TimeoutExpired):
                victim.wait(_SECONDS)
            return victim.returncode is None
        finally:
            # A forked child too, which a lock that the parent held may stop for ever.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(victim.pid, signal.SIGKILL)


def _wait_for_calls(victim: subprocess.Popen[bytes], oracle: Path, calls: int, log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while not oracle.exists() or oracle.read_bytes().count(b"\n") < calls:
        if victim.poll() is not None or time.monotonic() > deadline:
            raise VictimError(f"it did not call {calls} times: {log.read_text()[-2000:]}")
        time.sleep(0.005)
