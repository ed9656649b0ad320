"""``provtel collector``: what a person types, reads and gets as exit code."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.shell_completion import ShellComplete
from provtel_cli import configuration
from provtel_cli.main import main, provtel
from provtel_collector.registry import find_factories
from provtel_collector_config.ids import Kind
from provtel_collector_config.loading import load
from provtel_collector_config.presets import presets

BROKEN = """receivers:
  otlp:
    protocols:
      http: {endpont: x}
exporters:
  debgu:
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [debug]}
"""


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

    said = capsys.readouterr().err.splitlines()
    assert [re.sub(r"\(valid values: .*\)", "(...)", line) for line in said] == [
        "provtel: the configuration cannot be used",
        '  broken.yaml:4: receivers::otlp::protocols::http: has invalid keys: endpont (did you mean "endpoint"?)',
        '  broken.yaml:6: exporters: unknown type: "debgu" for id: "debgu" (...)',
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
    lmdb = {"kind": "exporter", "type": "lmdb", "stability": "alpha", "signals": ["logs", "metrics", "traces"]}
    assert {**lmdb, "shared": False, "package": "provtel"} in rows

    assert run(monkeypatch, "components") == 0
    table = capsys.readouterr().out
    assert all(row["type"] in table for row in rows)


def test_shared_components_are_those_of_the_other_collector(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], otelcol_binary: Path
) -> None:
    """What is said to be in the OpenTelemetry Collector too is; the one for tests is built without `routing`."""
    assert run(monkeypatch, "components", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    said = {(row["kind"], row["type"]) for row in rows if row["shared"]}
    listed = yaml.safe_load(subprocess.run([otelcol_binary, "components"], capture_output=True, check=True).stdout)
    theirs = {(kind.one, component["name"]) for kind in Kind for component in listed[kind]}
    older_names = {("exporter", "otlp"), ("exporter", "otlphttp")}

    assert said == theirs | older_names | {("connector", "routing")}


@pytest.mark.parametrize("arguments", [["--config", "preset:embedded"], ["validate", "--config", "x"], ["components"]])
def test_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """On a plain install the command says what to install."""
    found = importlib.util.find_spec
    monkeypatch.setattr(configuration, "find_spec", lambda name: None if name == "httptools" else found(name))

    assert run(monkeypatch, *arguments) == 1

    assert capsys.readouterr().err == 'provtel: a collector needs httptools; run: pip install "provtel[collector]"\n'


def test_help_tells_how_to_begin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The help names the preset to begin with, and the commands."""
    assert run(monkeypatch, "--help") == 0

    said = capsys.readouterr().out
    assert all(word in said for word in ("preset:embedded", "validate", "components", "print-config", "schema"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--config", "absent.yaml"], 1, "absent.yaml: cannot be read: No such file or directory"),
        (["--config", "."], 1, ".: cannot be read: Is a directory"),
        (["--config", "binary"], 1, "binary:2: this is no UTF-8"),
        (["--config", "yaml:" + "[" * 2000], 1, "nested deeper"),
        (["--config", "preset:none"], 1, "there is no preset"),
        (["--config", "preset:debug", "--set", "a"], 1, "--set a: missing equal sign"),
        (["--config", "preset:debug", "--set", "a..b=1"], 1, "--set a..b: there is an empty key in the path"),
        (["--config", "preset:debug", "--set", "exporters.debug=["], 1, "--set exporters.debug"),
        (["--confg", "x"], 2, "No such option"),
        (["validat"], 2, "No such command"),
        (["validate"], 2, "name a configuration"),
        (["print-config", "--config", "preset:debug", "--mode", "loud"], 2, "Invalid value for '--mode'"),
        (["components", "--config", "x"], 2, "No such option"),
    ],
)
def test_mistakes(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    """Each mistake ends the process with 1 or 2 and a line that says what it was; there is never a traceback."""
    (tmp_path / "binary").write_bytes(b"a: 1\nb: \xff\n")

    done = subprocess.run(
        [sys.executable, "-m", "provtel_cli.main", "collector", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_refusal_tells_what_is_not_set(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a variable that is not set may be the reason, the refusal says so."""
    monkeypatch.delenv("PROVTEL_COLLECTOR_UPSTREAM", raising=False)

    assert run(monkeypatch, "validate", "--config", "preset:edge") == 1

    assert capsys.readouterr().err.splitlines()[1:] == [
        '  environment variable "PROVTEL_COLLECTOR_UPSTREAM" is not set and has no default',
        "  preset:edge:23: exporters::otlp_http: at least one endpoint must be specified",
    ]


def test_set_counts_most(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that is set counts more than every file, and is refused by its own name."""
    arguments = ("--config", "preset:debug", "--set", "exporters.debug.verbosity=basic")
    assert run(monkeypatch, "print-config", *arguments, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["exporters"]["debug"]["verbosity"] == "basic"

    assert run(monkeypatch, "validate", "--config", "preset:debug", "--set", "exporters.debug.verbosity=loud") == 1
    assert capsys.readouterr().err.splitlines()[1] == (
        "  --set exporters.debug.verbosity: exporters::debug::verbosity: "
        'expected "basic", "normal", "detailed", "Basic", "Normal" or "Detailed", got "loud"'
    )


@pytest.mark.parametrize("name", presets())
def test_print_config_can_be_used(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What is printed of a preset with everything shown is a configuration, and the same one."""
    monkeypatch.setenv("PROVTEL_COLLECTOR_UPSTREAM", "http://localhost:1")
    assert run(monkeypatch, "print-config", "--config", f"preset:{name}", "--mode", "unredacted") == 0

    printed = tmp_path / "printed.yaml"
    printed.write_text(capsys.readouterr().out)

    assert load([str(printed)], find_factories()) == load([f"preset:{name}"], find_factories())


def test_print_config_of_what_does_not_fit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration whose parts do not fit together is printed only when nobody wants it checked."""
    arguments = ("print-config", "--config", "preset:debug", "--set", "service.pipelines.traces.exporters=[x]")
    assert run(monkeypatch, *arguments) == 1
    assert run(monkeypatch, *arguments, "--validate=false") == 0
    assert "exporters:\n      - x" in capsys.readouterr().out


def test_validate_makes_every_component(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What a component says only when it is made is told too."""
    more = "yaml:{exporters: {otlp_http: {endpoint: 'http://x:1', sending_queue: {storage: absent}}}}"
    used = ("--set", "service.pipelines.traces.exporters=[otlp_http]")

    assert run(monkeypatch, "validate", "--config", "preset:debug", "--config", more, *used) == 1

    assert capsys.readouterr().err.startswith("provtel: exporters::otlp_http::sending_queue::storage: no storage")


def test_schema(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The schema is printed for an editor to read."""
    assert run(monkeypatch, "schema") == 0

    assert "exporters" in json.loads(capsys.readouterr().out)["properties"]


def test_completion() -> None:
    """Tab completes presets, and leaves files to the shell."""
    complete = ShellComplete(provtel, {}, "provtel", "_PROVTEL_COMPLETE")

    def completed(incomplete: str) -> list[tuple[str, str]]:
        return [(item.value, item.type) for item in complete.get_completions(["collector", "--config"], incomplete)]

    assert completed("preset:e") == [(f"preset:{name}", "plain") for name in presets() if name.startswith("e")]
    assert completed("mine") == [("mine", "file")]
    assert ("preset:debug", "plain") in completed("")
    words = [item.value for item in complete.get_completions(["collector"], "")]
    assert {"validate", "components", "print-config", "schema"} <= set(words)
