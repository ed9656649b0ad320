"""The commands that look after a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from provtel_exporters.lmdb.files import DATA_FILE
from provtel_model.store_folder import LMDB_FOLDER

from tests.cli.conftest import fill
from tests.query.activities import activity

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Ask


@pytest.mark.usefixtures("filled")
def test_stats(ask: Ask) -> None:
    """What a store holds is told for people and for programs, the same of a folder and of a file."""
    folder = ask("store", "stats", "--json").objects[0]
    assert ask("copy", ".provtel", "all.jsonl").code == 0
    file = ask("store", "stats", "--json", "--store", "all.jsonl").objects[0]

    assert (folder["records"], folder["kinds"]) == (6, {"task": 4, "workflow": 2})
    common = ("records", "kinds", "runs", "points", "logs")
    assert {key: folder[key] for key in common} == {key: file[key] for key in common}
    assert folder["pages"] * folder["page_size"] == folder["nbytes"]
    shown = ask("store", "stats").out
    assert all(title in shown for title in ("records", "workflow", "runs", "free pages", "format"))


@pytest.mark.usefixtures("filled")
def test_a_sound_store(ask: Ask) -> None:
    """A sound store is called so, with what was read."""
    assert ask("copy", ".provtel", "all.jsonl").code == 0
    answer = ask("store", "verify")

    assert answer.code == 0
    assert "is sound: 6 records, 0 data points and log records, " in answer.out
    assert ask("store", "verify", "--json").objects[0]["damage"] == []
    assert "all.jsonl is sound: 6 records" in ask("store", "verify", "--store", "all.jsonl").out


def test_a_damaged_store(ask: Ask, filled: Path) -> None:
    """Of a damaged one what is damaged is printed, and the exit code is 1."""
    assert ask("copy", ".provtel", "all.jsonl").code == 0
    with (filled / ".provtel" / LMDB_FOLDER / DATA_FILE).open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 4096 * 5)
    with (filled / "all.jsonl").open("a") as lines:
        lines.write("nonsense\n")

    answer = ask("store", "verify")
    assert answer.code == 1
    assert "is DAMAGED" in answer.out
    other = ask("store", "verify", "--store", "all.jsonl")
    assert other.code == 1
    assert "line" in other.err


def test_compact(ask: Ask, folder: Path) -> None:
    """After a run was deleted, compacting says what the file took and what it takes; other stores are refused."""
    runs = [activity(number, workflow_id=f"w{number % 2}", used={"x": "y" * 200}) for number in range(1, 2000)]
    fill(folder / ".provtel", runs)
    assert ask("delete", "w1", "--yes").code == 0

    done = ask("store", "compact", "--json").objects[0]

    assert done["before"] > 1.5 * done["after"] == 1.5 * (folder / ".provtel" / LMDB_FOLDER / DATA_FILE).stat().st_size
    assert ask("tasks", "--all", "--limit", "0", "--json").out.count("\n") == 999
    assert "before, " in ask("store", "compact").out
    assert ask("copy", ".provtel", "all.jsonl").code == 0
    refused = ask("store", "compact", "--store", "all.jsonl")
    assert refused.code == 1
    assert "is no store folder" in refused.err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", ["stats", "verify", "compact"])
def test_no_store(ask: Ask, command: str) -> None:
    """Where there is no store, that is told, and none is made."""
    answer = ask("store", command, "--store", "elsewhere")

    assert answer.code == 1
    assert "there is no store in" in answer.err
