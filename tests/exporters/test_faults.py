"""Stores under real processes that write at once, are killed, fork, and run out of disk."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from provtel_model.filters import Query

from tests.exporters.backends import BACKENDS, SERVERS, Place
from tests.exporters.records import content, numbered

_ROOT = Path(__file__).parents[2]
_WITHOUT_LIMIT = 10**6


@pytest.fixture(params=sorted(BACKENDS))
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Give an empty store of each backend that several processes may use."""
    backend = BACKENDS[request.param]
    if backend.no_processes:
        pytest.skip(f"{backend.name} declares that it is written by one process")
    if backend.service is not None:
        SERVERS[backend.service] = request.getfixturevalue(backend.service)
    with backend.new() as place:
        yield place


def _start(place: Place, verb: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.exporters.store_process", verb, place.backend.name, place.location]
    return subprocess.Popen([*command, *map(str, arguments)], cwd=_ROOT, stdout=subprocess.PIPE, text=True)


def _finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output


def _acknowledged(process: subprocess.Popen[str], lines: int) -> Iterator[int]:
    assert process.stdout is not None
    for _, line in zip(range(lines), process.stdout, strict=False):
        yield int(line)


@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=pytest.mark.long)])
def test_what_was_acknowledged_survives_kills(place: Place, rounds: int) -> None:
    """A writer is killed at random points: after each, all that was acknowledged is there, and nothing half written."""
    chance = random.Random(rounds)  # noqa: S311  # the same points each time
    first = 0
    for _ in range(rounds):
        process = _start(place, "write", first, _WITHOUT_LIMIT, chance.choice([1, 20, 300]))
        acknowledged = max(_acknowledged(process, chance.randrange(1, 30)))
        time.sleep(chance.random() / 100)
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=60)
        acknowledged = max([acknowledged, *map(int, rest.split())])

        found = place.reader().find(Query({"used.number": {"$gte": first}}, sort=(("started_at", 1),)))
        assert len(found) >= acknowledged - first
        assert content([record.plain for record in found]) == content([numbered(first + i) for i in range(len(found))])

        first += len(found)
    assert place.reader().count(Query()) == first


def test_processes_write_and_read_at_once(place: Place) -> None:
    """Two writers whose records overlap and two readers in four processes lose and mix nothing."""
    place.writer().write([])
    readers = [_start(place, "read", 2) for _ in range(2)]
    writers = [_start(place, "write", first, first + 1500, 30) for first in (0, 1000)]
    for process in writers:
        _finish(process)
    for process in readers:
        assert int(_finish(process).split()[0]) > 0

    found = place.reader().find(Query(sort=(("started_at", 1),)))
    assert content([record.plain for record in found]) == content([numbered(number) for number in range(2500)])


def test_a_full_disk_loses_nothing(place: Place) -> None:
    """Where files cannot grow a write is refused for now; what was stored stays, and writing goes on with the space."""
    _need_files(place)
    refused, stored = _finish(_start(place, "fill")).splitlines()

    assert int(refused.split()[0]) > 0
    assert "cannot be written" in refused
    assert int(stored) == int(refused.split()[0]) + 1000
    assert place.reader().count(Query()) == int(stored)


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="there is no fork here")
def test_forked_children_use_the_store_too(place: Place) -> None:
    """Children forked while threads write have a store of their own, and take nothing from the parent's."""
    process = _start(place, "fork")

    assert _finish(process).strip() == f"{[0] * 10} 10"


def test_a_store_of_another_user_is_read_while_its_owner_writes(place: Place) -> None:
    """Who may read the files but not write beside them reads whole snapshots, also while they change."""
    _need_files(place)
    place.writer().write([numbered(number) for number in range(100)])
    folder = Path(place.location)
    with _readable_by_all(folder):
        reader = _start(place, "read-as-other", 1.5)
        writer = _start(place, "write", 100, 1000, 10, 20)
        answers, _ = _finish(reader).split()
        _finish(writer)
        again, count = _finish(_start(place, "read-as-other", 0)).split()

    assert int(answers) > 0
    assert (again, count) == ("1", "1000")


def _need_files(place: Place) -> None:
    if place.backend.no_files:
        pytest.skip(f"{place.backend.name} declares that it has no files of its own")


@contextlib.contextmanager
def _readable_by_all(folder: Path) -> Iterator[None]:
    """Let others read a folder; whoever runs the tests without being root is locked out of writing beside it."""
    modes: list[tuple[Path, int]] = []
    for path in (folder, *folder.rglob("*")):
        modes.append((path, path.stat().st_mode))
        path.chmod(0o755 if path.is_dir() else 0o644)
    try:
        yield
    finally:
        for path, mode in modes:
            path.chmod(mode)
