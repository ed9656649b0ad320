"""The demo's workflow, shipped to a collector: what is accepted, kept and exported is one and the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.processes import Place, collecting, wait
from tests.end_to_end.prov_json import ProvFile, relations_of
from tests.end_to_end.relay import relaying
from tests.house.project import ROOT

SWEEP = ROOT / "examples" / "digits_sweep.py"
TRIALS = 12
ONCE = ("load", "split", "choose", "examine", "write_report", "digits sweep")
STEPS: dict[tuple[str, int | None], str] = {
    **{(name, None): "finished" for name in ONCE},
    **{(name, trial): "finished" for name in ("train", "evaluate") for trial in range(TRIALS - 1)},
    ("train", TRIALS - 1): "error",
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a place of this test's own."""
    return Place(tmp_path)


def test_accepted_kept_and_exported_are_the_same(place: Place) -> None:
    """The spans accepted, the records kept, and the relations in the PROV file agree in number and identity."""
    with collecting(place) as collector:
        with relaying(collector.address) as relay:
            place.run(SWEEP, "--output", place.folder, "--trials", str(TRIALS), PROVTEL_ENDPOINT=relay.endpoint)
            wait(lambda: place.journals() == [], "acknowledgement of everything")
        assert collector.stop() == 0
    kept = place.activities()
    place.provtel("export", "--output", "run.json")
    exported = ProvFile(json.loads((place.folder / "run.json").read_text()))

    accepted = Counter(f"{span.trace_id.hex()}-{span.span_id.hex()}" for span in relay.spans())
    assert steps(kept) == STEPS
    assert accepted == Counter(record["id"] for record in kept)
    assert exported.activities() == accepted.keys()
    assert exported.relations("used") == relations_of(kept, "used")
    assert exported.relations("wasGeneratedBy") == relations_of(kept, "generated")
    assert len(relations_of(kept, "used")) == sum(len(record["used"]) for record in kept)


def test_killed_collector_changes_nothing(place: Place) -> None:
    """A collector that is killed while the workflow runs, and started again, ends up with the same activities."""
    with collecting(place) as collector:
        command = [sys.executable, str(SWEEP), "--output", str(place.folder), "--trials", str(TRIALS)]
        environment = place.environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
        with subprocess.Popen(command, env=environment, cwd=place.folder, stdout=subprocess.PIPE) as workflow:
            wait((place.folder / "model-03.joblib").exists, "the fourth model")
            assert workflow.poll() is None
            collector.kill()
            wait((place.folder / "model-07.joblib").exists, "the eighth model")
            collector.start()
            workflow.communicate()
            assert workflow.returncode == 0
        wait(lambda: place.journals() == [], "acknowledgement of everything")
        assert collector.stop() == 0

    assert steps(place.activities()) == STEPS


def steps(records: list[dict[str, Any]]) -> dict[tuple[str, int | None], str]:
    """Return the status of each step by its name and trial; none is there twice."""
    found = {(record["name"], record["used"].get("trial")): record["status"] for record in records}
    assert len(found) == len(records)
    return found
