"""`provtel diff`: what people and programs see of two runs, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import fill
from tests.query.activities import id_of
from tests.query.test_difference import OTHER, sweep

if TYPE_CHECKING:
    from pathlib import Path

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
