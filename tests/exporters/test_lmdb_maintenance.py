"""Looking after LMDB files: what they take, giving space back, finding damage."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import lmdb
import pytest
from provtel_exporters.lmdb import LmdbWriter, files, layout, open_reader
from provtel_exporters.lmdb.maintenance import compact, stats
from provtel_exporters.lmdb.verification import verify
from provtel_model.errors import StoreError
from provtel_model.filters import Query
from provtel_model.store_folder import LMDB_FOLDER

from tests.exporters.maintenance_process import ROUNDS
from tests.exporters.records import content, numbered

_ROOT = Path(__file__).parents[2]
_KEPT = 60
_DELETED = 2000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store that keeps some records of many that it had."""
    folder = tmp_path_factory.mktemp("made") / "store" / LMDB_FOLDER
    with closing(LmdbWriter(folder)) as writer:
        writer.write([numbered(number, workflow_id="kept") for number in range(_KEPT)])
        writer.write([numbered(number, workflow_id="gone") for number in range(_KEPT, _KEPT + _DELETED)])
        writer.write_points(
            [{"name": "u", "kind": "sum", "time": at, "value": at, "pid": 7, "host": "n"} for at in range(5)]
        )
        writer.write_logs([{"time": at, "body": "x" * at, "pid": 7, "host": "n"} for at in range(1, 4)])
        assert writer.delete(["gone"]) == _DELETED
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Give the LMDB folder of a copy of it."""
    shutil.copytree(made.parent, tmp_path / "store")
    return tmp_path / "store" / LMDB_FOLDER


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def held(folder: Path) -> Any:
    """Return what a store holds, to compare."""
    with closing(open_reader(str(folder.parent))) as reader:
        return content([record.plain for record in reader.find(Query())])


def start(verb: str, folder: Path) -> subprocess.Popen[str]:
    """Start a process of its own."""
    command = [sys.executable, "-m", "tests.exporters.maintenance_process", verb, str(folder)]
    return subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_the_space_of_what_was_deleted_is_given_back(folder: Path) -> None:
    """The file shrinks, everything else is as it was, and cursors of changes still hold."""
    with closing(open_reader(str(folder.parent))) as reader:
        cursor = reader.changes(None).cursor
    before, free = held(folder), stats(folder).free_pages

    done = compact(folder)

    assert done.before > 3 * done.after == 3 * (folder / files.DATA_FILE).stat().st_size
    assert free > 100 > stats(folder).free_pages
    assert held(folder) == before
    assert not verify(folder).damage
    with closing(LmdbWriter(folder)) as writer, closing(open_reader(str(folder.parent))) as reader:
        writer.write([numbered(9999)])
        assert len(reader.changes(cursor).records) == 1
    assert names(folder) == [files.DATA_FILE, files.LOCK_FILE]
    assert (folder / files.DATA_FILE).stat().st_mode & 0o777 == 0o600


def test_stats_count_what_there_is(folder: Path) -> None:
    """Counts come from the indexes, and agree with what is read."""
    found = stats(folder)

    assert (found.records, found.runs, found.points, found.logs, found.format) == (_KEPT, 1, 5, 3, layout.FORMAT)
    assert sum(found.kinds.values()) == _KEPT
    assert found.nbytes == (folder / files.DATA_FILE).stat().st_size == found.pages * found.page_size


def test_not_while_it_is_open(folder: Path) -> None:
    """Where this process or another has the store open, compacting is refused, and says so; nothing changes."""
    before = held(folder)
    with closing(LmdbWriter(folder)) as writer:
        with pytest.raises(StoreError, match="already open in this process"):
            compact(folder)
        writer.write([numbered(1)])
    program = "import lmdb, sys; e = lmdb.open(sys.argv[1], max_dbs=32, map_size=0); print('open', flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"

    with pytest.raises(StoreError, match="is open in another process"):
        compact(folder)

    other.communicate("\n")
    compact(folder)
    assert held(folder) == before


def test_a_full_disk_leaves_it_as_it_was(folder: Path) -> None:
    """Where the new file finds no room, the error says so, and the store is whole, with nothing left beside it."""
    before, size = held(folder), (folder / files.DATA_FILE).stat().st_size
    out, _ = start("compact_full", folder).communicate()

    assert "cannot be compacted" in out
    assert "it is as it was" in out
    assert (folder / files.DATA_FILE).stat().st_size == size
    assert names(folder) == [files.DATA_FILE, files.LOCK_FILE]
    assert held(folder) == before
    assert not verify(folder).damage


def test_killed_at_any_moment(folder: Path) -> None:
    """Killed while it compacts, the store is the old one or the new one; what was left goes with the next time."""
    before, chance = held(folder), random.Random(7)  # noqa: S311  # moments to kill at
    for _ in range(4):
        process = start("compact_for_ever", folder)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.communicate()
        assert held(folder) == before
        assert not verify(folder).damage
    compact(folder)
    assert names(folder) == [files.DATA_FILE, files.LOCK_FILE]


def test_whoever_opens_it_meanwhile_gets_the_new_files(folder: Path) -> None:
    """Processes that come and go beside one that compacts lose nothing of what they write, and read what is there."""
    compacting, writing = start("compact_beside", folder), start("open_and_write", folder)
    counts = []
    while writing.poll() is None:
        with closing(open_reader(str(folder.parent))) as reader:
            counts.append(reader.count(Query()))
    compacted, _ = compacting.communicate("\n")

    assert (writing.wait(), compacting.returncode) == (0, 0)
    assert int(compacted) > 0
    assert counts == sorted(counts)
    assert len(held(folder)) == _KEPT + ROUNDS
    assert not verify(folder).damage
    writing.communicate()


def test_a_sound_store(folder: Path) -> None:
    """Everything of a sound store is read and followed."""
    found = verify(folder)

    assert (found.damage, found.more, found.records, found.observations) == ([], 0, _KEPT, 8)
    assert found.entries > 6 * _KEPT


def _first(txn: lmdb.Transaction[bytes], database: lmdb._Database) -> tuple[bytes, bytes]:
    with txn.cursor(database) as cursor:
        assert cursor.first()
        return cursor.item()


def _drop_first(name: str) -> Callable[[lmdb.Transaction[bytes], layout.Databases], None]:
    def plant(txn: lmdb.Transaction[bytes], databases: layout.Databases) -> None:
        database = getattr(databases, name)
        key, value = _first(txn, database)
        txn.delete(key, value, db=database)

    return plant


def _scramble_first(name: str) -> Callable[[lmdb.Transaction[bytes], layout.Databases], None]:
    def plant(txn: lmdb.Transaction[bytes], databases: layout.Databases) -> None:
        key, value = _first(txn, getattr(databases, name))
        txn.put(key, value[:14] + b"\xc1", db=getattr(databases, name))

    return plant


def _put(name: str, key: bytes, value: bytes) -> Callable[[lmdb.Transaction[bytes], layout.Databases], None]:
    def plant(txn: lmdb.Transaction[bytes], databases: layout.Databases) -> None:
        txn.put(key, value, db=getattr(databases, name))

    return plant


def _wrong_end_of_first(name: str) -> Callable[[lmdb.Transaction[bytes], layout.Databases], None]:
    def plant(txn: lmdb.Transaction[bytes], databases: layout.Databases) -> None:
        key, value = _first(txn, getattr(databases, name))
        txn.put(key, value[:-16] + bytes(255 - byte for byte in value[-16:]), db=getattr(databases, name))

    return plant


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (_drop_first("rows"), "which is missing"),
        (_drop_first("blocks"), "and the index leads to 0"),
        (_wrong_end_of_first("blocks"), "is wrong: places"),
        (_put("blocks", b"\xff" * 6, b"\xff" * 12), "the index cannot be read"),
        (_put("dead", bytes(6), b"\0\0"), "and the index leads to"),
        (_drop_first("parts"), "cannot be read"),
        (_drop_first("points"), "the data point"),
        (_drop_first("logs"), "the log record"),
        (_scramble_first("rows"), "cannot be read"),
        (_scramble_first("points"), "cannot be read"),
    ],
)
def test_damage_is_found(
    folder: Path, plant: Callable[[lmdb.Transaction[bytes], layout.Databases], None], says: str
) -> None:
    """Whatever an index says of a row that is not so, and every row that cannot be read, is told."""
    opened = files.open_for_writing(folder)
    with opened.env.begin(write=True) as txn:
        plant(txn, opened.databases)
    opened.close()

    assert says in "\n".join(verify(folder).damage)


def test_damaged_pages_are_found(folder: Path) -> None:
    """Pages that were written over are told, and LMDB never follows them."""
    with (folder / files.DATA_FILE).open("r+b") as file:
        pages = file.seek(0, os.SEEK_END) // 4096
        for page in range(4, pages, 3):
            file.seek(page * 4096)
            file.write(b"\xff" * 64)

    found = verify(folder)

    assert found.pages
    assert found.damage
    assert found.records == 0


def test_a_writer_is_not_in_the_way(folder: Path) -> None:
    """A store is verified while others write it."""
    writing = start("open_and_write", folder)
    while writing.poll() is None:
        assert verify(folder).damage == []
    writing.communicate()
    assert writing.returncode == 0
