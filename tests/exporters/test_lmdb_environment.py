"""The LMDB files themselves: how they are shared, grow, are refused, and go away."""

from __future__ import annotations

import gzip
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import pytest
from provtel_exporters.lmdb import (
    LmdbReader,
    LmdbWriter,
    environment,
    files,
    layout,
    maintenance,
    open_reader,
    open_writer,
    parts,
    unlocked,
)
from provtel_exporters.lmdb.environment import Environment
from provtel_exporters.lmdb.files import Transaction
from provtel_exporters.lmdb.verification import verify
from provtel_model.components import WriteResult
from provtel_model.errors import RetryableError, StoreError
from provtel_model.file_systems import VARIABLE
from provtel_model.filters import Query
from provtel_model.store_folder import JOURNAL_FOLDER, LMDB_FOLDER
from provtel_model.telemetry import Window

from tests.exporters.records import content, numbered

_ROOT = Path(__file__).parents[2]
_STORES = Path(__file__).parent / "stores"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Give a store folder with one record in it."""
    _write(tmp_path / "store", 1)
    return tmp_path / "store"


def _write(store: Path, *numbers: int) -> None:
    writer = LmdbWriter(store / LMDB_FOLDER)
    writer.write([numbered(number) for number in numbers])
    writer.close()


def _run(verb: str, store: Path) -> str:
    command = [sys.executable, "-m", "tests.exporters.lmdb_process", verb, str(store / LMDB_FOLDER)]
    return subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout


def test_only_the_owner_can_enter_and_read(store: Path) -> None:
    """Folders are 0700 and files 0600, whatever the umask."""
    assert [oct(path.stat().st_mode & 0o777) for path in (store, store / LMDB_FOLDER)] == ["0o700", "0o700"]
    files = sorted((store / LMDB_FOLDER).iterdir())

    assert [file.name for file in files] == ["data.mdb", "lock.mdb"]
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}


def test_reader_and_writer_of_one_process_share_files(store: Path, tmp_path: Path) -> None:
    """A reader that was first makes way for a writer, by whatever path they come, and sees what it writes."""
    (tmp_path / "link").symlink_to(store)
    reader = open_reader(str(store))
    other = open_reader(str(tmp_path / "link"))
    writer = LmdbWriter(tmp_path / "link" / LMDB_FOLDER)
    writer.write([numbered(2)])

    assert reader.count(Query()) == other.count(Query()) == 2

    for opened in (writer, other, reader):
        assert reader.count(Query()) == 2
        opened.close()
    assert not environment._registry


def test_what_is_asked_steadily_is_of_one_moment(store: Path) -> None:
    """Inside `steady` a reader answers from one snapshot, whatever others write, and afterwards from a new one."""
    reader = LmdbReader(store / LMDB_FOLDER)

    def counts() -> list[int]:
        before = reader.count(Query())
        _run("write_thrice", store)
        return [before, reader.count(Query()), reader.steady(lambda: reader.count(Query()))]

    assert reader.steady(counts) == [1, 1, 1]
    assert reader.count(Query()) == 4
    with pytest.raises(ZeroDivisionError):
        reader.steady(lambda: 1 / 0)
    assert reader.count(Query()) == 4
    reader.close()


def test_a_closed_store_says_so(store: Path) -> None:
    """Reader and writer that were closed answer with an error, not with nothing."""
    reader, writer = open_reader(str(store)), LmdbWriter(store / LMDB_FOLDER)
    reader.close()
    writer.close()

    with pytest.raises(StoreError, match="was closed"):
        reader.count(Query())
    with pytest.raises(RetryableError, match="was closed"):
        writer.write([numbered(3)])


def test_the_map_grows_under_readers_and_other_writers(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full map grows, here and in other processes, and whoever has the store open follows."""
    monkeypatch.setattr(files, "_FIRST_MAP_SIZE", 2**19)
    small = store.parent / "small"
    _write(small, 0)
    reader, writer = open_reader(str(small)), LmdbWriter(small / LMDB_FOLDER)

    count = int(_run("grow", small))
    assert writer.write([numbered(10**6)]).stored == 1
    count += int(_run("grow", small)) - count
    assert reader.count(Query()) == count + 1

    writer.write([numbered(10**6 + i, attributes={"filler": "y" * 900 + str(i)}) for i in range(1, 5000)])
    assert reader.count(Query()) == count + 5000

    reader.close()
    writer.close()


def test_a_map_that_cannot_grow_is_an_error_for_now(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the largest size a write is refused, and what was stored stays."""
    monkeypatch.setattr(files, "_FIRST_MAP_SIZE", 2**19)
    monkeypatch.setattr(environment, "_LARGEST_MAP_SIZE", 2**19)
    small = store.parent / "small"
    _write(small, 0)
    writer = LmdbWriter(small / LMDB_FOLDER)

    with pytest.raises(RetryableError, match="has reached"):
        writer.write([numbered(i, attributes={"filler": f"{i}" * 900}) for i in range(1, 2000)])
    assert writer.write([numbered(1)]).stored == 1

    writer.close()


def test_slots_of_dead_readers_are_cleared(store: Path) -> None:
    """A reader that was killed holds no pages any more once the store is opened again."""
    with _reading(store) as alive:  # without anybody there LMDB begins a new lock file
        with _reading(store) as dead:
            pass
        for writable in (False, True):
            opened = Environment.acquire(store / LMDB_FOLDER, writable=writable)
            assert opened._files is not None
            readers = opened._files.env.readers()
            opened.release()

            assert str(dead.pid) not in readers
            assert str(alive.pid) in readers


def test_a_fork_closes_the_files_on_both_sides(store: Path) -> None:
    """Neither parent nor child goes on with files that both had open; both open them anew."""
    _run("fork", store)

    reader = open_reader(str(store))
    assert [record.used["number"] for record in reader.find(Query(sort=(("started_at", 1),)))] == [1, 5, 6]
    reader.close()


def test_commits_reach_the_disk(store: Path) -> None:
    """Nothing of LMDB's durability is switched off."""
    opened = Environment.acquire(store / LMDB_FOLDER, writable=True)
    assert opened._files is not None
    flags = opened._files.env.flags()

    assert (flags["sync"], flags["metasync"], flags["writemap"]) == (True, True, False)
    opened.release()


def test_what_a_process_remembers_of_parts_is_bounded(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every record has its own process and shape, memory stays bounded and the records right."""
    monkeypatch.setattr(parts, "_MOST_KNOWN", 20)
    writer, reader = LmdbWriter(store / LMDB_FOLDER), open_reader(str(store))
    plains = [numbered(i, resource={f"r{i}": i}, attributes={f"a{i}": i}) for i in range(10, 100)]
    for plain in plains:
        writer.write([plain])
        reader.find(Query(limit=1))

    assert content([record.plain for record in reader.find(Query(sort=(("id", 1),)))][1:]) == content(plains)
    assert writer._environment is not None
    assert writer._environment._files is not None
    known = writer._environment._files.known
    assert len(known.numbers) < 30
    reader.find(Query(limit=1))
    assert len(known.contents) < 30

    reader.close()
    writer.close()


def test_a_snapshot_that_changed_unseen_is_read_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the lock file a read whose pages may have been reused is thrown away, results and failures alike."""
    monkeypatch.setattr(environment, "can_lock", lambda _: False)
    opened = Environment.acquire(store / LMDB_FOLDER, writable=False)
    calls = 0

    def work(_: Transaction) -> int:
        nonlocal calls
        calls += 1
        if calls <= 2:
            _run("write_thrice", store)
        if calls == 2:
            raise lmdb.CorruptedError("torn")
        return calls

    assert isinstance(opened._files, unlocked.FilesAtRest)
    assert opened.read(work) == 3
    opened.release()


def test_what_others_have_open_is_copied_to_be_read(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the lock file a store in use is read from a copy, made anew when the store changed, and removed."""
    monkeypatch.setattr(environment, "can_lock", lambda _: False)
    monkeypatch.setattr(tempfile, "tempdir", str(store.parent))
    with _reading(store) as process:
        reader = LmdbReader(store / LMDB_FOLDER)

        assert reader.count(Query()) == 1
        _run("write_thrice", store)
        assert reader.count(Query()) == 4
        assert reader._environment is not None
        assert isinstance(reader._environment._files, unlocked.CopiedFiles)
        assert len(list(store.parent.iterdir())) == 2

        process.kill()
        process.wait()
        _run("write_thrice", store)
        assert reader.count(Query()) == 4
        assert isinstance(reader._environment._files, unlocked.FilesAtRest)
        assert list(store.parent.iterdir()) == [store]
        reader.close()


def test_what_changes_too_fast_to_be_copied_is_an_error(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that never stands still is not guessed at: the error says what its owner can do."""
    transactions = itertools.count(step=2)
    monkeypatch.setattr(environment, "can_lock", lambda _: False)
    monkeypatch.setattr(unlocked, "is_open_somewhere", lambda _: True)
    monkeypatch.setattr(unlocked, "_last_transaction", lambda _: next(transactions))

    with pytest.raises(StoreError, match=r"chmod o\+rw .*lock.mdb"):
        open_reader(str(store))
    assert not environment._registry


@contextmanager
def _reading(store: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Let another process read a store; it says when it does."""
    command = [sys.executable, "-m", "tests.exporters.lmdb_process", "hold_a_reader", str(store / LMDB_FOLDER)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_damage_is_an_error_of_the_store(store: Path) -> None:
    """What LMDB says of damaged pages names the store, and is no traceback."""
    opened = Environment.acquire(store / LMDB_FOLDER, writable=False)

    def work(_: Transaction) -> None:
        raise lmdb.CorruptedError("damaged page")

    with pytest.raises(StoreError, match=f"{store}.*damaged page"):
        opened.read(work)
    opened.release()


def test_a_store_that_was_removed_is_missed(store: Path) -> None:
    """A reader says that the store is gone; a writer makes it anew instead of writing into deleted files."""
    reader, writer = open_reader(str(store)), LmdbWriter(store / LMDB_FOLDER)
    shutil.rmtree(store / LMDB_FOLDER)

    with pytest.raises(StoreError, match="no store"):
        reader.count(Query())

    writer.write([numbered(7)])
    assert [record.plain for record in reader.find(Query())] == [numbered(7)]

    reader.close()
    writer.close()


def test_a_newer_format_is_refused(store: Path) -> None:
    """Files that a later version wrote are neither read nor written, and the error says what to do."""
    with lmdb.Environment(str(store / LMDB_FOLDER), max_dbs=32) as env, env.begin(write=True) as txn:
        txn.put(b"format", b"%d" % (layout.FORMAT + 1), db=env.open_db(b"meta", txn))

    for open_store in (LmdbReader, LmdbWriter):
        with pytest.raises(StoreError, match="upgrade provtel"):
            open_store(store / LMDB_FOLDER)
    assert not environment._registry


@pytest.mark.parametrize("old", range(1, layout.FORMAT))
@pytest.mark.parametrize("first", [open_reader, open_writer])
def test_an_older_format_is_migrated(tmp_path: Path, first: Callable[[str], LmdbReader | LmdbWriter], old: int) -> None:
    """Files of an older format become files of this one, whoever opens them first; all that was in them is found."""
    store = _old_store(tmp_path, old)
    first(str(store)).close()
    assert verify(store / LMDB_FOLDER).damage == []

    reader = open_reader(str(store))
    found = reader.find(Query(sort=(("id", 1),)))
    assert content([record.plain for record in found]) == content(_OLD_RECORDS)
    assert [reader.count(Query({"status": status})) for status in ("running", "finished", "error")] == [0, 4, 8]
    source = "ab" * 16 + "-" + "cd" * 8
    assert [record.plain for record in reader.linked([source])[source]] == _OLD_RECORDS[1:2]
    assert len(reader.changes("").records) == len(_OLD_RECORDS)
    assert len(reader.points(Window())) == len(reader.logs(Window())) == (old > 1)  # format 1 had none
    reader.close()

    writer = LmdbWriter(store / LMDB_FOLDER)
    assert writer.write([numbered(2, attributes={"filler": "x" * 3000}), numbered(50)]) == WriteResult(1, 1)
    writer.close()


def test_an_older_format_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not migrate a store is told who may, and the files stay as they are."""
    store = _old_store(tmp_path)
    before = (store / LMDB_FOLDER / "data.mdb").read_bytes()
    monkeypatch.setattr(environment, "can_lock", lambda _: False)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    with pytest.raises(StoreError, match="once its owner has opened it with this one: ask them to run provtel status"):
        open_reader(str(store))
    assert (store / LMDB_FOLDER / "data.mdb").read_bytes() == before


_OLD_RECORDS = [
    numbered(0),
    numbered(1, links=[{"trace_id": "ab" * 16, "span_id": "cd" * 8}]),
    numbered(2, attributes={"filler": "x" * 3000}),
    numbered(3),
    *(numbered(number, status="error", error={"type": "ValueError"}) for number in range(4, 12)),
]


def _old_store(tmp_path: Path, old: int = 1) -> Path:
    """Return a store that an older format was written to."""
    folder = tmp_path / "store" / LMDB_FOLDER
    folder.mkdir(parents=True)
    for made in (folder.parent, folder):
        made.chmod(0o700)
    (folder / "data.mdb").write_bytes(gzip.decompress((_STORES / f"lmdb_format_{old}.mdb.gz").read_bytes()))
    return folder.parent


def test_the_engine_is_written_down(store: Path) -> None:
    """The meta database says which format and which engine the files have."""
    with lmdb.Environment(str(store / LMDB_FOLDER), max_dbs=32, readonly=True) as env:
        meta = env.open_db(b"meta", create=False)
        with env.begin() as txn:
            assert txn.get(b"format", db=meta) == b"%d" % layout.FORMAT
            assert txn.get(b"engine", db=meta) == b"lmdb 0.9"


def test_other_files_are_no_store(tmp_path: Path) -> None:
    """An LMDB file of somebody else's is refused and left as it is."""
    folder = tmp_path / "store" / LMDB_FOLDER
    folder.mkdir(parents=True, mode=0o700)
    with lmdb.Environment(str(folder)) as env, env.begin(write=True) as txn:
        txn.put(b"key", b"value")

    for open_store in (LmdbReader, LmdbWriter):
        with pytest.raises(StoreError, match="no store of provtel"):
            open_store(folder)
    with lmdb.Environment(str(folder)) as env, env.begin() as txn:
        assert txn.stat()["entries"] == 1


def test_damaged_files_are_an_error_that_names_them(store: Path) -> None:
    """Files that are no LMDB files are refused by name."""
    data = store / LMDB_FOLDER / "data.mdb"
    data.write_bytes(b"not LMDB" * 2000)

    with pytest.raises(StoreError, match=str(data.parent)):
        open_reader(str(store))


@pytest.mark.parametrize(
    ("there", "hint"),
    [
        ([], "it holds nothing"),
        (["notes.txt"], "it holds notes.txt"),
        ([JOURNAL_FOLDER], "nothing of its journals was brought into it yet"),
        (["data.mdb"], "name the folder above it"),
    ],
)
def test_what_is_no_store_is_told_apart(tmp_path: Path, there: list[str], hint: str) -> None:
    """The error for a folder without a store says what was found there, and what to do."""
    for name in there:
        (tmp_path / name).mkdir()

    with pytest.raises(StoreError, match=hint):
        open_reader(str(tmp_path))


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """The error for a path where nothing is names the path."""
    with pytest.raises(StoreError, match=r"elsewhere: the folder does not exist"):
        open_reader(str(tmp_path / "elsewhere"))


def test_reading_makes_nothing(tmp_path: Path) -> None:
    """Asking for a store that is missing leaves no trace of the question."""
    with pytest.raises(StoreError):
        LmdbReader(tmp_path / "store" / LMDB_FOLDER)

    assert not list(tmp_path.iterdir())


def test_no_files_are_mapped_on_a_network_file_system(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is another machine's, the files are opened neither for writing nor for reading."""
    monkeypatch.setenv(VARIABLE, f"{store}=network")
    for open_it in (LmdbWriter, LmdbReader, maintenance.compact, maintenance.stats, verify):
        with pytest.raises(StoreError, match="lies on a network file system"):
            open_it(store / LMDB_FOLDER)

    with pytest.raises(StoreError, match="lies on a network file system"):
        LmdbWriter(store / "other")

    assert not (store / "other").exists()
