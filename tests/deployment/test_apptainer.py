"""The recipe for Apptainer is one, and runs the collector."""

from __future__ import annotations

from typing import Any

import pytest
from provtel_cli.main import main
from spython.main.parse.parsers import SingularityParser

from tests.house.project import ROOT

FILE = ROOT / "deployment" / "apptainer" / "collector.def"
KNOWN = {"labels", "files", "post", "environment", "runscript", "startscript", "test", "help"}


def test_recipe_is_read() -> None:
    """A parser of such recipes finds the base image, what is installed, and what is run."""
    (recipe,) = parsed().values()

    assert recipe.fromHeader == "docker.io/library/python:3.13-slim"
    assert set(recipe.files) == {". /source"}
    assert any("pip install" in line for line in recipe.install)
    assert recipe.cmd == 'exec provtel collector "$@"'


def test_sections_are_known() -> None:
    """Every section is one that Apptainer has."""
    found = {line.split()[0][1:] for line in FILE.read_text().splitlines() if line.startswith("%")}

    assert found == KNOWN


def test_command_of_the_test_section(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the built image tests itself with succeeds."""
    (command,) = (line.split() for line in FILE.read_text().splitlines() if "collector validate" in line)
    monkeypatch.delenv("PROVTEL_STORE", raising=False)

    assert main(command[1:]) == 0


def parsed() -> dict[str, Any]:
    """Return the stages of the recipe."""
    recipe: dict[str, Any] = SingularityParser(str(FILE)).parse()
    return recipe
