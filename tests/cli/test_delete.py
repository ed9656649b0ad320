"""The commands that delete: one run, and what is old."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from provtel_model.filters import Query
from provtel_query.stores import open_reader, open_writer

from tests.cli.conftest import OLDER, older_run
from tests.query.activities import EPOCH, SECOND, TRACE, activity, quickstart

if TYPE_CHECKING:
    from provtel_model.record import PlainRecord

    from tests.cli.conftest import Ask

PROVTEL = str(Path(sys.executable).with_name("provtel"))
STORES = (".provtel", "runs.jsonl", "mongodb")
DAY = 86_400


def write(store: str, records: list[PlainRecord]) -> None:
    """Write records into a store of any kind."""
    with closing(open_writer(store)) as writer:
        writer.write(records)


def ids(store: str) -> set[str]:
    """Return the ids of all records of a store."""
    with closing(open_reader(store)) as reader:
        return {record.id for record in reader.find(Query())}


def days_ago(days: float, *numbers: int, trace: str, **fields: Any) -> list[PlainRecord]:
    """Return activities of a run that began so many days before now, each after a second."""
    start = (time.time_ns() - EPOCH) // SECOND - int(days * DAY)
    return [activity(number, at=(start + number, start + number + 1), trace_id=trace, **fields) for number in numbers]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, folder: Path) -> str:
    """Return a store that holds the quickstart and an older run."""
    is_server = request.param == "mongodb"
    name: str = request.getfixturevalue("mongodb").new_database() if is_server else str(folder / request.param)
    write(name, [*quickstart(), *older_run()])
    return name


def test_a_run_is_deleted(store: str, ask: Ask) -> None:
    """A run goes with all of its records and what was said of them; every other record stays."""
    before = ids(store)
    assert ask("annotate", f"{OLDER}-{2:016x}", "wrong=true", "--store", store).code == 0

    answer = ask("delete", "older", "--yes", "--store", store)

    assert answer.code == 0
    assert f"deleted the run older ({OLDER}-{1:016x}): 4 records" in answer.out
    assert ids(store) == {each for each in before if not each.startswith(OLDER)}
    assert ask("delete", TRACE[:8], "--yes", "--json", "--store", store).objects[0]["records"] == 3
    assert ids(store) == set()


def test_a_run_that_there_is_not(store: str, ask: Ask) -> None:
    """A run that there is not is told, with exit code 1, and nothing is removed."""
    before = ids(store)
    answer = ask("delete", "nobody", "--yes", "--store", store)

    assert answer.code == 1
    assert "there is no run 'nobody'" in answer.err
    assert ids(store) == before


@pytest.mark.parametrize("command", [("delete", "older"), ("store", "retain", "--older-than", "1d")])
def test_nothing_goes_unasked(store: str, command: tuple[str, ...]) -> None:
    """Without a terminal and without --yes, nothing is removed, and the exit code is 1."""
    before = ids(store)
    done = subprocess.run(
        [PROVTEL, *command, "--store", store], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "give --yes" in done.stderr
    assert ids(store) == before


@pytest.mark.parametrize(("says", "code", "left"), [("n\n", 130, 6), ("y\n", 0, 3)])
def test_a_person_is_asked(folder: Path, says: str, code: int, left: int) -> None:
    """On a terminal the question says what goes from where, and only a yes removes it."""
    write(str(folder / "runs.jsonl"), [*quickstart(), *older_run()])
    ours, theirs = pty.openpty()
    os.write(ours, says.encode())
    done = subprocess.run(
        [PROVTEL, "delete", "older", "--store", "runs.jsonl"],
        stdin=theirs,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    os.close(theirs)
    os.close(ours)

    assert done.returncode == code
    assert "with 3 records from runs.jsonl?" in done.stderr
    assert len(ids(str(folder / "runs.jsonl"))) == left


def test_what_is_old_goes(ask: Ask, store: str) -> None:
    """Runs go as a whole when nothing of them is younger; those of kept campaigns and those not ended stay."""
    write(store, days_ago(40, 1, 2, trace="01" * 16, workflow_id="old"))
    write(store, days_ago(40, 1, trace="02" * 16, workflow_id="kept", campaign_id="paper-7"))
    write(store, days_ago(40, 2, trace="02" * 16, workflow_id="kept"))
    write(store, days_ago(40, 1, trace="03" * 16, workflow_id="long"))
    write(store, days_ago(20, 2, trace="03" * 16, workflow_id="long"))
    underway = days_ago(40, 1, trace="04" * 16, workflow_id="underway", status="running")
    for plain in underway:
        del plain["ended_at"]
    write(store, underway)
    said = "05" * 16
    write(store, days_ago(40, 1, trace=said, workflow_id="said"))
    assert ask("annotate", f"{said}-{1:016x}", "good=true", "--store", store).code == 0
    before = ids(store)
    command = ("store", "retain", "--older-than", "30d", "--except-campaign", "paper-7", "--json", "--store", store)

    dry = ask(*command, "--dry-run").objects[0]
    assert ids(store) == before
    done = ask(*command, "--yes").objects[0]

    assert {"old"} <= set(dry["runs"]) == set(done["runs"])
    assert dry["records"] == done["records"] == 2 + 6
    assert (done["spared"], done["underway"]) == (["kept"], ["underway"])
    assert ids(store) == {each for each in before if not each.startswith(("01" * 16, OLDER, TRACE))}
    assert ask(*command, "--yes").objects[0]["records"] == 0
    assert "deleted 0 runs" in ask(*command[:-3], "--yes", "--store", store).out


@pytest.mark.parametrize("age", ["30", "yesterday", "0d", "-3d", "0s"])
def test_an_age_that_is_none(ask: Ask, folder: Path, age: str) -> None:
    """What is no length of time is told, with exit code 2."""
    answer = ask("store", "retain", "--older-than", age, "--store", str(folder / ".provtel"))

    assert answer.code == 2
    assert "write 30d, 8w or 12h" in answer.err


def test_no_store_is_made(ask: Ask, folder: Path) -> None:
    """Where there is no store, none is made to forget things in."""
    answer = ask("store", "retain", "--older-than", "1d", "--yes", "--store", "elsewhere")

    assert answer.code == 1
    assert "there is no store" in answer.err
    assert not (folder / "elsewhere").exists()
