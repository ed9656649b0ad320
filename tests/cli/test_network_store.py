"""The commands on a store that keeps segments: every one does there what it does on any other."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from provtel_exporters.lmdb import open_writer
from provtel_exporters.lmdb.network.cache import VARIABLE as CACHE
from provtel_exporters.lmdb.network.maintenance import compact
from provtel_model.file_systems import VARIABLE as FILE_SYSTEMS
from provtel_query.watching import BEGINNING, watch

from tests.cli.conftest import OLDER, Ask, older_run
from tests.query.activities import activity, quickstart


@pytest.fixture
def far(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder whose store is on a network file system, and holds the quickstart and an older run."""
    monkeypatch.setenv(FILE_SYSTEMS, f"{folder / '.provtel'}=network")
    monkeypatch.setenv(CACHE, str(folder / "cache"))
    writer = open_writer(str(folder / ".provtel"))
    for records in (quickstart(), older_run()):
        writer.write(records)
    writer.close()
    return folder


def test_commands_read_and_look_after_it(far: Path, ask: Ask) -> None:
    """It is listed, counted, verified, merged, and a run is deleted from it for good."""
    before = len(ask("tasks", "--all", "--json").objects)
    (held,) = ask("store", "stats", "--json").objects

    assert before == 4
    assert (held["segments"], held["deletions"], held["records"]) == (2, 0, 6)
    assert Path(held["index"]).is_relative_to(far / "cache")
    assert ask("status", "--json").objects[0]["nbytes"] > 0
    assert "sound" in ask("store", "verify").out
    assert ask("delete", "older", "--yes", "--json").objects == [{"run": f"{OLDER}-{1:016x}", "records": 3}]

    shutil.rmtree(far / "cache")
    assert len(ask("tasks", "--all", "--json").objects) == 2
    assert "segments" in ask("store", "stats").out
    (done,) = ask("store", "compact", "--json").objects
    assert done["after"] < done["before"]
    assert ask("store", "stats", "--json").objects[0]["segments"] == 1
    assert len(ask("tasks", "--all", "--json").objects) == 2


def test_it_is_copied_and_what_is_old_goes(far: Path, ask: Ask) -> None:
    """It is the source and the target of copies, and runs that are old are deleted from it."""
    assert ask("copy", ".provtel", "x.jsonl").code == 0
    assert ask("copy", "x.jsonl", str(far / ".provtel")).code == 0
    assert ask("store", "stats", "--json").objects[0]["records"] == 6

    assert ask("store", "retain", "--older-than", "1s", "--yes").code == 0
    assert ask("tasks", "--all", "--json").objects == []


def test_it_is_watched(far: Path) -> None:
    """What others write is told as it comes, and after a merge from the same cursor on."""
    store = far / ".provtel"
    told = watch(str(store), since=BEGINNING)
    assert len(next(told).records) == 6

    compact(store)
    with closing(open_writer(str(store))) as writer:
        writer.write([activity(0xBEEF, "late", at=(1, 2))])
    changes = next(told)
    assert [record.name for record in changes.records] == ["late"]

    again = watch(str(store), since=changes.cursor)
    assert list(next(again).records) == []


def test_damage_is_told(far: Path, ask: Ask) -> None:
    """A segment that is not what it was is named, by an error code and not a traceback."""
    segment = next((far / ".provtel" / "segments").glob("*.zst"))
    segment.write_bytes(b"no segment")

    found = ask("store", "verify")
    assert found.code == 1
    assert segment.name in found.out
    refused = ask("store", "compact")
    assert refused.code == 1
    assert "move this segment out of the store" in refused.err


def test_what_is_said_of_file_systems_is_told(folder: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that is not understood is an error that shows it."""
    monkeypatch.setenv(FILE_SYSTEMS, f"{folder}=far")
    (folder / ".provtel" / "lmdb").mkdir()

    refused = ask("tasks")
    assert refused.code == 1
    assert "write FOLDER=network or FOLDER=local" in refused.err
