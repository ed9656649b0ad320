"""The storage on the disk: what it took it has, it is used by one at a time, and it gives room back."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import pytest
from provtel_collector.extensions.file_storage import environment as module
from provtel_collector.extensions.file_storage.config import CompactionConfig, FileStorageConfig
from provtel_collector.extensions.file_storage.extension import FileStorage
from provtel_model.components import Context
from provtel_model.errors import ConfigError, RetryableError, StoreError
from provtel_model.file_systems import VARIABLE
from provtel_model.settings import Duration

from tests.collector.delivering import wait_for


@contextmanager
def storing(folder: Path, **settings: object) -> Iterator[FileStorage]:
    """Run a storage in a folder."""
    made = {"directory": str(folder / "storage"), "create_directory": True, "timeout": Duration(0.05), **settings}
    storage = FileStorage(FileStorageConfig(**made), Context("file_storage", {}, print))  # type: ignore[arg-type]
    storage.start()
    try:
        yield storage
    finally:
        storage.shutdown()


def test_what_was_put_is_there(tmp_path: Path) -> None:
    """Values come back, in the order of their keys, from this run and from the one before; shelves do not mix."""
    with storing(tmp_path) as storage:
        shelf, other = storage.shelf("one"), storage.shelf("two")
        for key in (b"b", b"a", b"c"):
            shelf.put(key, key * 3)
        other.put(b"a", b"other")
        shelf.remove([b"b", b"missing"])

    with storing(tmp_path) as storage:
        assert storage.shelf("one").listed(b"", 1000) == [(b"a", 3), (b"c", 3)]
        assert storage.shelf("one").get(b"c") == b"ccc"
        assert storage.shelf("one").get(b"b") is None
        assert storage.shelf("one").listed(b"b", 1000) == [(b"c", 3)]
        assert storage.shelf("one").listed(b"", 1) == [(b"a", 3)]
        assert storage.shelf("one").listed(b"d", 1) == []
        assert storage.shelf("two").listed(b"", 1000) == [(b"a", 5)]


def test_all_who_wait_share_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that come while the disk is busy are committed together."""
    with storing(tmp_path) as storage:
        shelf = storage.shelf("one")
        environment = storage._environment
        assert environment is not None
        commits: list[int] = []
        write = environment._write

        def note(orders: list[module._Order], removals: list[tuple[bytes, bytes]]) -> None:
            commits.append(len(orders))
            write(orders, removals)

        monkeypatch.setattr(environment, "_write", note)

        def put(first: int) -> None:
            for number in range(50):
                shelf.put(bytes([first, number]), b"v")

        threads = [threading.Thread(target=put, args=[first]) for first in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sum(commits) == 800
        assert len(commits) < 400
        assert len(shelf.listed(b"", 1000)) == 800


def test_map_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage is not full before the disk is."""
    monkeypatch.setattr(module, "_FIRST_MAP_SIZE", 2**20)

    with storing(tmp_path, fsync=False) as storage:
        shelf = storage.shelf("one")
        for number in range(30):
            shelf.put(bytes([number]), bytes(200_000))
        assert len(shelf.listed(b"", 1000)) == 30


def test_limit(tmp_path: Path) -> None:
    """Above `max_size` nothing is kept, and when something is removed there is room again."""
    with storing(tmp_path, max_size=100_000) as storage:
        shelf = storage.shelf("one")
        shelf.put(b"a", bytes(150_000))
        with pytest.raises(RetryableError, match="100000 bytes in use, its max_size"):
            shelf.put(b"b", b"")
        shelf.remove([b"a"])
        wait_for(lambda: not shelf.listed(b"", 1000))
        shelf.put(b"b", b"")


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is refused for now, removals are made up for, and when there is room it goes on."""
    monkeypatch.setattr(module, "_HOLD_SECONDS", 0.01)
    with storing(tmp_path) as storage:
        shelf = storage.shelf("one")
        shelf.put(b"a", b"v")
        environment = storage._environment
        assert environment is not None
        write = environment._write

        def fail(_orders: object, _removals: object) -> None:
            raise lmdb.DiskError("No space left on device")

        monkeypatch.setattr(environment, "_write", fail)
        shelf.remove([b"a"])
        with pytest.raises(RetryableError, match="No space left on device"):
            shelf.put(b"b", b"v")
        monkeypatch.setattr(environment, "_write", write)
        wait_for(lambda: not shelf.listed(b"", 1000))
        shelf.put(b"b", b"v")

        assert shelf.listed(b"", 1000) == [(b"b", 1)]


def test_environment_that_gave_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an error in the middle of a commit LMDB is opened again, and goes on."""
    with storing(tmp_path) as storage:
        shelf = storage.shelf("one")
        environment = storage._environment
        assert environment is not None
        write = environment._write

        def fail(_orders: object, _removals: object) -> None:
            monkeypatch.setattr(environment, "_write", write)
            raise lmdb.PanicError("mdb_txn_begin")

        monkeypatch.setattr(environment, "_write", fail)
        with pytest.raises(RetryableError, match="mdb_txn_begin"):
            shelf.put(b"a", b"v")
        shelf.put(b"b", b"v")

        assert shelf.listed(b"", 1000) == [(b"b", 1)]


def test_defect_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that should not be is told to who waits, and the next one is served."""
    with storing(tmp_path) as storage:
        shelf = storage.shelf("one")
        environment = storage._environment
        assert environment is not None
        monkeypatch.setattr(environment, "_write", None)
        with pytest.raises(RetryableError, match="NoneType"):
            shelf.put(b"a", b"v")
        monkeypatch.undo()
        shelf.put(b"b", b"v")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A directory that another process uses is refused, and can be used when that process is gone."""
    program = (
        "import sys, time, pathlib\n"
        "from tests.collector.test_file_storage import storing\n"
        "with storing(pathlib.Path(sys.argv[1])): print('open', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(ConfigError, match="is used by another collector"), storing(tmp_path):
            pass
        other.kill()
    with storing(tmp_path) as storage:
        storage.shelf("one").put(b"a", b"v")


def test_files_are_the_owner_s(tmp_path: Path) -> None:
    """Nobody else can read what waits."""
    with storing(tmp_path) as storage:
        storage.shelf("one").put(b"a", b"v")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in storage.folder.iterdir()}
        assert stat.S_IMODE(storage.folder.stat().st_mode) == 0o700

    assert modes == {"provtel.mdb": 0o600, "provtel.mdb-lock": 0o600, "provtel.lock": 0o600}


@pytest.mark.parametrize("when", ["on_start", "on_rebound"])
def test_room_is_given_back(tmp_path: Path, when: str) -> None:
    """A file that had grown and is almost empty is made small, at the start or while it is used, and loses nothing."""
    settings = CompactionConfig(
        on_start=when == "on_start",
        on_rebound=when == "on_rebound",
        rebound_needed_threshold_mib=8,
        rebound_trigger_threshold_mib=1,
        check_interval=Duration(0.05),
    )
    with storing(tmp_path, fsync=False) as storage:
        shelf = storage.shelf("one")
        for number in range(50):
            shelf.put(bytes([number]), bytes(200_000))
        shelf.remove([bytes([number]) for number in range(49)])
        wait_for(lambda: len(shelf.listed(b"", 1000)) == 1)
        file = storage.folder / "provtel.mdb"
        assert file.stat().st_size > 8 * 2**20

    with storing(tmp_path, compaction=settings) as storage:
        shelf = storage.shelf("one")
        wait_for(lambda: file.stat().st_size < 2**20)
        shelf.put(b"new", b"v")
        assert shelf.get(bytes([49])) == bytes(200_000)
    with storing(tmp_path) as storage:
        assert storage.shelf("one").listed(b"", 1000) == [(bytes([49]), 200_000), (b"new", 1)]


def test_damaged_file(tmp_path: Path) -> None:
    """A file that is no database is refused; with `recreate` it is put aside."""
    with storing(tmp_path) as storage:
        file = storage.folder / "provtel.mdb"
    file.write_bytes(b"damage" * 5000)

    with pytest.raises(ConfigError, match="cannot be opened"), storing(tmp_path):
        pass
    with storing(tmp_path, recreate=True) as storage:
        storage.shelf("one").put(b"a", b"v")
    assert [path.read_bytes() for path in file.parent.glob("*.backup")] == [b"damage" * 5000]


def test_directory_must_exist(tmp_path: Path) -> None:
    """A directory is made only where that is wished; what is no directory is refused."""
    with pytest.raises(ConfigError, match=r"extensions::file_storage: directory must exist: .*create_directory"):
        FileStorage(FileStorageConfig(str(tmp_path / "no")), Context("file_storage", {}, print)).start()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is not a directory"):
        FileStorage(FileStorageConfig(str(tmp_path / "file")), Context("file_storage", {}, print)).start()


def test_directory_of_another_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is mapped into memory is not kept on a network file system; nothing is made there."""
    monkeypatch.setenv(VARIABLE, f"{tmp_path}=network")

    with (
        pytest.raises(ConfigError, match=r"extensions::file_storage: .* lies on a network file system"),
        storing(tmp_path),
    ):
        pass

    assert not (tmp_path / "storage").exists()


def test_directory_of_compaction_must_exist(tmp_path: Path) -> None:
    """Where room is to be given back, the directory for it is there or made at the start, as the other one."""
    settings = CompactionConfig(on_rebound=True, directory=str(tmp_path / "no"))
    config = FileStorageConfig(str(tmp_path), compaction=settings)

    with pytest.raises(ConfigError, match=r"directory must exist: stat .*/no: no such file"):
        FileStorage(config, Context("file_storage", {}, print)).start()
    with storing(tmp_path, compaction=settings):
        assert (tmp_path / "no").is_dir()


def test_storage_that_stopped(tmp_path: Path) -> None:
    """A storage that does not run says so; to stop it twice does no harm."""
    with storing(tmp_path) as storage:
        shelf = storage.shelf("one")
    storage.shutdown()

    with pytest.raises(RetryableError, match="stops"):
        shelf.put(b"a", b"v")
    with pytest.raises(StoreError, match="does not run"):
        storage.shelf("one")
    shelf.remove([b"a"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_size": -1}, "max size cannot be less than 0"),
        ({"create_directory": True, "directory_permissions": "9"}, "must be a valid octal representation"),
        ({"create_directory": True, "directory_permissions": "7777"}, "invalid bits"),
        (
            {"max_size": 5, "compaction": CompactionConfig(on_rebound=True)},
            "compaction rebound needed threshold cannot be greater than max size",
        ),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], said: str) -> None:
    """Numbers out of range are refused in the OpenTelemetry Collector's words."""
    with pytest.raises(ValueError, match=said):
        FileStorageConfig(**settings)  # type: ignore[arg-type]  # what is tested is which are allowed


def test_what_nobody_asks_for_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What waits for a component that there is no more is not forgotten silently."""
    with storing(tmp_path) as storage:
        storage.shelf("exporter/old/traces").put(b"a", b"v")
        storage.shelf("exporter/empty/traces")
        storage.shelf("exporter/new/traces").put(b"a", b"v")

    with storing(tmp_path) as storage:
        storage.shelf("exporter/new/traces")
        storage.ready()

    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("exporter/old/traces: 1 requests wait in ")
