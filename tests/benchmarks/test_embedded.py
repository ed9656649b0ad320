"""The benchmark of a large store: that it still runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.backends.embedded import GOALS
from tests.house.project import ROOT


def test_smallest_run_measures(tmp_path: Path) -> None:
    """A short run ends well, with a figure for every goal, a page and one object."""
    page = tmp_path / "page.md"
    chosen = ["--tasks", "600", "--rounds", "1", "--page", str(page)]
    command = [sys.executable, "-m", "benchmarks.backends.embedded", *chosen]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    figures = result["figures"]
    left_out = {"collector"} - figures.keys()
    assert figures.keys() | left_out == GOALS.keys()
    assert all(figure > 0 for figure in figures.values())
    assert all(GOALS[name].title in page.read_text() for name in figures)
    assert ("left out" in result["sentence"]) == bool(left_out)
    assert result["sentence"] in page.read_text()
