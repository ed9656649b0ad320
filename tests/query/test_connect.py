"""How a store is found, drained and opened."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from provtel_exporters.lmdb import LmdbWriter
from provtel_model.components import DrainReport
from provtel_model.errors import StoreError
from provtel_model.store_folder import LMDB_FOLDER
from provtel_query import connect
from provtel_query import connect as connect_function
from provtel_query.stores import open_writer, scheme_of, shown

from tests.query.activities import quickstart

if TYPE_CHECKING:
    from collections.abc import Iterable

connect_module = __import__("sys").modules[connect_function.__module__]


def fill(store: Path) -> DrainReport:
    """Bring the quickstart into a store, as a drain would."""
    writer = LmdbWriter(store / LMDB_FOLDER)
    writer.write(quickstart())
    writer.close()
    return DrainReport(3, 1, {Path("/elsewhere"): "its records go to another store"})


@pytest.fixture
def drained(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replace the drains that are installed by one that fills a store, and return the stores that it filled."""
    asked: list[Path] = []

    def drain(store: Path) -> DrainReport:
        asked.append(store)
        return fill(store)

    monkeypatch.setattr(connect_module, "_drains", lambda: iter([drain]))
    return asked


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with no store named by the environment."""
    monkeypatch.delenv("PROVTEL_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_nearest_store_upward_is_drained_and_opened(
    here: Path, drained: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name it is the store that recording here would write to, and pending records are in it."""
    (here / ".provtel").mkdir(mode=0o700)
    (here / "deeper").mkdir()
    monkeypatch.chdir(here / "deeper")

    with connect() as store:
        assert [task.name for task in store.tasks()] == ["mult_two", "sum_one"]
        assert store.drained.records == 3
        assert store.drained.elsewhere == {Path("/elsewhere"): "its records go to another store"}
    assert drained == [here / ".provtel"]


@pytest.mark.parametrize("name", ["store", Path("store")])
def test_a_store_can_be_named(here: Path, drained: list[Path], name: str | Path) -> None:
    """A store is named by a text or a path, relative to the working folder."""
    (here / "store").mkdir()

    with connect(name) as store:
        assert store.location == str(here / "store")
        assert store.count() == 3
    assert drained == [here / "store"]


def test_a_store_can_be_left_undrained(here: Path, drained: list[Path]) -> None:
    """A store is opened as it is where that is asked for."""
    (here / "store").mkdir()

    with connect("store", drain=False) as store:
        assert store.count() == 0
    assert not drained


def test_no_store_is_an_empty_one(here: Path, drained: list[Path]) -> None:
    """Where there is no store the answer is empty, and none is made."""
    with connect() as store:
        assert store.tasks() == []
        assert store.location == str(here / ".provtel")
    assert not drained
    assert not (here / ".provtel").exists()


def test_a_foreign_store_is_read_as_it_is(here: Path, drained: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that this user may not write is not drained, and says so."""
    (here / "store").mkdir()
    fill(here / "store")
    monkeypatch.setattr(connect_module, "is_own_folder", lambda _path: False)

    with connect("store") as store:
        assert store.count() == 3
        assert list(store.drained.elsewhere) == [here / "store" / "journal"]
    assert not drained


def test_a_file_is_no_store(here: Path) -> None:
    """A path that is a file is refused."""
    (here / "store").write_text("")

    with pytest.raises(StoreError, match="is a file; a store is a folder"):
        connect("store")


def test_what_cannot_be_looked_at_is_told(here: Path) -> None:
    """A store that the system refuses to look at is an error that says why."""
    with pytest.raises(StoreError, match=f"the store {here}/aaa.* cannot be read: File name too long"):
        connect("a" * 300)


def test_an_address_is_read_by_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with a scheme is opened by the reader that is installed for it, and never drained."""
    monkeypatch.setattr("provtel_query.stores.entry_points", _readers)
    monkeypatch.setattr(connect_module, "_drains", _fail)

    with connect("kept://somewhere") as store:
        assert store.location == "kept://somewhere"
        assert store.count() == 0


def test_an_unknown_address_names_the_known() -> None:
    """An address that nothing installed reads is an error that says what can be read."""
    with pytest.raises(StoreError, match=r"nothing here reads 'ftp://x'; known kinds of store are .*lmdb"):
        connect("ftp://x")


def test_a_folder_is_written_by_its_location(tmp_path: Path) -> None:
    """The writing side of a store is found as its reading side is, and made where it is missing."""
    writer = open_writer(str(tmp_path / "store"))
    writer.write(quickstart())
    writer.close()

    with connect(tmp_path / "store", drain=False) as store:
        assert store.count() == 3
    with pytest.raises(StoreError, match=r"nothing here writes 'ftp://x'; known kinds of store are .*lmdb"):
        open_writer("ftp://x")


@pytest.mark.parametrize(
    ("location", "kind", "seen"),
    [
        ("mongodb://me:se@cret@db/runs?x=@", "mongodb", "mongodb://***@db/runs?x=@"),
        ("mongodb+srv://me:secret@db", "mongodb", "mongodb+srv://***@db"),
        ("kafka://h:1/t@", "kafka", "kafka://h:1/t@"),
        ("kafka://h:1/t?tls.key_password=x&a=b", "kafka", "kafka://h:1/t?tls.key_password=***&a=b"),
        ("mongodb://h?tlsCertificateKeyFilePassword=x", "mongodb", "mongodb://h?tlsCertificateKeyFilePassword=***"),
        ("x@y.jsonl", "file", "x@y.jsonl"),
        (".provtel", "lmdb", ".provtel"),
    ],
)
def test_locations_are_told_without_secrets(location: str, kind: str, seen: str) -> None:
    """The kind of a store is told by its scheme or suffix, and nobody sees who logs in."""
    assert (scheme_of(location), shown(location)) == (kind, seen)


def _readers(*, group: str) -> Iterable[EntryPoint]:
    return [EntryPoint("kept", "tests.query.memory:open_empty", group)]


def _fail() -> None:
    pytest.fail("drained")
