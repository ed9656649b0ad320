"""What a run of the tests does where a service cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEST = "tests/services/test_otelcol.py::test_span_of_the_stock_sdk_arrives"


def run_without_otelcol(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a test that needs otelcol where there is neither one nor a go to build it."""
    kept = {name: value for name, value in os.environ.items() if name not in {"CI", "PROVTEL_TEST_OTELCOL"}}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", TEST],
        cwd=ROOT,
        env={**kept, "PATH": str(folder), "XDG_CACHE_HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_contributor_is_told_what_was_left_out(tmp_path: Path) -> None:
    """On a contributor's machine the run ends with the missing service and the tests left out."""
    done = run_without_otelcol(tmp_path)

    assert done.returncode == 0, done.stdout
    assert "otelcol: missing: no otelcol on PATH" in done.stdout
    assert f"LEFT OUT {TEST}" in done.stdout
    assert "1 skipped" in done.stdout.splitlines()[-1]


def test_continuous_integration_fails(tmp_path: Path) -> None:
    """With CI=true a missing service is a failure."""
    done = run_without_otelcol(tmp_path, CI="true")

    assert done.returncode == 1, done.stdout
    assert "otelcol is missing" in done.stdout
