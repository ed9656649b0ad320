"""``provtel collector``: what a person types, reads and gets as exit code."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from provtel_cli import collector as command
from provtel_cli.main import main

BROKEN = """receivers:
  otlp:
    protocols:
      grpc:
exporters:
  debgu:
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [debug]}
"""

NO_GRPC = "grpc is not available yet; name http, and send OTLP over HTTP (http/protobuf)"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command in this process, and return its exit code."""
    monkeypatch.setattr("sys.argv", ["provtel", "collector", *arguments])
    return main()


def test_valid(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration that can be used is answered with 0 and silence."""
    assert run(monkeypatch, "validate", "--config", "preset:embedded") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", [["validate", "--config"], ["--config"]])
def test_invalid(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str]
) -> None:
    """One that cannot be used is answered with 1, as otelcol does, and a line for each problem, run or not."""
    monkeypatch.chdir(tmp_path)
    Path("broken.yaml").write_text(BROKEN)

    assert run(monkeypatch, *arguments, "broken.yaml") == 1

    assert capsys.readouterr().err.splitlines() == [
        "provtel: the configuration cannot be used",
        f"  broken.yaml:3: receivers::otlp::protocols: {NO_GRPC}",
        '  broken.yaml:6: exporters: unknown type: "debgu" for id: "debgu" (valid values: [debug lmdb])',
        '  broken.yaml:9: service::pipelines::traces: references exporter "debug" which is not configured',
    ]


def test_warning(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What may surprise is told, and is no failure."""
    (tmp_path / "more.yaml").write_text("exporters: {debug: {verbosity: '${env:PROVTEL_TEST_UNSET}'}}")

    assert run(monkeypatch, "validate", "--config", "preset:debug", "--config", str(tmp_path / "more.yaml")) == 0

    assert 'environment variable "PROVTEL_TEST_UNSET" is not set and has no default' in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["validate"]])
def test_no_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Without a configuration the answer is 2, and how to begin."""
    assert run(monkeypatch, *arguments) == 2

    assert "--config preset:embedded" in capsys.readouterr().err


def test_components(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every component type is listed, for people and for programs."""
    assert run(monkeypatch, "components", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"kind": "exporter", "type": "lmdb", "stability": "alpha", "signals": ["logs", "traces"]} in rows

    assert run(monkeypatch, "components") == 0
    table = capsys.readouterr().out
    assert all(row["type"] in table for row in rows)


@pytest.mark.parametrize("arguments", [["--config", "preset:embedded"], ["validate", "--config", "x"], ["components"]])
def test_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """On a plain install the command says what to install."""
    found = importlib.util.find_spec
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "uvicorn" else found(name))

    assert run(monkeypatch, *arguments) == 1

    assert capsys.readouterr().err == 'provtel: a collector needs uvicorn; run: pip install "provtel[collector]"\n'


def test_help_tells_how_to_begin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The help names the preset to begin with, and the commands."""
    assert run(monkeypatch, "--help") == 0

    said = capsys.readouterr().out
    assert all(word in said for word in ("preset:embedded", "validate", "components"))
