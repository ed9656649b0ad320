"""The names by which the rooms find each other."""

from __future__ import annotations

import importlib.metadata

import pytest
from provtel_model.components import Factory

from tests.house.project import pyproject

PROJECT = pyproject()["project"]
DECLARED = sorted(
    (group, name, value) for group, names in PROJECT["entry-points"].items() for name, value in names.items()
)


@pytest.mark.parametrize(("group", "name", "value"), DECLARED)
def test_entry_point_leads_where_it_says(group: str, name: str, value: str) -> None:
    """Each name that a YAML file or a store's address may use is installed, once, and leads to what it names."""
    (found,) = importlib.metadata.entry_points(group=group, name=name)
    loaded = found.load()

    assert found.value == value
    assert loaded.type == name if isinstance(loaded, Factory) else callable(loaded)


def test_command_is_installed() -> None:
    """The `provtel` command leads to the command line's own room."""
    (found,) = importlib.metadata.entry_points(group="console_scripts", name="provtel")

    assert found.value == PROJECT["scripts"]["provtel"]
    assert callable(found.load())
