"""Large values kept whole: found again by their hash, never in the way of the program, never a secret."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import provtel
import pytest
from provtel import notices
from provtel.settings import Settings
from provtel.snapshot import Snapshots
from provtel_model.errors import StoreError
from provtel_model.values import Reference, decode
from sklearn.linear_model import LogisticRegression

from tests.instrumentation.programs import Stage

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system or give a folder away")
KEEPING = Settings(keep_content=2**20)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep content in a store of the test's own."""
    monkeypatch.setenv("PROVTEL_STORE", str(tmp_path / "store"))
    notices._counts.clear()
    return tmp_path / "store"


def _kept(value: object, settings: Settings = KEEPING) -> Reference:
    found = decode(Snapshots(settings).of(value))
    assert isinstance(found, Reference)
    return found


def _files(store: Path) -> list[Path]:
    return sorted(path for path in store.glob("content/*/*") if path.is_file())


@pytest.mark.parametrize(
    ("value", "ending"),
    [
        ("long " * 2000, ".txt"),
        ("\ud800é" * 5000, ".txt"),
        (b"\0\xff" * 5000, ".bin"),
        (bytes(100_000), ".bin"),
        (np.arange(12.0).reshape(3, 4), ".npy"),
        (np.asfortranarray(np.arange(12).reshape(3, 4)), ".npy"),
        (np.arange(24.0)[::2], ".npy"),
        (np.array(3), ".npy"),
        (np.zeros((0, 3)), ".npy"),
        (np.array(["2020-01-01"], dtype="M8[D]"), ".npy"),
        (np.zeros(100_000), ".npy"),
        (list(range(5000)), ".msgpack"),
        ({str(number): number / 3 for number in range(1200)}, ".msgpack"),
        ([(number, 0.5) for number in range(1100)], ".msgpack"),
        (set(range(2000)), ".msgpack"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 10 else type(value).__name__,
)
def test_what_is_kept_comes_back(store: Path, value: Any, ending: str) -> None:
    """A large value is a file that only its user can read, and comes back equal, by address and by hash."""
    reference = _kept(value)
    (file,) = _files(store)

    assert file.name == str(reference.hash).removeprefix("sha256:") + ending
    assert file.parent.name == file.name[:2]
    assert [path.stat().st_mode & 0o777 for path in (file, file.parent, file.parent.parent)] == [0o600, 0o700, 0o700]
    for found in (provtel.load(reference), provtel.load(replace(reference, uri=None), store)):
        assert type(found) is type(value)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(found, value, strict=True)
        else:
            assert found == value


def test_same_content_is_one_file(store: Path) -> None:
    """Equal content is kept once, whatever its layout, by however many threads."""
    array = np.arange(10_000.0).reshape(100, 100)
    threads = [threading.Thread(target=_kept, args=(value,)) for value in (array, np.asfortranarray(array)) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(_files(store)) == 1


@pytest.mark.usefixtures("store")
def test_instances_by_their_fields() -> None:
    """A fitted estimator comes back by its fields, whose arrays are kept too."""
    x, y = np.random.default_rng(1).random((40, 3)), np.arange(40) % 2
    fitted = LogisticRegression().fit(x, y)

    found = provtel.load(_kept(fitted))

    assert found.fields["C"] == 1.0
    np.testing.assert_array_equal(provtel.load(found.fields["coef_"]), fitted.coef_)


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()]),
        np.array(["text"]),
        [{"password": "hunter2"}] * 500 + [object()] * 1000,
        [{"password": "hunter2"}] * 1500,
        "ftp://me:hunter2@h/ " + "x" * 10_000,
        b"ftp://me:hunter2@h/ " + b"x" * 10_000,
        ["ftp://me:hunter2@h/"] * 1500,
        object(),
        "x" * 2**21,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_kept(store: Path, value: Any) -> None:
    """Nothing is kept of what is not known whole, may hold a secret, or is larger than wanted."""
    reference = _kept(value)

    assert not _files(store)
    assert reference.uri is None
    with pytest.raises(StoreError, match="was not kept"):
        provtel.load(reference, store)


def test_nothing_is_kept_unasked(store: Path) -> None:
    """Without the setting nothing is kept, and small values never are."""
    assert _kept(np.zeros(1000), Settings()).uri is None
    Snapshots(KEEPING).of([1, "small", b"small"])

    assert not store.exists()


def test_hidden_roles_are_not_kept(store: Path) -> None:
    """What has a telling name reaches no file."""
    Snapshots(KEEPING).of_role("password", np.zeros(1000))

    assert not store.exists()


def test_damage_is_found(store: Path) -> None:
    """What is not what it was is refused, and so is what is gone; the message says which file."""
    reference = _kept("long " * 2000)
    (file,) = _files(store)
    file.write_text("other")
    with pytest.raises(StoreError, match=f"{file.name} is not what its name says"):
        provtel.load(reference)
    file.unlink()
    with pytest.raises(StoreError, match="gone"):
        provtel.load(reference, store)
    array = _kept(np.zeros(100))
    (file,) = _files(store)
    file.write_bytes(b"nonsense")
    with pytest.raises(StoreError, match="cannot be read"):
        provtel.load(array)


def test_limit_in_all(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beyond the limit nothing more is kept, which is told once and counted; hashes are there all the same."""
    snapshots = Snapshots(Settings(keep_content=2**20, max_content=100_000))

    found = [decode(snapshots.of(np.full(5000, float(number)))) for number in range(5)]

    assert [reference.uri is not None for reference in found] == [True, True, False, False, False]
    assert all(reference.hash.startswith("sha256:") for reference in found)
    assert sum(file.stat().st_size for file in _files(store)) <= 100_000
    assert capsys.readouterr().err.count("not kept for now") == 1
    assert notices.count("content") == 3
    assert _kept(np.full(5000, 0.0), Settings(keep_content=2**20, max_content=100_000)).uri is not None


def _full(_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", fail)


def _occupied(store: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    store.mkdir(mode=0o700)
    (store / "content").write_text("in the way")


def _writable_for_all(store: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    store.mkdir()
    store.chmod(0o777)


@pytest.mark.parametrize("trouble", [_full, _occupied, _writable_for_all])
def test_where_nothing_can_be_written(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], trouble: Any
) -> None:
    """A full disk, something in the way, a folder that is not safe: the program goes on, and one line says it."""
    trouble(store, monkeypatch)
    snapshots = Snapshots(KEEPING)

    for number in range(3):
        found = decode(snapshots.of(np.full(1000, float(number))))
        assert (found.uri, found.hash[:7]) == (None, "sha256:")
    assert capsys.readouterr().err.count("\n") == 1
    assert not [path for path in store.glob("content/*/*") if path.name.startswith(".")]


def test_folder_that_is_deleted_meanwhile(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while it is made anew."""
    snapshots = Snapshots(KEEPING)
    snapshots.of(np.zeros(1000))
    (file,) = _files(store)
    for path in (file, file.parent, file.parent.parent):
        path.unlink() if path.is_file() else path.rmdir()

    assert decode(snapshots.of(np.ones(1000))).uri is None
    monkeypatch.setattr("provtel.content._RETRY_SECONDS", 0)
    assert snapshots.content is not None
    snapshots.content._retry_at = 0
    assert decode(snapshots.of(np.ones(1000))).uri is not None


@pytest.fixture
def small_disk(store: Path) -> Iterator[Path]:
    """Keep content on a disk of two megabytes."""
    store.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "provtel-test", str(store)], check=True)
    yield store
    subprocess.run(["umount", "--lazy", str(store)], check=True)


@only_root
def test_full_disk(small_disk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that is full nothing is kept, whether or not its size was foreseen, and nothing half written stays."""
    snapshots = Snapshots(KEEPING)
    found = [decode(snapshots.of(np.full(50_000, float(number)))) for number in range(10)]
    kept = [reference for reference in found if reference.uri is not None]
    assert 0 < len(kept) < 6
    monkeypatch.setattr("provtel.content._FREE_SHARE", -10)  # as where others fill the disk meanwhile
    unforeseen = Snapshots(KEEPING)
    found = [decode(unforeseen.of(np.full(50_000, float(number)))) for number in range(10, 20)]
    assert any(reference.uri is None for reference in found)

    assert all(reference.hash.startswith("sha256:") for reference in found)
    for reference in kept + [reference for reference in found if reference.uri is not None]:
        assert provtel.load(reference).shape == (50_000,)
    assert not [path for path in small_disk.glob("content/*/*") if path.name.startswith(".")]
    assert capsys.readouterr().err.count("\n") == 1


@only_root
def test_disk_that_becomes_read_only(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there is still found by its hash; nothing more is kept."""
    snapshots = Snapshots(KEEPING)
    before = decode(snapshots.of(np.zeros(1000)))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    again, other = decode(snapshots.of(np.zeros(1000))), decode(snapshots.of(np.ones(1000)))

    assert again == before
    assert (other.uri, other.hash[:7]) == (None, "sha256:")
    assert "Read-only file system" in capsys.readouterr().err


@only_root
def test_store_of_somebody_else(store: Path) -> None:
    """Nothing is written into a store that another user owns."""
    store.mkdir(mode=0o700)
    os.chown(store, 12345, 12345)

    assert _kept(np.zeros(1000)).uri is None
    assert not _files(store)


def test_program_that_keeps(stage: Stage) -> None:
    """A program is told by a setting, and its records lead to the content."""
    stage.environment["PROVTEL_KEEP_CONTENT"] = "1MB"
    stage.run(
        """
        import numpy as np
        from provtel import task

        @task(outputs="doubled")
        def double(x):
            return 2 * x

        double(np.arange(1000.0))
        """
    )

    (record,) = stage.records()
    np.testing.assert_array_equal(provtel.load(record.generated["doubled"]), 2 * np.arange(1000.0))
    np.testing.assert_array_equal(provtel.load(record.used["x"]), np.arange(1000.0))
