"""`provtel diff`: what people and programs see of two runs, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from provtel_exporters.lmdb import LmdbWriter
from provtel_model.attributes import (
    EVENT_PYTHON_ENVIRONMENT,
    PROVTEL_PYTHON_DISTRIBUTIONS,
    PROVTEL_PYTHON_ENVIRONMENT_HASH,
)
from provtel_model.store_folder import LMDB_FOLDER

from tests.cli.conftest import fill
from tests.query.activities import id_of
from tests.query.test_difference import OTHER, sweep

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_model.anyvalue import AnyValue

    from tests.cli.conftest import Ask

CHANGED = {3: {"used": {"rate": 0.15, "data": "x"}, "generated": {"score": 0.25}, "telemetry": {"cpu.user": 3.0}}}


@pytest.fixture
def runs(folder: Path) -> tuple[str, str]:
    """Keep two runs that differ, and return their ids."""
    fill(folder / ".provtel", [*sweep("aa" * 16), *sweep(OTHER, CHANGED)])
    return id_of(1), id_of(1, OTHER)


def test_for_people(ask: Ask, runs: tuple[str, str]) -> None:
    """The first line of the table is where the runs diverged; figures have their difference, costs their ratio."""
    answer = ask("diff", *runs)
    lines = [line for line in answer.out.splitlines() if "train" in line]

    assert answer.code == 1
    assert "input" in lines[0]
    assert "0.15 (+0.05)" in lines[1]
    assert any("1.67x" in line for line in lines)
    assert "6 activities are the same step in both, 5 of them without a difference" in answer.err


def test_for_programs(ask: Ask, runs: tuple[str, str]) -> None:
    """With --json each difference is an object; --causes leaves out what others explain."""
    every = [found for found in ask("diff", *runs, "--json").objects if found["what"] in {"input", "output"}]
    causes = [found for found in ask("diff", *runs, "--json", "--causes").objects if found["what"] != "cost"]

    assert [(found["key"], bool(found["caused_by"])) for found in every] == [
        ("data", False),
        ("rate", False),
        ("score", True),
    ]
    assert [found["key"] for found in causes] == ["data", "rate"]


def test_the_same_run(ask: Ask, runs: tuple[str, str]) -> None:
    """A run does not differ from itself, and a run that there is not is an error."""
    assert ask("diff", runs[0], runs[0]).code == 0
    answer = ask("diff", runs[0], "nothing")
    assert answer.code == 1
    assert "no run 'nothing'" in answer.err


def test_packages(ask: Ask, folder: Path) -> None:
    """Versions of packages that are not the same are told to people and to programs."""
    hashes = ("one", "two")
    records = [*sweep("aa" * 16), *sweep(OTHER)]
    for record in records:
        record["resource"][PROVTEL_PYTHON_ENVIRONMENT_HASH] = hashes[record["trace_id"] == OTHER]
    fill(folder / ".provtel", records)
    writer = LmdbWriter(folder / ".provtel" / LMDB_FOLDER)
    for digest, version in zip(hashes, ("1.9.0", "1.26.4"), strict=True):
        says: dict[str, AnyValue] = {
            PROVTEL_PYTHON_ENVIRONMENT_HASH: digest,
            PROVTEL_PYTHON_DISTRIBUTIONS: [f"numpy=={version}", "six==1"],
        }
        writer.write_logs([{"time": 1, "name": EVENT_PYTHON_ENVIRONMENT, "attributes": says}])
    writer.close()
    both = (id_of(1), id_of(1, OTHER))

    told = [found for found in ask("diff", *both, "--json").objects if found["what"] == "package"]
    assert told == [{"what": "package", "key": "numpy", "before": ["1.9.0"], "after": ["1.26.4"]}]
    assert any({"numpy", "1.9.0", "1.26.4"} <= {*line.split()} for line in ask("diff", *both).out.splitlines())
