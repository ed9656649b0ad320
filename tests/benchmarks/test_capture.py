"""The benchmark of capture: that it still runs, and that it notices records that are not what was called."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks.capture import report, runner
from benchmarks.capture.losses import WAYS
from benchmarks.capture.peers import JOURNAL
from benchmarks.capture.peers.capture import Recorded, differences
from benchmarks.capture.runner import Rounds
from benchmarks.capture.workload import TWO
from tests.house.project import ROOT

SMALLEST = ["--peer", JOURNAL, "--case", TWO, "--rounds", "1", "--scale", "0.002", "--victims", "1"]
CALLED: list[Recorded] = [("two", (1, 1.5), 2.5), ("two", (2, 2.5), 4.5)]


def test_smallest_run_measures_everything_of_ours(tmp_path: Path) -> None:
    """A run of our peer alone ends well, with a page and one object of figures, and has lost nothing."""
    page = tmp_path / "page.md"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *SMALLEST, "--page", page],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    figures = result["cases"][TWO][JOURNAL]
    # These two are differences to calls without us, and so small a run may lose them in a busy machine's noise.
    assert all(math.isfinite(figures[figure]) for figure in ("caller_us", "cpu_us"))
    assert all(figures[figure] > 0 for figure in ("bytes", "query_us"))
    assert {way: toll["lost"] for way, toll in result["losses"][JOURNAL].items()} == {
        "SIGKILL": 0,
        "SIGTERM": 0,
        "fork": 0,
    }
    assert result["many"][JOURNAL]["tasks"] == 2000
    assert result["start"][JOURNAL]["import_ms"] > 0
    assert all(0 < row["percent"] < 100 for row in result["sampler"].values())
    assert result["machine"] in page.read_text()


@pytest.mark.parametrize(
    "found",
    [
        CALLED[:1],
        [*CALLED, CALLED[0]],
        [CALLED[0], ("two", (2, 2.0), 4.5)],
        [CALLED[0], ("two", (2, 2.5), None)],
        [CALLED[0], ("other", (2, 2.5), 4.5)],
    ],
    ids=["lost", "twice", "input", "output", "name"],
)
def test_records_that_differ_are_noticed(found: list[Recorded]) -> None:
    """A record that is missing, there twice, or not what was called is a difference; their order is none."""
    assert differences(CALLED, CALLED[::-1]) == ""
    assert "1 missing" in differences(CALLED, found) or "1 extra" in differences(CALLED, found)


def test_void_round_fails_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A round whose records differ counts for nothing, and the run ends with 1."""

    def differing(*_arguments: object) -> dict[str, Any]:
        return {"problem": "1 missing"}

    monkeypatch.setattr(runner, "run_child", differing)
    monkeypatch.setattr("benchmarks.capture.footprint.run_child", differing)
    monkeypatch.setattr(sys, "argv", ["benchmarks", *SMALLEST[:-1], "0"])

    assert command.main() == 1
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["void"][0] == f"{TWO}: provtel, journal: 1 missing"
    assert result["cases"] == {}


def test_ratio_is_taken_round_by_round() -> None:
    """A ratio compares what ran at the same time, and void rounds drop out of it."""
    ours, theirs = (TWO, "ours"), (TWO, "theirs")
    rounds = Rounds({ours: [_cpu(1), _cpu(10), _cpu(3), None], theirs: [_cpu(2), _cpu(20), None, _cpu(1)]})

    assert rounds.ratio("cpu_us", ours, theirs) == 0.5
    assert rounds.ratio("cpu_us", ours, (TWO, "nobody")) is None


def _cpu(value: float) -> dict[str, Any]:
    return {"cpu_us": value}


def test_victim_that_hung_is_shown() -> None:
    """What a hung victim did not lose because it did nothing is no merit: the table says that it hung."""
    sheet = next(
        sheet
        for sheet in report.sheets(
            {"cases": {}, "many": {}, "start": {}, "targets": [], "losses": {JOURNAL: dict.fromkeys(WAYS, _HUNG)}}
        )
    )

    assert sheet.rows == [("provtel, journal", *["200 of 200, 1 hung"] * len(WAYS))]


_HUNG = {"finished": 200, "lost": 200, "twice": 0, "hung": 1}
