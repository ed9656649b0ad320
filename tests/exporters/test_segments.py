"""Stores on network file systems: sealed segments, read by several nodes, each with an index on its own disk."""

from __future__ import annotations

import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_exporters.lmdb import open_reader, open_writer
from provtel_exporters.lmdb.network import cache, maintenance
from provtel_exporters.lmdb.network.cache import VARIABLE as CACHE
from provtel_exporters.lmdb.network.folder import SegmentFolder
from provtel_exporters.lmdb.network.maintenance import compact, stats, verify
from provtel_model.components import Reader, WriteResult
from provtel_model.errors import FilterError, RetryableError, StoreError
from provtel_model.file_systems import VARIABLE as FILE_SYSTEMS
from provtel_model.filters import Query
from provtel_model.store_folder import LMDB_FOLDER
from provtel_model.telemetry import Window

from tests.exporters.backends import LMDB, SEGMENTS, Place
from tests.exporters.observed import LOGS, POINTS
from tests.exporters.records import PLAIN_RECORDS, RUNS, STARTS, TRACES, content, numbered

_ROOT = Path(__file__).parents[2]
ALL = Query(sort=(("started_at", 1), ("id", 1)))
STEPS = st.lists(
    st.tuples(st.just("write"), st.lists(PLAIN_RECORDS, max_size=4))
    | st.tuples(st.just("write_points"), st.lists(POINTS, max_size=3))
    | st.tuples(st.just("write_logs"), st.lists(LOGS, max_size=3))
    | st.tuples(st.just("delete"), st.lists(st.sampled_from([*RUNS, *TRACES]), max_size=3))
    | st.tuples(st.just("delete_telemetry"), st.sampled_from(STARTS))
    | st.tuples(st.sampled_from(["compact", "near", "far", "lose"]), st.none()),
    max_size=12,
)


@pytest.fixture
def place() -> Iterator[Place]:
    """Give an empty store of segments."""
    with SEGMENTS.new() as place:
        yield place


@contextmanager
def _node(place: Place, name: str) -> Iterator[Path]:
    """Be another machine, whose indexes lie elsewhere."""
    with pytest.MonkeyPatch.context() as patched:
        indexes = Path(place.location).parents[1] / f"cache of {name}"
        patched.setenv(CACHE, str(indexes))
        yield indexes


def _held(reader: Reader) -> list[list[bytes]]:
    records = content([record.plain for record in reader.find(ALL)])
    return [records, content(reader.points(Window())), content(reader.logs(Window()))]


def _held_at(place: Place, node: str) -> list[list[bytes]]:
    with _node(place, node), closing(open_reader(place.location)) as reader:
        return _held(reader)


@given(steps=STEPS)
@settings(max_examples=25)
def test_every_node_sees_what_one_store_would_hold(steps: list[tuple[str, Any]]) -> None:
    """After any writes, deletions and merges, old indexes and new ones say what an LMDB store with the same does."""
    with SEGMENTS.new() as place, LMDB.new() as other:
        writer, expected = place.writer(), other.writer()
        writer.write([numbered(1)])
        expected.write([numbered(1)])
        for verb, given_ in steps:
            if verb == "compact":
                compact(Path(place.location))
            elif verb == "lose":
                with _node(place, "near") as indexes:
                    shutil.rmtree(indexes, ignore_errors=True)
            elif verb in {"near", "far"}:
                _held_at(place, verb)
            else:
                done, wanted = getattr(writer, verb)(given_), getattr(expected, verb)(given_)
                assert done == wanted or not verb.startswith("delete")

        whole = _held(other.reader())
        for node in ("near", "far", "fresh"):
            assert _held_at(place, node) == whole


def test_everything_that_is_written_counts_as_stored(place: Place) -> None:
    """A writer without an index does not know what came before: it says so, and what is read is there once."""
    writer = place.writer()

    assert [writer.write([numbered(1), numbered(1)]) for _ in range(2)] == [WriteResult(2, 0)] * 2
    assert writer.write([]) == WriteResult(0, 0)
    assert place.reader().count(Query()) == 1
    assert len(SegmentFolder(Path(place.location)).listing().segments) == 2


def test_merging_leaves_one_segment_and_counts_nothing_twice(place: Place) -> None:
    """Readers that had the old segments go on with the new one, and their cursors stay good."""
    writer = place.writer()
    for number in range(5):
        writer.write([numbered(number)])
    reader = place.reader()
    cursor = reader.changes("").cursor
    before = stats(Path(place.location))
    compact(Path(place.location))
    after = stats(Path(place.location))

    assert (before.segments, before.records) == (5, 5)
    assert (after.segments, after.records, after.deletions) == (1, 5, 0)
    assert list(reader.changes(cursor).records) == []
    writer.write([numbered(7)])
    assert [record.plain for record in reader.changes(cursor).records] == [numbered(7)]
    assert reader.count(Query()) == 6


def test_what_was_deleted_is_forgotten_when_its_segments_are_gone(place: Place) -> None:
    """Merging gives the space of a deletion back; an index from before is made anew, for nobody can tell it."""
    writer = place.writer()
    writer.write([numbered(number, workflow_id="old") for number in range(200)])
    writer.write([numbered(1000, workflow_id="new")])
    _held_at(place, "far")
    assert writer.delete(["old"]) == 200
    done = compact(Path(place.location))

    assert done.after < done.before / 3
    found = SegmentFolder(Path(place.location))
    (note,) = (found.deletion(name) for name in found.listing().deletions)
    assert (note.records, note.segments) == (frozenset(), frozenset())
    assert len(_held_at(place, "far")[0]) == len(_held_at(place, "fresh")[0]) == 1
    size = done.after
    assert [compact(Path(place.location)).after for _ in range(3)] == [size] * 3


def test_a_cursor_of_another_node_leaves_nothing_out(place: Place) -> None:
    """A cursor of an index that is not the one here begins anew; one of another store is refused."""
    place.writer().write([numbered(1), numbered(2)])
    with _node(place, "far"), closing(open_reader(place.location)) as reader:
        cursor = reader.changes("").cursor

    reader = place.reader()
    assert len(reader.changes(cursor).records) == 2
    with pytest.raises(FilterError, match="no cursor of this store"):
        reader.changes("0" * 16 + "." + cursor.partition(".")[2])


@pytest.mark.parametrize("harm", ["lost", "damaged", "emptied"])
def test_an_index_is_made_anew(place: Place, harm: str) -> None:
    """An index that is gone or unreadable costs a reader, that is open or opened then, nothing but time."""
    place.writer().write([numbered(1), numbered(2)])
    reader = place.reader()
    before = _held(reader)
    (data,) = Path(os.environ[CACHE]).rglob("data.mdb")
    if harm == "lost":
        shutil.rmtree(os.environ[CACHE])
    elif harm == "damaged":
        reader.close()
        data.write_bytes(b"damage" * 5000)
    else:
        reader.close()
        data.unlink()

    assert _held(reader if harm == "lost" else place.reader()) == before
    place.writer().write([numbered(3)])
    assert place.reader().count(Query()) == 3


def test_segments_that_somebody_removed_are_gone_from_answers(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """What no segment says any more is not answered from an old index; the log says that it was made anew."""
    writer = place.writer()
    writer.write([numbered(1)])
    first = SegmentFolder(Path(place.location)).listing().segments
    writer.write([numbered(2)])
    reader = place.reader()
    assert reader.count(Query()) == 2

    for name in first:
        (Path(place.location) / "segments" / name).unlink()

    assert [record.plain for record in reader.find(Query())] == [numbered(2)]
    assert "is made anew" in caplog.text


def test_a_damaged_segment_is_told_and_kept(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """What can be read of it is answered, `verify` names it, and merging refuses it without losing anything."""
    writer = place.writer()
    writer.write([numbered(1)])
    (name,) = SegmentFolder(Path(place.location)).listing().segments
    writer.write([numbered(2)])
    path = Path(place.location) / "segments" / name
    path.write_bytes(path.read_bytes()[:-40])
    with caplog.at_level(logging.WARNING):
        assert [record.plain for record in place.reader().find(Query())] == [numbered(2)]

    assert name in caplog.text
    assert [name in damage for damage in verify(Path(place.location)).damage] == [True]
    with pytest.raises(StoreError, match=f"{name}.*move this segment out of the store"):
        compact(Path(place.location))
    assert place.reader().count(Query()) == 1
    assert path.exists()


def test_what_a_killed_writer_left_is_never_read_and_removed_later(place: Place) -> None:
    """A file without its name yet is none, and merging removes it a day later."""
    place.writer().write([numbered(1)])
    path = Path(place.location) / "segments"
    (name,) = SegmentFolder(Path(place.location)).listing().segments
    for left, age in ((f".old{name}", 2 * 24 * 3600), (f".young{name}", 0), (".lock", 2 * 24 * 3600)):
        shutil.copy(path / name, path / left)
        os.utime(path / left, (time.time() - age,) * 2)

    assert place.reader().count(Query()) == 1
    compact(Path(place.location))
    assert sorted(left.name for left in path.glob(".*")) == [".lock", f".young{name}"]


def test_a_full_disk_loses_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment for which there is no room is refused for now, nothing of it stays, and writing goes on with space."""
    writer = place.writer()
    for number in range(2):
        writer.write([numbered(number)])
    real = os.fsync

    def full(descriptor: int) -> None:
        if os.path.isfile(f"/proc/self/fd/{descriptor}"):  # noqa: PTH113  # what a link leads to
            raise OSError(28, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(RetryableError, match="cannot be written: No space left on device"):
            writer.write([numbered(2)])
        with pytest.raises(StoreError, match="cannot be compacted"):
            compact(Path(place.location))
    assert not list((Path(place.location) / "segments").glob(".*.zst"))
    writer.write([numbered(3)])
    assert place.reader().count(Query()) == 3


@pytest.mark.parametrize("rounds", [5, pytest.param(60, marks=pytest.mark.long)])
def test_killed_merges_lose_nothing(place: Place, rounds: int) -> None:
    """However often a merge is killed beside a writer and a deletion, every node has all that was acknowledged."""
    chance = random.Random(rounds)  # noqa: S311  # the same points each time
    writer, written = place.writer(), 0
    for round_ in range(rounds):
        for _ in range(4):
            writer.write([numbered(written, workflow_id=f"run {written % 2}")])
            written += 1
        command = [sys.executable, "-m", "tests.exporters.segments_process", "merge", place.location]
        with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "began\n"
            time.sleep(chance.random() / 20)
            writer.write([numbered(10_000 + round_)])
            if round_ == rounds // 2:
                assert writer.delete(["run 1"]) == written // 2
            process.kill()
        assert len(_held_at(place, f"node {round_ % 2}")[0]) >= round_ + 1

    expected = {number for number in range(written) if number % 2 == 0 or number >= 4 * (rounds // 2 + 1)}
    expected |= {10_000 + round_ for round_ in range(rounds)}
    compact(Path(place.location))
    for node in ("node 0", "node 1", "fresh"):
        with _node(place, node), closing(open_reader(place.location)) as reader:
            assert {int(record.span_id, 16) - 1 for record in reader.find(Query())} == expected


def test_other_users_read_what_they_are_let(place: Place) -> None:
    """Who may only read the files has an index of their own, and sees what comes later without being let again."""
    writer = place.writer()
    writer.write([numbered(1)])
    store = Path(place.location)
    outermost = store.parents[1]
    for path in (outermost, store.parent, store, store / "segments"):
        path.chmod(0o755)
    for path in (store / "segments").iterdir():
        path.chmod(0o644)
    (outermost / "others").mkdir()
    (outermost / "others").chmod(0o777)
    counts = []
    for number in range(2, 4):
        command = [sys.executable, "-m", "tests.exporters.segments_process", "count_as_other", place.location]
        variables = {**os.environ, CACHE: str(outermost / "others")}
        done = subprocess.run(command, cwd=_ROOT, env=variables, check=True, capture_output=True, timeout=60)
        counts.append(int(done.stdout))
        writer.write([numbered(number)])

    assert counts == [1, 2]


def test_two_merges_at_once(place: Place) -> None:
    """A second merge waits for its turn with an error, and is not begun."""
    place.writer().write([numbered(1)])
    with maintenance._alone(Path(place.location) / "segments"), pytest.raises(StoreError, match="by another process"):
        compact(Path(place.location))


def test_an_index_in_lmdb_files_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that has LMDB files from before is neither read nor written as segments: its records would be missing."""
    store = tmp_path / "store"
    with closing(open_writer(str(store))) as writer:
        writer.write([numbered(1)])
    monkeypatch.setenv(FILE_SYSTEMS, f"{tmp_path}=network")
    for open_it in (open_reader, open_writer):
        with pytest.raises(StoreError, match=rf"has records in {LMDB_FOLDER}/.*{FILE_SYSTEMS}={store}=local"):
            open_it(str(store))
    assert [path.name for path in store.iterdir()] == [LMDB_FOLDER]


def test_there_is_nothing_yet(place: Place) -> None:
    """A store to which nothing was brought yet is an error that says so, and reading makes nothing."""
    with pytest.raises(StoreError, match="the folder does not exist"):
        place.reader()
    assert not Path(place.location).exists()


def test_places_for_indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's cache folder holds them, or that for temporary files; where both are another machine's, an error."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.delenv(CACHE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    store = tmp_path / "store"

    assert cache.index_folder(store, "x").is_relative_to(home / "provtel")
    assert cache.index_folder(store, "x") == cache.index_folder(tmp_path / "home" / ".." / "store", "x")
    assert len({cache.index_folder(store, name) for name in "xyz"}) == 3
    assert cache.index_folder(store, "x").stat().st_mode & 0o777 == 0o700

    monkeypatch.setenv(FILE_SYSTEMS, f"{home}=network")
    assert cache.index_folder(store, "x").is_relative_to(temporary / f"provtel-{os.geteuid()}")
    monkeypatch.setenv(FILE_SYSTEMS, f"{tmp_path}=network")
    with pytest.raises(StoreError, match=rf"name a folder on a disk of this machine by {CACHE}"):
        cache.index_folder(store, "x")
    (tmp_path / "file").touch()
    monkeypatch.setenv(FILE_SYSTEMS, f"{home}=network")
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    with pytest.raises(StoreError, match=rf"cannot be kept in .*name another folder by {CACHE}"):
        cache.index_folder(store, "x")
    monkeypatch.setenv(CACHE, str(home))
    with pytest.raises(StoreError, match=rf"{CACHE} names .*, on a network file system"):
        cache.index_folder(store, "x")
