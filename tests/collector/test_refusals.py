"""Files beside the OpenTelemetry Collector: both refuse the same and say where, and both take what both have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from provtel_cli.main import main

FOLDER = Path(__file__).parents[1] / "collector_config"
ROWS = yaml.safe_load((FOLDER / "broken.yaml").read_text())
SHARED = yaml.safe_load((FOLDER / "shared.yaml").read_text())


def test_enough_rules_are_broken() -> None:
    """There are more than forty rules, and each is broken once."""
    assert len({row["rule"] for row in ROWS}) == len({row["document"] for row in ROWS}) == len(ROWS) > 40


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["rule"])
def test_refused_by_both(
    row: dict[str, str],
    otelcol_binary: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same exit code, and the same place, from a program that somebody else wrote and from ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOP", "${env:LOOP}")
    Path("a.yaml").write_text(row["document"])

    theirs = subprocess.run(
        [otelcol_binary, "validate", "--config", "a.yaml"], capture_output=True, text=True, check=False
    )
    code = main(["collector", "validate", "--config", "a.yaml"])
    ours = capsys.readouterr().err

    assert theirs.returncode == code == 1
    for said in (theirs.stderr, ours):
        assert [name for name in row["names"] if name not in said] == [], said


@pytest.mark.parametrize("row", SHARED, ids=lambda row: row["of"])
def test_taken_by_both(
    row: dict[str, str], otelcol_binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys and forms that both have are taken by both."""
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(row["document"])

    theirs = subprocess.run([otelcol_binary, "validate", "--config", "a.yaml"], capture_output=True, check=False)

    assert (theirs.returncode, main(["collector", "validate", "--config", "a.yaml"])) == (0, 0)
