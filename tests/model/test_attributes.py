"""The vocabulary: one registry, mirrored by constants, spelled nowhere else."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from provtel_model import attributes

ROOT = Path(__file__).parents[2]
REGISTRY: list[dict[str, Any]] = yaml.safe_load((files("provtel_model") / "attributes.yaml").read_text())
CONSTANTS = {
    value for name, value in vars(attributes).items() if name.isupper() and name not in {"SCOPE_NAME", "TASK_PREFIX"}
}


def test_registry_and_constants_are_equal() -> None:
    """Every entry of the registry has a constant, and every constant an entry."""
    names = [entry["name"] for entry in REGISTRY]

    assert sorted(names) == sorted(CONSTANTS)
    assert len(names) == len(set(names))


def test_every_entry_says_what_a_reader_needs() -> None:
    """Name, type, place, source and meaning are there; a number that has a unit says it."""
    for entry in REGISTRY:
        assert set(entry) - {"unit"} == {"name", "type", "place", "source", "brief"}, entry["name"]
        assert entry["place"] in {"span", "resource", "link", "log", "event", "metric"}
        assert entry["brief"].endswith(".")


def test_constants_are_named_after_what_they_hold() -> None:
    """A constant is the attribute's name in capitals; an event's has its own prefix."""
    for name, value in vars(attributes).items():
        if name.isupper() and value in CONSTANTS and not name.startswith("EVENT_") and name != "EXCEPTION_EVENT":
            assert name == re.sub(r"[.]", "_", value).upper()


def test_names_are_spelled_in_one_module_only() -> None:
    """No other module of ours spells an attribute name as a literal."""
    spelled = re.compile("|".join(rf"""["']{re.escape(name)}["']""" for name in CONSTANTS if "." in name))
    modules = [
        module
        for package in ROOT.glob("*/provtel*")
        for module in package.rglob("*.py")
        if module.name != "attributes.py"
    ]
    offences = [
        f"{module.relative_to(ROOT)}: {match.group()}"
        for module in modules
        for match in spelled.finditer(module.read_text())
    ]

    assert modules
    assert offences == []
