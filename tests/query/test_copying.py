"""Copies between stores: the same afterwards, whatever happens in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_exporters.file.contents import contents_of
from provtel_exporters.file.reader import whole_entries
from provtel_model.components import WriteResult
from provtel_model.errors import RetryableError, StoreError, UserError
from provtel_model.filters import Query
from provtel_model.record import PlainRecord
from provtel_model.telemetry import PlainLog, PlainPoint, Window
from provtel_query.copying import copy
from provtel_query.copying.pages import observation_pages, record_pages
from provtel_query.copying.state import State
from provtel_query.stores import open_reader, open_writer

from tests.exporters.backends import BACKENDS as SUITE
from tests.exporters.backends import PARQUET, SERVERS
from tests.exporters.records import PLAIN_RECORDS, content, numbered

BACKENDS = SUITE | {"parquet": PARQUET}
PAIRS = [*combinations(sorted(SUITE), 2), ("lmdb", "parquet")]
TARGETS = ["lmdb", "file", "parquet", "mongodb"]
HERE: Any = {"host": "n1", "pid": 1, "resource": {"host.name": "n1", "process.pid": 1}}
POINTS: list[Any] = [
    {"name": "rss", "kind": "gauge", "time": 10 * number, "value": number, **HERE} for number in range(9)
]
LOGS: list[PlainLog] = [{"time": number, "body": f"said {number}"} for number in range(9)]


def fill(location: str, records: list[PlainRecord]) -> None:
    """Write records into a store."""
    writer = open_writer(location)
    writer.write(records)
    writer.close()


def held(location: str) -> list[bytes]:
    """Return the records of a store."""
    reader = open_reader(location)
    found = content([record.plain for record in reader.find(Query(sort=(("started_at", 1), ("id", 1))))])
    reader.close()
    return found


@pytest.fixture(scope="session", params=PAIRS, ids="-".join)
def names(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Copy from one kind of store to another."""
    found: tuple[str, str] = request.param
    for name in found:
        serve(name, request)
    return found


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the empty place of a store of each kind."""
    serve(request.param, request)
    with BACKENDS[request.param].place() as location:
        yield location


def serve(name: str, request: pytest.FixtureRequest) -> None:
    """Run the server that a kind of store needs."""
    service = BACKENDS[name].service
    if service is not None:
        SERVERS[service] = request.getfixturevalue(service)


@given(records=st.lists(PLAIN_RECORDS, max_size=10))
@settings(max_examples=6)
def test_a_copy_and_its_copy_back_are_equal(names: tuple[str, str], records: list[PlainRecord]) -> None:
    """Whatever one store has, in whatever state, comes back equal from any other that it was copied to."""
    with ExitStack() as stack:
        places = [stack.enter_context(BACKENDS[name].place()) for name in (*names, names[0])]
        fill(places[0], records)
        for source, target in pairwise(places):
            copied = copy(source, target)

            assert copied.equal
            assert copied.compared["records"].late == 0
        assert held(places[0]) == held(places[1]) == held(places[2])


def test_a_copy_again_changes_nothing(tmp_path: Path) -> None:
    """What the target has is a duplicate; what it has in a later state stays, and is told."""
    source, target = str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")
    fill(source, [numbered(0), numbered(1, status="running"), numbered(2)])
    copy(source, target)
    fill(target, [numbered(1)])
    again = copy(source, target)

    assert again.equal
    assert not again.resumed
    assert (again.stored["records"], again.duplicates["records"]) == (0, 3)
    assert again.compared["records"].newer == 1
    assert again.compared["records"].source_digest == again.compared["records"].target_digest
    assert held(target) == content([numbered(number) for number in range(3)])


@pytest.mark.parametrize("target", TARGETS, indirect=True)
def test_points_and_logs_are_copied(tmp_path: Path, target: str) -> None:
    """Data points and log records go along, each once, and are a part of what is compared."""
    source = str(tmp_path / "a.jsonl")
    writer = open_writer(source)
    writer.write_points(POINTS)
    writer.write_logs(LOGS)
    writer.close()
    for stored in (9, 0):
        copied = copy(source, target)

        assert copied.equal
        assert (copied.stored["points"], copied.stored["logs"]) == (stored, stored)
        assert copied.compared["points"].target == copied.compared["logs"].target == 9
    assert copy(target, str(tmp_path / "c.jsonl")).equal
    assert open_reader(str(tmp_path / "c.jsonl")).points(Window()) == POINTS


def test_a_part_can_be_copied(tmp_path: Path) -> None:
    """Of a run or a filter the records are copied, and what their processes gave while they ran; nothing else."""
    source, target = str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")
    fill(
        source,
        [
            numbered(0, started_at=20, ended_at=30, workflow_id="mine", **HERE),
            numbered(1, started_at=40, ended_at=50, workflow_id="mine", name="late", **HERE),
            numbered(2, started_at=70, ended_at=80, workflow_id="other", **HERE),
        ],
    )
    writer = open_writer(source)
    elsewhere = POINTS[3] | {"pid": 2, "resource": {"host.name": "n1", "process.pid": 2}}
    writer.write_points([*POINTS, elsewhere])
    writer.write_logs(LOGS)
    writer.close()

    copied = copy(source, target, run="mine")
    assert copied.equal
    assert (copied.stored["records"], copied.stored["points"], copied.stored["logs"]) == (2, 4, 0)
    assert [point["time"] for point in open_reader(target).points(Window())] == [20, 30, 40, 50]
    assert copy(source, str(tmp_path / "c.jsonl"), where={"name": "late"}).stored["records"] == 1
    with pytest.raises(UserError, match="there is no run 'nobody'"):
        copy(source, target, run="nobody")
    with pytest.raises(UserError, match="is where the copy comes from"):
        copy(source, f"file://{source}")


@pytest.mark.parametrize("target", TARGETS, indirect=True)
def test_a_killed_copy_goes_on(tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is killed in the middle: called again it goes on from there, and everything is there once."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    source = str(tmp_path / "a.jsonl")
    records = [numbered(number) for number in range(1100)]
    fill(source, records)
    script = (
        "import os, signal, sys\n"
        "from provtel_query.copying import copy\n"
        "def progress(kind, done, total):\n"
        "    if done >= 500:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "copy(sys.argv[1], sys.argv[2], progress=progress)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, source, target], check=False).returncode == -signal.SIGKILL
    assert len(held(target)) == 500

    copied = copy(source, target)
    assert copied.resumed
    assert copied.equal
    assert (copied.stored["records"], copied.duplicates["records"]) == (1100, 0)
    assert held(target) == content(records)
    if target.endswith(".jsonl"):
        assert (
            sum(len(contents_of(entry.batch).records) for entry in whole_entries(Path(target)) if entry.batch) == 1100
        )
    assert not State.of(source, target, {}).begun
    assert not copy(source, target).resumed


class _Lossy:
    """A writer that keeps nothing of one record, and says that it does."""

    def __init__(self, location: str) -> None:
        self._writer = open_writer(location)

    def write(self, records: list[PlainRecord]) -> WriteResult:
        kept = [plain for plain in records if plain["used"]["number"] != 7]
        self._writer.write([plain | {"name": "a"} if plain["used"]["number"] == 8 else plain for plain in kept])
        return WriteResult(len(records), 0)

    def write_points(self, points: list[PlainPoint]) -> WriteResult:
        return WriteResult(len(points), 0)

    write_logs = write_points

    def close(self) -> None:
        self._writer.close()


def test_a_target_that_loses_something_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the target lacks something or changed it, the copy is not equal, says what differs, and can go on."""
    source, target = str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")
    fill(source, [numbered(number) for number in range(10)])
    writer = open_writer(source)
    writer.write_points(POINTS[:1])
    writer.close()
    with monkeypatch.context() as patched:
        patched.setattr("provtel_query.copying.copying.open_writer", _Lossy)
        copied = copy(source, target)

    compared = copied.compared["records"]
    assert not copied.equal
    assert (compared.source, compared.target) == (10, 9)
    assert compared.count_differing == 2
    assert [text.partition("-")[2] for text in compared.differing] == [
        "0000000000000008 is missing",
        "0000000000000009 differs in name",
    ]
    assert copied.compared["points"].count_differing == 1
    assert copied.as_json()["equal"] is False
    fixed = copy(source, target)
    assert fixed.compared["points"].equal
    assert fixed.compared["records"].target == 10


class _Away(_Lossy):
    """A writer whose store is away for some calls."""

    left = 2

    def write(self, records: list[PlainRecord]) -> WriteResult:
        if _Away.left:
            _Away.left -= 1
            raise RetryableError("it is away")
        return self._writer.write(records)


def test_a_store_that_is_away_for_a_moment_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may succeed later is tried again; in the end the error says that the copy can go on."""
    source, target = str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")
    fill(source, [numbered(0)])
    monkeypatch.setattr("provtel_query.copying.copying.open_writer", _Away)
    monkeypatch.setattr("provtel_query.copying.copying._PAUSE", 0.001)
    assert copy(source, target).equal

    _Away.left = 100
    with pytest.raises(StoreError, match="it is away; copy again, and it goes on from here"):
        copy(source, str(tmp_path / "c.jsonl"))


def test_a_state_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """What says how far a copy came is named where it is damaged."""
    source, target = str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")
    fill(source, [numbered(number) for number in range(3)])
    State.of(source, target, {}).path.write_text("{")
    with pytest.raises(StoreError, match=r"remove .*copy-.*json, and it begins anew"):
        copy(source, target)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400)), max_size=30), st.integers(1, 5))
@settings(max_examples=30)
def test_pages_of_observations_are_all_of_them(drawn: list[tuple[int, int]], page: int) -> None:
    """Page after page a window gives each log record once, also where more are of one moment than a page holds."""
    logs: list[PlainLog] = [{"time": time, "body": body} for time, body in set(drawn)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        writer = open_writer(f"{folder}/x.jsonl")
        writer.write_logs(logs)
        writer.close()
        patched.setattr("provtel_query.copying.pages.PAGE", page)
        reader = open_reader(f"{folder}/x.jsonl")
        pages = list(observation_pages(reader.logs, Window()))

        assert [log for found in pages for log in found] == list(reader.logs(Window()))


def test_pages_of_records_are_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page after page a filter gives each record once, also where many began at one moment."""
    records = [numbered(number, started_at=5 + number // 10) for number in range(35)]
    fill(str(tmp_path / "x.jsonl"), records)
    monkeypatch.setattr("provtel_query.copying.pages.PAGE", 4)
    pages = record_pages(open_reader(str(tmp_path / "x.jsonl")), {"used.number": {"$gt": 1}})

    assert content([plain for page in pages for plain in page.records]) == content(records[2:])
