"""What the project's own files say of it, read once for the tests of the house."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# Room -> package, and the rooms that it may import beside itself; the command line sees them all.
ROOMS = {
    "model": ("provtel_model", ()),
    "instrumentation": ("provtel", ("model",)),
    "collector_config": ("provtel_collector_config", ("model",)),
    "collector": ("provtel_collector", ("model", "collector_config")),
    "exporters": ("provtel_exporters", ("model",)),
    "query": ("provtel_query", ("model",)),
    "cli": ("provtel_cli", ("model", "instrumentation", "collector_config", "collector", "exporters", "query")),
}
OTHER_FOLDERS = ("tests", "benchmarks", "deployment", "examples", "docs")


def pyproject() -> dict[str, Any]:
    """Return what pyproject.toml holds."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def python_files(root: Path = ROOT) -> list[Path]:
    """Return every Python file of the rooms and of the folders beside them."""
    return [file for folder in (*ROOMS, *OTHER_FOLDERS) for file in sorted((root / folder).rglob("*.py"))]
