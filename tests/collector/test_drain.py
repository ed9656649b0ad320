"""The embedded drain brings journals into the store, in the process of whoever reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from provtel_collector.drain import drain
from provtel_exporters.lmdb import open_reader
from provtel_model.components import DrainReport, Factory
from provtel_model.errors import DeliveryError, PermanentError, RetryableError, StoreError
from provtel_model.file_systems import VARIABLE as FILE_SYSTEMS
from provtel_model.filters import Query

from tests.collector.journals import living, write_journal
from tests.collector.parts import Part


def states(store: Path) -> dict[str, str]:
    """Return the state of each record in a store, by the number of its span."""
    with closing(open_reader(str(store))) as reader:
        return {str(int(record.plain["span_id"], 16)): str(record.status) for record in reader.find(Query())}


def test_it_is_registered() -> None:
    """Readers find it by its entry point."""
    (entry,) = entry_points(group="provtel.drains")

    assert entry.load() is drain


def test_nothing_to_drain(tmp_path: Path) -> None:
    """Where there is no journal, nothing is made."""
    assert drain(tmp_path / "store") == DrainReport(0, 0, {})
    assert not (tmp_path / "store").exists()


def test_journals_of_the_store(tmp_path: Path) -> None:
    """Journals of living and of dead writers are in the store when it returns, and twice is as good as once."""
    dead = write_journal(tmp_path, "dead", goal=tmp_path, ended=3, unended=1)
    alive = write_journal(tmp_path, "alive", goal=tmp_path, ended=1, unended=1, first=11)

    with living(alive):
        assert drain(tmp_path).records == 6
        assert states(tmp_path) == {**dict.fromkeys("123", "finished"), "4": "lost", "11": "finished", "12": "running"}
        drain(tmp_path)
    assert not dead.exists()
    drain(tmp_path)

    assert states(tmp_path)["12"] == "lost"
    assert drain(tmp_path) == DrainReport(0, 0, {})


def test_what_runs_is_told_now_and_then_where_each_write_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a network file system an open activity is not written at every drain of a process; its end is, at once."""
    monkeypatch.setenv(FILE_SYSTEMS, f"{tmp_path}=network:{tmp_path / 'cache'}=local")
    monkeypatch.setenv("PROVTEL_CACHE", str(tmp_path / "cache"))
    alive = write_journal(tmp_path, "alive", goal=tmp_path, ended=1, unended=1)
    with living(alive):
        counts = [drain(tmp_path).records for _ in range(4)]
        assert counts == [2, 0, 0, 0]
        assert states(tmp_path) == {"1": "finished", "2": "running"}
    drain(tmp_path)

    assert states(tmp_path) == {"1": "finished", "2": "lost"}
    assert not (tmp_path / "lmdb").exists()


def test_journals_of_others(tmp_path: Path) -> None:
    """Journals for an endpoint, for another store, and what is no journal are left alone, each with its reason."""
    endpoint = write_journal(tmp_path, "endpoint", goal="http://127.0.0.1:4318")
    other = write_journal(tmp_path, "other", goal=tmp_path / "other")
    broken = tmp_path / "journal" / "broken"
    broken.mkdir()

    report = drain(tmp_path)

    assert (report.records, report.journals) == (0, 3)
    assert report.elsewhere == {
        endpoint: "its records go to http://127.0.0.1:4318",
        other: f"its records go to {tmp_path / 'other'}",
        broken: f"{broken} has no segments",
    }
    assert not (tmp_path / "lmdb").exists()


def test_store_named_in_another_way(tmp_path: Path) -> None:
    """A store that is reached by a link is the same store."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_journal(tmp_path / "real", goal=tmp_path / "link")

    assert drain(tmp_path / "real").records == 1


def test_store_that_cannot_be_written(tmp_path: Path) -> None:
    """Where the store cannot be written the error says so, and the journal stays."""
    journal = write_journal(tmp_path, goal=tmp_path)
    (tmp_path / "lmdb").write_text("in the way")

    with pytest.raises(StoreError):
        drain(tmp_path)

    assert journal.exists()


@dataclass(frozen=True)
class Refusing:
    """The configuration of a store that refuses."""

    store: str = ""


@pytest.mark.parametrize("error", [PermanentError("never"), RetryableError("full")])
def test_store_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: DeliveryError) -> None:
    """Records that no store takes stay in their journal and keep nobody from reading; a store that is full is told."""
    journal = write_journal(tmp_path, goal=tmp_path)
    refusing = Factory("lmdb", Refusing, lambda _, context: Part(context, [], {"consume": error}))
    monkeypatch.setattr("provtel_collector.drain.find_factory", lambda *_: refusing)

    if isinstance(error, PermanentError):
        assert drain(tmp_path).elsewhere == {journal: "the store does not take its records: never"}
    else:
        with pytest.raises(StoreError, match="cannot be written: full"):
            drain(tmp_path)
    assert journal.exists()


def test_plain_install_is_enough(tmp_path: Path) -> None:
    """It loads nothing of what only the extra `collector` brings."""
    write_journal(tmp_path, goal=tmp_path)
    code = """
import sys
from pathlib import Path
from provtel_collector.drain import drain
records = drain(Path(sys.argv[1])).records
print(records, {"pydantic", "uvloop", "httptools", "yaml"} & sys.modules.keys())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], env=os.environ, capture_output=True, text=True, check=True
    )

    assert done.stdout == "1 set()\n"
