"""`provtel status`: what the journals of real processes hold, counted without touching them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from provtel_model.journal import drain_journal, find_journals

from tests.end_to_end.processes import Place

STEPS = """
import os, sys
from provtel import task

@task
def step(number):
    return number

for number in range(int(sys.argv[1])):
    step(number)
if sys.argv[2:]:
    with task("open"):
        os.kill(os.getpid(), int(sys.argv[2]))
"""
EMPTY = {"started": 0, "ended": 0, "open": 0, "acknowledged": 0, "pending": 0, "dropped": 0, "nbytes": 0}


def _place(folder: Path) -> Place:
    (folder / "program.py").write_text(STEPS)
    return Place(folder)


def test_dead_processes(tmp_path: Path) -> None:
    """Each process has a line with what started, ended and is open, and all of them a total; nothing is brought in."""
    place = _place(tmp_path)
    place.run("program.py", "3")
    place.run("program.py", "4", str(signal.SIGKILL.value), expected=-signal.SIGKILL, PROVTEL_ENDPOINT="http://a:1")
    (found,), again = place.objects("status"), place.objects("status")
    shown = place.provtel("status")

    by_goal = {journal["goes_to"]: journal for journal in found["journals"]}
    ended, killed = by_goal[str(place.store)], by_goal["http://a:1"]
    assert [ended[name] for name in ("started", "ended", "open", "acknowledged", "pending")] == [3, 3, 0, 0, 3]
    assert [killed[name] for name in ("started", "ended", "open", "acknowledged", "pending")] == [5, 4, 1, 0, 5]
    assert (found["in_journals"]["started"], found["in_journals"]["pending"]) == (8, 8)
    assert [found] == again
    assert len(place.journals()) == 2
    assert f"process {killed['pid']}" in shown
    assert "total" in shown


def test_acknowledged(tmp_path: Path) -> None:
    """What a sink took and the journal still has is acknowledged; the rest is pending, and what is open always is."""
    place = _place(tmp_path)
    program = "import sys; sys.argv = ['', '5']\n" + STEPS + "with task('open'): print('begun', flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=place.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        (journal,) = find_journals(place.store)
        drain_journal(journal, lambda _batch: None)
        (found,) = place.objects("status")
        process.kill()

    (shown,) = found["journals"]
    assert (shown["running"], shown["pid"]) == (True, process.pid)
    assert [shown[name] for name in ("started", "ended", "open", "acknowledged", "pending")] == [6, 5, 1, 5, 1]


def test_dropped(tmp_path: Path) -> None:
    """What could not be written is counted in the journal, so that it is known when its process is gone, and why."""
    place = _place(tmp_path)
    place.run("program.py", "2000", PROVTEL_MAX_JOURNAL_SIZE="100KB")
    (found,) = place.objects("status")

    (journal,) = found["journals"]
    assert journal["dropped"] > 500
    assert journal["ended"] + journal["dropped"] == 2000
    assert "have reached their limit of 100000 bytes" in journal["dropped_because"]
    assert found["in_journals"]["dropped"] == journal["dropped"]


def test_nothing_waits(tmp_path: Path) -> None:
    """Where no journal is, the totals are 0."""
    place = _place(tmp_path)
    place.run("program.py", "1")
    place.provtel("tasks")
    (found,) = place.objects("status")

    assert (found["records"], found["journals"], found["in_journals"]) == (1, [], EMPTY)
    assert "nothing waits to be brought in" in place.provtel("status")


def test_journal_that_cannot_be_read(tmp_path: Path) -> None:
    """A journal that is damaged is told as one, and harms no other."""
    place = _place(tmp_path)
    place.run("program.py", "3")
    place.run("program.py", "2")
    next(find_journals(place.store)[0].glob("*.seg")).write_bytes(b"not a segment")
    (found,) = place.objects("status")

    assert sorted("pid" in journal for journal in found["journals"]) == [False, True]
    assert found["in_journals"]["started"] in {2, 3}
    assert "no segment of a provtel journal" in place.provtel("status")
