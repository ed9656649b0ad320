"""What a user gets: the wheel, installed without extras where there are no sources."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.house.project import ROOMS, ROOT, pyproject


@dataclass(frozen=True)
class Installed:
    """A plain install of the wheel in an environment of its own.

    Attributes:
        bin: The folder of its programs.
        folder: An empty folder outside the checkout, where they run.
    """

    bin: Path
    folder: Path

    def run(self, program: str, *arguments: str) -> str:
        """Return what a program prints, and fail where it fails."""
        foreign = ("PROVTEL", "OTEL", "PYTHON")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        done = subprocess.run(
            [self.bin / program, *arguments],
            cwd=self.folder,
            env={**environment, "HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder / "state")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{program} {arguments} says:\n{done.stdout}{done.stderr}"
        return done.stdout


@dataclass(frozen=True)
class Built:
    """What a build made.

    Attributes:
        file: The one file that it made.
        said: What it told.
    """

    file: Path
    said: str


def build(folder: Path, target: str = "wheel", **environment: str) -> Built:
    """Build into an empty folder."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder],
        cwd=ROOT,
        env={**os.environ, "PROVTEL_PURE_PYTHON": "", **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    (file,) = folder.iterdir()
    return Built(file, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel once."""
    return build(tmp_path_factory.mktemp("wheel")).file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel without extras in an empty environment."""
    folder = tmp_path_factory.mktemp("plain")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "venv" / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel], check=True)
    (folder / "work").mkdir()
    return Installed(folder / "venv" / "bin", folder / "work")


def test_wheel_holds_the_rooms_and_nothing_else(wheel: Path) -> None:
    """Every file of every package is in the wheel, data and type marks too, and no test is."""
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith(".so")}

    assert inside == {
        str(file.relative_to(ROOT / room))
        for room, (package, _) in ROOMS.items()
        for file in (ROOT / room / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix not in {".c", ".h", ".so", ".new"}
    }


def test_wheel_holds_every_compiled_module(wheel: Path, installed: Installed) -> None:
    """Where there is a compiler, each C source is a module in the wheel, which is one of this platform, and loads."""
    names = c_modules()
    code = "import sys; from provtel_model.compiled import load; print([n for n in sys.argv[1:] if load(n) is None])"
    missing = installed.run("python", "-c", code, *names)

    assert modules_in(wheel) == (names if compiler() else [])
    assert wheel.name.endswith("-py3-none-any.whl") is not compiler()
    assert missing == ("[]\n" if compiler() else f"{names}\n")


@pytest.mark.parametrize("environment", [{"CC": "/no/such/compiler"}, {"PROVTEL_PURE_PYTHON": "1"}])
def test_wheel_is_pure_without_a_compiler(tmp_path: Path, environment: dict[str, str]) -> None:
    """Without a compiler the build succeeds and says in one line for each module what that costs; so when told to."""
    built = build(tmp_path, **environment)
    told = [line for line in built.said.splitlines() if "not compiled" in line]

    assert built.file.name.endswith("-py3-none-any.whl")
    assert modules_in(built.file) == []
    assert len(told) == (len(c_modules()) if "CC" in environment else 0)


def test_source_distribution_holds_what_is_compiled(tmp_path: Path) -> None:
    """What is built from the source distribution has the C modules too: their sources and what builds them are in."""
    with tarfile.open(build(tmp_path, "sdist").file) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}

    c_files = {str(file.relative_to(ROOT)) for room in ROOMS for file in (ROOT / room).rglob("*.[ch]")}
    assert {"hatch_build.py", *c_files} <= inside
    assert not [name for name in inside if name.endswith(".so")]


def test_plain_install_brings_no_extra(installed: Installed) -> None:
    """None of the extras' packages can be imported, so that what follows runs without them."""
    code = (
        "import importlib.util, json, sys; print(json.dumps([n for n in sys.argv[1:] if importlib.util.find_spec(n)]))"
    )

    assert json.loads(installed.run("python", "-c", code, *extra_imports())) == []


def test_every_room_is_importable_without_extras(installed: Installed) -> None:
    """A plain install imports every package, and from the environment, not from a checkout."""
    code = "import importlib, sys; [print(importlib.import_module(n).__file__) for n in sys.argv[1:]]"
    places = installed.run("python", "-c", code, *(package for package, _ in ROOMS.values())).split()

    assert len(places) == len(ROOMS)
    assert all(Path(place).is_relative_to(installed.bin.parent) for place in places)


def test_quickstart_runs_without_extras(installed: Installed) -> None:
    """The quickstart, run twice, prints its result, and `provtel tasks` shows the two tasks of the last run."""
    shutil.copy(ROOT / "examples" / "quickstart.py", installed.folder)

    printed = [installed.run("python", "quickstart.py") for _ in range(2)]
    tasks = [json.loads(line) for line in installed.run("provtel", "tasks", "--json").splitlines()]

    assert all("Final output 8" in text.splitlines() for text in printed)
    assert sorted((data(task) for task in tasks), key=str) == [({"i1": 3}, {"o1": 4}), ({"o1": 4}, {"o2": 8})]
    assert {task["status"] for task in tasks} == {"finished"}
    assert len({task["workflow_id"] for task in tasks}) == 1


def c_modules() -> list[str]:
    """Return the full names of the modules that have a source in C, sorted."""
    sources = [file.relative_to(ROOT / room) for room in ROOMS for file in (ROOT / room).rglob("*.c")]
    return sorted(".".join(source.with_suffix("").parts) for source in sources)


def modules_in(wheel: Path) -> list[str]:
    """Return the full names of the compiled modules in a wheel, sorted."""
    with zipfile.ZipFile(wheel) as archive:
        return sorted(name.partition(".")[0].replace("/", ".") for name in archive.namelist() if name.endswith(".so"))


def compiler() -> bool:
    """Say whether modules can be compiled here."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or ""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    return bool(command) and shutil.which(command.split()[0]) is not None and headers.exists()


def data(task: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a task used and generated."""
    return task["used"], task["generated"]


def extra_imports() -> list[str]:
    """Return the import names of what the extras for users bring, as this environment has them."""
    extras = pyproject()["project"]["optional-dependencies"]
    names = {
        re.split(r"[^\w.-]", requirement)[0].lower()
        for extra in extras.keys() - {"all", "dev"}
        for requirement in extras[extra]
    } - {"provtel"}
    found = {
        module: {distribution.lower() for distribution in distributions}
        for module, distributions in importlib.metadata.packages_distributions().items()
    }
    assert names <= set().union(*found.values())
    return [module for module, distributions in found.items() if distributions & names and not module.startswith("_")]
