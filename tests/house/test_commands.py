"""The commands that a person and continuous integration type."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.house.project import ROOT

TARGETS = [
    "help",
    "demo",
    "test",
    "test-long",
    "test-oldest",
    "test-newest",
    "bench",
    "bench-collector",
    "bench-query",
    "bench-store",
    "services",
    "fmt",
    "lint",
    "types",
    "docs",
    "clean",
]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as somebody would who is not inside another make."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [(), ("help",)])
def test_help_has_one_line_for_each_target(arguments: tuple[str, ...]) -> None:
    """`make` alone is `make help`, and that tells every target with what it does."""
    lines = make(*arguments).stdout.splitlines()

    assert [line.split()[:2] for line in lines] == [["make", target] for target in TARGETS]
    assert all(len(line.split()) > 3 for line in lines)


def test_every_target_is_known_to_make() -> None:
    """Each target that the help names can be planned by make."""
    done = make("--dry-run", *TARGETS)

    assert done.returncode == 0, done.stderr


def test_missing_python_is_told() -> None:
    """Where no Python is new enough, make says so and what to do."""
    done = make("PYTHON=", "VENV=/nonexistent/venv", "types")

    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr


def test_continuous_integration_runs_make_test() -> None:
    """`.ci/run` is a program, and what it runs is what a contributor runs."""
    script = ROOT / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()
