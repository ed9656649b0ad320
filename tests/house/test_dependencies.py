"""The packages that provtel stands on."""

from __future__ import annotations

import re
from itertools import chain

from tests.house.project import ROOT, pyproject

NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def name_of(requirement: str) -> str:
    """Return the name of the package that a requirement asks for."""
    match = NAME.match(requirement)
    assert match, requirement
    return match.group()


def declared() -> dict[str, list[str]]:
    """Return section of the page -> packages, as pyproject.toml has them."""
    project = pyproject()["project"]
    extras = {f"`[{extra}]`": names for extra, names in project["optional-dependencies"].items() if extra != "all"}
    sections = {"Always installed": project["dependencies"], **extras}
    return {
        section: [name_of(requirement) for requirement in requirements if name_of(requirement) != "provtel"]
        for section, requirements in sections.items()
    }


def test_each_dependency_has_its_reason() -> None:
    """The page of dependencies has one line of reason for each package, under the extra that brings it."""
    page = (ROOT / "docs" / "dependencies.md").read_text()
    told = {
        section.split("\n", 1)[0]: re.findall(r"^\| `([^`]+)` \| \S.* \|$", section, re.MULTILINE)
        for section in page.split("\n## ")[1:]
    }

    assert told == declared()


def test_each_dependency_is_pinned_for_the_tests() -> None:
    """The constraints pin every package that pyproject.toml names, so that two test runs have the same."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {normal(line.split("==")[0]) for line in lines if "==" in line}

    assert {normal(name) for names in declared().values() for name in names} <= pinned


def test_requirements_are_ranges() -> None:
    """A library does not lock its user's packages: each requirement has an oldest version, and none is exact."""
    project = pyproject()["project"]

    for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
        assert requirement.startswith("provtel[") or (">=" in requirement and "==" not in requirement), requirement


def test_all_brings_every_extra_for_users() -> None:
    """`[all]` leaves out nothing but what is for the demo and for developers."""
    extras = pyproject()["project"]["optional-dependencies"]

    assert extras["all"] == [f"provtel[{','.join(sorted(extras.keys() - {'all', 'demo', 'dev'}))}]"]


def normal(name: str) -> str:
    """Return a package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
