"""The room's README names every module of the room."""

from __future__ import annotations

import re

from tests.house.project import ROOT


def test_readme_names_every_module() -> None:
    """A reader finds each file of the package in its map, and no file that is not there."""
    room = ROOT / "instrumentation"
    named = re.findall(r"`(?:\w+/)*(\w+\.py)`", (room / "README.md").read_text())

    modules = (path.name for path in (room / "provtel").rglob("*.py"))
    assert sorted(named) == sorted(name for name in modules if name != "__init__.py")
