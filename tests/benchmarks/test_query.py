"""The benchmark of answers: that it still runs, and that its workflows have the lineages that it is about."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.query.workflows import mosaic, mosaic_datum, raw_datum, sweep
from tests.house.project import ROOT
from tests.query.stores import in_memory


def test_smallest_run_measures(tmp_path: Path) -> None:
    """A short run ends well, with a figure and a limit for a question, a page and one object."""
    page = tmp_path / "page.md"
    chosen = ["--question", "B4", "--tasks", "1", "--larger", "0", "--rounds", "1", "--page", str(page)]
    command = [sys.executable, "-m", "benchmarks.query", *chosen]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["questions"]["B4"]["size"] == 100
    assert result["questions"]["B4"]["seconds"] > 0
    assert "| tasks of a name, with a parameter, in some days |" in page.read_text()


@pytest.mark.parametrize("images", [4, 30])
def test_a_mosaic_is_the_lineage_of_its_picture(images: int) -> None:
    """Everything of a mosaic is upstream of its picture, and what a raw image reaches is downstream of it."""
    records = [*mosaic(1, images), *sweep(2, 10)]
    store = in_memory(records)
    tasks = [record for record in records if record["kind"] == "task" and "mosaic" in record["workflow_name"]]
    up = store.lineage(mosaic_datum(1, images))
    down = store.lineage(raw_datum(1, images), "downstream")

    assert {record.span_id for record in up.activities.values()} == {task["span_id"] for task in tasks}
    assert {record.name for record in down.activities.values()} == {task["name"] for task in tasks}
    assert len(down.activities) < len(tasks)
