"""A program that is decorated everywhere runs as it does undecorated, whatever becomes of the place it records into."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from provtel_model.journal import find_journals
from provtel_model.journal.counting import contents
from provtel_model.record import Record

from tests.house.project import ROOT
from tests.instrumentation import laboratory
from tests.instrumentation.programs import TIMEOUT, Stage

CODE = 7
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system or give a folder away")


@dataclass
class Run:
    """What the program did.

    Args:
        code: Its exit code.
        stdout: What it printed.
        result: The file that it left.
        said: What was said on stderr, by whomever.
    """

    code: int
    stdout: str
    result: str
    said: list[str]

    def same_as(self, other: Run) -> bool:
        """Say whether another one did the same."""
        return (self.code, self.stdout, self.result) == (other.code, other.stdout, other.result)


def run(stage: Stage, *arguments: str, **variables: str) -> Run:
    """Run the program in the folder of a stage."""
    (stage.folder / "result.json").unlink(missing_ok=True)
    done = subprocess.run(
        # Python 3.12 and later warn of a fork beside threads, which are the program's own here.
        [sys.executable, "-W", "ignore::DeprecationWarning", laboratory.__file__, *arguments],
        cwd=stage.folder,
        env=stage.variables() | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return Run(done.returncode, done.stdout, (stage.folder / "result.json").read_text(), done.stderr.splitlines())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Run the program undecorated, once whole and once without other processes and threads."""
    stage = Stage(tmp_path_factory.mktemp("plain"))
    runs = {"": run(stage, "plain"), "alone": run(stage, "plain", "alone")}
    assert {(done.code, *done.said) for done in runs.values()} == {(CODE,)}
    return runs


@pytest.fixture
def small_disk(stage: Stage) -> Iterator[Path]:
    """Mount a file system of 12 MB at the folder in which the store is to be."""
    folder = stage.folder / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=700", "provtel-test", str(folder)], check=True)
    try:
        stage.environment["PROVTEL_STORE"] = str(folder / "store")
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def all_is_recorded(records: list[Record]) -> bool:
    """Say whether every draw of every phase is there once, finished."""
    drawn = [record.used["number"] for record in records if record.name == "draw" and record.status.value == "finished"]
    return Counter(drawn) == dict.fromkeys(range(laboratory.TASKS_OF_A_PHASE), laboratory.PHASES)


def test_all_is_well(stage: Stage, plain: dict[str, Run]) -> None:
    """Where nothing is wrong, decorated and undecorated do the same, all is recorded, and nothing is said."""
    done = run(stage)
    records = stage.records()

    assert done.same_as(plain[""])
    assert done.said == []
    assert all_is_recorded(records)
    assert sorted(record.used["number"] for record in records if record.name == "work") == list(range(14))
    assert {record.campaign_id for record in records} == {"laboratory", None}
    assert [record.error.type for record in records if record.name == "fit" and record.error] == (
        ["__main__.DivergedError"] * laboratory.PHASES
    )


def test_seeded_program(stage: Stage, plain: dict[str, Run]) -> None:
    """With a seed it draws the same numbers as undecorated, in each run, and its records have new ids in each run."""
    first, second = run(stage, "alone"), run(stage, "alone")
    records = stage.records()

    assert first.same_as(plain["alone"])
    assert second.same_as(plain["alone"])
    assert len({record.id for record in records}) == len(records)
    assert len({record.trace_id for record in records}) == 2
    assert len({record.span_id for record in records}) == len(records)


def _store_is_a_file(stage: Stage) -> None:
    stage.store.write_text("")


def _store_of_somebody_else(stage: Stage) -> None:
    stage.store.mkdir(mode=0o700)
    os.chown(stage.store, 12345, 12345)


def _journals_of_somebody_else(stage: Stage) -> None:
    stage.store.mkdir(mode=0o700)
    (stage.store / "journal").mkdir(mode=0o700)
    os.chown(stage.store / "journal", 12345, 12345)


def _store_open_to_all(stage: Stage) -> None:
    stage.store.mkdir()
    stage.store.chmod(0o777)


def _no_such_place(stage: Stage) -> None:
    stage.environment["PROVTEL_STORE"] = "/proc/self/nowhere"


def _no_home(stage: Stage) -> None:
    stage.environment |= {"HOME": "/nonexistent", "XDG_STATE_HOME": ""}


def _nobody_listens(stage: Stage) -> None:
    stage.environment |= {"PROVTEL_ENDPOINT": "http://127.0.0.1:1", "PROVTEL_EXIT_TIMEOUT": "100ms"}


def _wrong_setting(stage: Stage) -> None:
    stage.environment |= {"PROVTEL_EXIT_TIMEOUT": "soon"}


@pytest.mark.parametrize(
    "spoil",
    [
        _store_is_a_file,
        pytest.param(_store_of_somebody_else, marks=only_root),
        pytest.param(_journals_of_somebody_else, marks=only_root),
        _store_open_to_all,
        _no_such_place,
        _no_home,
        _nobody_listens,
        _wrong_setting,
    ],
)
def test_spoilt_from_the_start(stage: Stage, plain: dict[str, Run], spoil: Callable[[Stage], None]) -> None:
    """Whatever is wrong with where it records to, the program does the same; what is said is ours, a line each."""
    spoil(stage)
    done = run(stage)

    assert done.same_as(plain[""])
    assert all(line.startswith("provtel: ") for line in done.said)
    assert done.said or spoil is _no_home


@only_root
@pytest.mark.parametrize("prepared", [False, True])
def test_read_only(stage: Stage, plain: dict[str, Run], small_disk: Path, prepared: bool) -> None:
    """On a file system that cannot be written the program does the same, and a line says that nothing is recorded."""
    if prepared:
        run(stage, "alone")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = run(stage)

    assert done.same_as(plain[""])
    assert done.said
    assert all(re.match("provtel: nothing is recorded: .*Read-only file system", line) for line in done.said)


@only_root
def test_full_from_the_start(stage: Stage, plain: dict[str, Run], small_disk: Path) -> None:
    """On a full disk the program does the same, and a line says that nothing is recorded."""
    fill(small_disk)
    done = run(stage)

    assert done.same_as(plain[""])
    assert done.said
    assert all(line.startswith("provtel: ") for line in done.said)


def fill(folder: Path) -> None:
    """Leave no room on a disk."""
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass


FILL = f"""
import os, sys, time
from pathlib import Path
from provtel import journal_folder
sys.path.insert(0, {str(ROOT)!r})
from tests.instrumentation.test_unharmed import fill
disk = Path(os.environ["PROVTEL_STORE"]).parent
if after == -1:
    journal_folder.SEGMENT_SIZE = 32768
if after == 0:
    fill(disk)
if after == 1:
    (disk / "filler").unlink()
    time.sleep(1.2)
"""


@only_root
def test_full_for_a_while(stage: Stage, plain: dict[str, Run], small_disk: Path) -> None:
    """A disk that is full in the second of three phases costs records of that phase only, and they are counted."""
    done = run(stage, "alone", BETWEEN=FILL)
    (journal,) = find_journals(small_disk / "store")
    counted = contents(journal)
    records = stage.records(small_disk / "store")
    drawn = Counter(record.used["number"] for record in records if record.name == "draw")
    complete = [number for number, times in drawn.items() if times == laboratory.PHASES]

    assert done.same_as(plain["alone"])
    assert len(done.said) == 1
    assert done.said[0].startswith("provtel: records are dropped")
    assert sorted(drawn) == list(range(laboratory.TASKS_OF_A_PHASE))
    assert min(drawn.values()) == laboratory.PHASES - 1
    assert 0 < len(complete) < laboratory.TASKS_OF_A_PHASE
    assert complete == list(range(len(complete)))
    assert counted.dropped >= laboratory.TASKS_OF_A_PHASE - len(complete)
    assert counted.dropped_because in done.said[0]
    assert [record.status.value for record in records if record.name == "whole"] == ["finished"]


DELETE = """
import os, shutil, time
shutil.rmtree(os.environ["PROVTEL_STORE"], ignore_errors=True)
if after == 0:
    time.sleep(1.2)
"""


def test_deleted_again_and_again(stage: Stage, plain: dict[str, Run]) -> None:
    """A store that is deleted after each phase costs what was in it; a second later all is recorded again."""
    done = run(stage, BETWEEN=DELETE)

    assert done.same_as(plain[""])
    assert done.said
    assert all(line.startswith("provtel: ") for line in done.said)


READ_ONLY = """
import os, subprocess, time
from provtel import journal_folder
disk = os.path.dirname(os.environ["PROVTEL_STORE"])
if after == -1:
    journal_folder.SEGMENT_SIZE = 32768
if after == 0:
    os.chmod(os.environ["PROVTEL_STORE"] + "/journal", 0)
    os.chown(os.environ["PROVTEL_STORE"] + "/journal", 12345, 12345)
"""


@only_root
def test_taken_over_by_somebody_else(stage: Stage, plain: dict[str, Run]) -> None:
    """A folder that is given to somebody else in the middle harms nobody; what lies open is written on."""
    done = run(stage, BETWEEN=READ_ONLY)

    assert done.same_as(plain[""])
    assert all(line.startswith("provtel: ") for line in done.said)


@pytest.mark.parametrize(
    "limit",
    ["RLIMIT_FSIZE, (1000, 1000)", "RLIMIT_NOFILE, (3, 3)"],
    ids=["size of files", "number of files"],
)
def test_limits_of_the_process(stage: Stage, limit: str) -> None:
    """Where the process may open no more files, or write none, it goes on without being recorded."""
    outcome = stage.run(
        f"""
        import resource
        from provtel import loop, task

        @task
        def step(x):
            return x

        resource.setrlimit(resource.{limit})
        print(sum(step(x) for x in loop(range(5))))
        """,
        quiet=False,
    )

    assert outcome.stdout == "10\n"
    assert outcome.stderr
    assert all(line.startswith("provtel: ") for line in outcome.stderr.splitlines())


def test_working_folder_that_is_gone(stage: Stage) -> None:
    """A program in a folder that was deleted, and with no store named, goes on without being recorded."""
    stage.environment["PROVTEL_STORE"] = ""
    outcome = stage.run(
        """
        import os, tempfile
        from provtel import task
        folder = tempfile.mkdtemp()
        os.chdir(folder)
        os.rmdir(folder)
        print(task(lambda x: x)(1))
        """,
        quiet=False,
    )

    assert outcome.stdout == "1\n"
    assert outcome.stderr.startswith("provtel: ")
    assert outcome.stderr.count("\n") == 1
