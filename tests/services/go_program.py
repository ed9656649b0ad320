"""Programs in Go that tests need, built once from the modules that a recipe names."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.services.found import Found, MissingServiceError, cache_folder

SOURCES = ("go.mod", "go.sum", "main.go")


def built(name: str, recipe: Path) -> Found:
    """Return the program of a recipe, built now or before.

    Args:
        name: What to call it.
        recipe: The folder of its sources.

    Raises:
        MissingServiceError: There is nothing to build it with, or it cannot be built.
    """
    binary = cache_folder() / f"{name}-{_recipe_hash(recipe)}"
    where = f"tests/services/{recipe.name}"
    if binary.exists():
        return Found(name, binary, f"built before from {where}")
    if not shutil.which("go"):
        raise MissingServiceError(f"no {name} on PATH and no go to build one: install either")
    _build(name, recipe, binary)
    return Found(name, binary, f"built from {where}")


def _recipe_hash(recipe: Path) -> str:
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((recipe / name).read_bytes())
    return digest.hexdigest()[:16]


def _build(name: str, recipe: Path, binary: Path) -> None:
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as folder:
        fresh = Path(folder) / name
        command = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(fresh), "."]
        done = subprocess.run(command, cwd=recipe, capture_output=True, text=True, check=False)
        if done.returncode:
            message = f"{name} cannot be built: {' '.join(command)} in {recipe} says:\n{done.stderr[-2000:]}"
            raise MissingServiceError(message)
        fresh.replace(binary)  # in one step, because two test runs may build at once
