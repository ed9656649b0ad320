"""The rooms: which there are, and that they meet only in the model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.project import ROOMS, ROOT, pyproject, python_files

LINE_LIMIT = 600
WALLS = {
    room: [package for other, (package, _) in ROOMS.items() if other not in {room, *allowed}]
    for room, (_, allowed) in ROOMS.items()
    if room != "cli"
}


def test_every_folder_with_a_package_is_a_room() -> None:
    """No folder on disk holds a package that the list of rooms does not know."""
    on_disk = {
        (init.parts[-3], init.parts[-2])
        for init in ROOT.glob("[!.]*/*/__init__.py")
        if init.parts[-2].startswith("provtel")
    }

    assert {(room, package) for room, (package, _) in ROOMS.items()} == on_disk


def test_build_and_import_linter_know_every_room() -> None:
    """The wheel, the editable install, mypy and import-linter name the same rooms."""
    tool = pyproject()["tool"]

    assert [f"{room}/{package}" for room, (package, _) in ROOMS.items()] == tool["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]
    assert list(ROOMS) == tool["hatch"]["build"]["dev-mode-dirs"]
    assert ["$MYPY_CONFIG_FILE_DIR", *ROOMS] == tool["mypy"]["mypy_path"].split(":")
    assert [package for package, _ in ROOMS.values()] == tool["importlinter"]["root_packages"]


def test_contracts_forbid_all_that_is_not_allowed() -> None:
    """Each room but the command line has a contract, and it names every room that it may not import."""
    contracts = {
        contract["id"]: (contract["source_modules"], set(contract["forbidden_modules"]))
        for contract in pyproject()["tool"]["importlinter"]["contracts"]
    }

    assert {room: ([ROOMS[room][0]], set(forbidden)) for room, forbidden in WALLS.items()} == contracts


@pytest.mark.parametrize("room", WALLS)
@pytest.mark.parametrize("inside_function", [False, True], ids=["module", "function"])
def test_planted_imports_break_the_contract(tmp_path: Path, room: str, *, inside_function: bool) -> None:
    """Every import through a wall fails the run, also where a function hides it."""
    bare_rooms(tmp_path)
    package, _ = ROOMS[room]
    for forbidden in WALLS[room]:
        body = f"import {forbidden}\n"
        planted = tmp_path / room / package / f"plants_{forbidden}.py"
        planted.write_text(f"def function():\n    {body}" if inside_function else body)

    done = lint_imports(tmp_path)

    assert done.returncode == 1, done.stdout
    assert "1 broken" in done.stdout
    report = " ".join(done.stdout.split())
    seen = [forbidden for forbidden in WALLS[room] if f"{package}.plants_{forbidden} -> {forbidden}" in report]
    assert WALLS[room] == seen


def test_allowed_imports_keep_the_contracts(tmp_path: Path) -> None:
    """What the table allows passes, so that a broken contract above is the planted import's doing."""
    bare_rooms(tmp_path)
    for room, (package, allowed) in ROOMS.items():
        lines = [f"import {ROOMS[other][0]}\n" for other in allowed]
        (tmp_path / room / package / "planted.py").write_text("".join(lines))

    done = lint_imports(tmp_path)

    assert done.returncode == 0, done.stdout


def test_contracts_hold() -> None:
    """The tree as it is keeps every contract."""
    done = lint_imports(ROOT)

    assert done.returncode == 0, done.stdout


def test_no_file_is_too_long(tmp_path: Path) -> None:
    """No Python file has more than 600 lines, and the rule sees one that has."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "long.py").write_text("\n" * (LINE_LIMIT + 1))

    assert [tmp_path / "model" / "long.py"] == too_long(tmp_path)
    assert too_long(ROOT) == []


def test_no_junk_drawer() -> None:
    """No file or folder is named for holding anything."""
    drawers = {"utils", "util", "commons", "common", "helpers", "misc"}

    assert [file for file in python_files() if drawers & {*file.relative_to(ROOT).parts, file.stem}] == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_what_it_is_for(room: str) -> None:
    """Each room has a README that begins with its name, and ships its types."""
    readme = (ROOT / room / "README.md").read_text()

    assert readme.startswith(f"# {room}\n")
    assert (ROOT / room / ROOMS[room][0] / "py.typed").exists()


def bare_rooms(folder: Path) -> None:
    """Lay out empty rooms under the project's own contracts."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    for room, (package, _) in ROOMS.items():
        (folder / room / package).mkdir(parents=True)
        (folder / room / package / "__init__.py").touch()


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of the rooms in a folder."""
    paths = os.pathsep.join(str(folder / room) for room in ROOMS)
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def too_long(root: Path) -> list[Path]:
    """Return the Python files that have more than 600 lines."""
    return [file for file in python_files(root) if file.read_text().count("\n") > LINE_LIMIT]
