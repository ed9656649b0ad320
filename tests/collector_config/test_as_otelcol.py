"""What a document means is what the OpenTelemetry Collector takes it to mean: both read the same, side by side."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from provtel_collector_config.ids import ComponentId
from provtel_collector_config.problems import InvalidConfigurationError
from provtel_collector_config.sources import Sources
from provtel_collector_config.substitution import substitute

VARIABLES = {
    "TEXT": "q",
    "NUMBER": "123",
    "QUOTED": '"5"',
    "COMMENT": "abc # comment",
    "MAP": "{a: 1, b: '${env:TEXT}'}",
    "LIST": "[a, b]",
    "EMPTY": "",
    "NAME": "NUMBER",
    "OTHER": "${env:TEXT}",
    "DOLLARS": "a$$b",
    "BROKEN": "[a",
    "INTO": "a: ${env:INJECTED}",
    "INJECTED": "x\nc: y",
    "OCTAL": "0123",
    "YES": "yes",
    "TRUE": "true",
    "FRACTION": "1.50",
    "LINE": "abc\n",
    "TILDE": "~",
    "TIME": "12:30",
    "UNDERSCORE": "1_000",
    "INDIRECT": "${env:NUMBER}",
}
FILES = {"text": "hunter2\n", "number": "42\n", "map": "a: 1\nb: ${env:TEXT}\n", "broken": "[a\n", "empty": ""}
VALUES: list[Any] = [
    "${env:TEXT}",
    "${TEXT}",
    "$TEXT",
    "a${env:TEXT}b${TEXT}",
    "${env:UNSET}",
    *(f"${{env:{name}}}" for name in VARIABLES),
    *(f"x${{env:{name}}}y" for name in VARIABLES if name != "INTO"),
    "${env:EMPTY:-other}",
    "${env:${env:NAME}}",
    "${env:UNSET:-5}",
    "${env:UNSET:-5}z",
    "${env:UNSET:-}",
    "${env:UNSET:-a:-b}",
    "${env:UNSET:-${env:TEXT}}",
    "${env:UNSET:-${file:number}}",
    "$$",
    "$$TEXT",
    "$${env:TEXT}",
    "$$${env:TEXT}",
    "$$$${env:TEXT}",
    "${env:TEXT",
    "a}${env:TEXT}}",
    {"k${env:TEXT}": ["${env:TEXT}", 5, None]},
    *(f"${{file:{name}}}" for name in FILES),
    *(f"x${{file:{name}}}y" for name in FILES),
    "${file:${env:UNSET:-number}}",
    "${yaml:5}",
    "${yaml:a: 1}",
    "${yaml:a::b: 1}",
    "${yaml:[1, ${env:TEXT}]}",
    "${yaml:}",
    "x${yaml:5}",
    "${yaml:5:-6}",
    "${yaml:[a}",
    "${yaml:'q'}",
]
REFUSED = [
    "${env:1x}",
    "${}",
    "${http://x}",
    "${file:absent}",
    "${ env:TEXT }",
    "${env: TEXT}",
    "${env:}",
    "${TEXT:-x}",
    "${a:b}",
]
BASE = """
receivers: {otlp: {protocols: {http: , grpc: }}}
processors: {batch: {timeout: 1s, send_batch_size: 5}}
exporters: {debug: {verbosity: basic}, debug/2: }
service: {pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [debug]}}}
"""
TIMEOUT = ("processors", "batch", "timeout")
SIZE = ("processors", "batch", "send_batch_size")
LOUD = ("exporters", "debug", "verbosity")
OUT = ("service", "pipelines", "traces", "exporters")
SAID = [
    (["--set", "processors.batch.timeout=2s"], TIMEOUT),
    (["--set", "processors::batch::timeout=3s"], TIMEOUT),
    (["--set", "processors.batch={timeout: 4s}"], SIZE),
    (["--set", "processors.batch={timeout: 5s}"], TIMEOUT),
    (["--set", "processors.batch.timeout=${env:UNSET:-7s}"], TIMEOUT),
    (["--set", " processors.batch.timeout = 8s"], TIMEOUT),
    (["--set", "service.pipelines.traces.exporters=[debug/2]"], OUT),
    (["--set", "processors.batch.timeout=1s", "--set", "processors.batch.timeout=9s"], TIMEOUT),
    (["--set", "exporters.debug.verbosity=detailed", "--config", "yaml:exporters::debug::verbosity: normal"], LOUD),
    (["--config", "yaml:exporters::debug::verbosity: detailed"], LOUD),
    (["--config", "env:DOCUMENT"], LOUD),
    (["--config", "env:UNSET"], TIMEOUT),
    (["--config", "file:mine.yaml"], LOUD),
    (["--config", "mine.yaml", "--config", "yaml:exporters::debug:"], OUT),
]


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with the files."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    Path("base.yaml").write_text(BASE)
    Path("mine.yaml").write_text("exporters: {debug: {verbosity: normal}}")


def resolved(otelcol: Path, *arguments: str) -> Any:
    """Return the configuration that the OpenTelemetry Collector reads."""
    done = subprocess.run(
        [otelcol, "print-config", "--validate=false", "--mode=unredacted", *arguments],
        env={**os.environ, **VARIABLES, "DOCUMENT": "exporters: {debug: {verbosity: detailed}}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(done.stderr)
    return yaml.safe_load(done.stdout)


def document(values: Sequence[Any]) -> str:
    """Return a document that has values where any kind of value may be."""
    actions = [{"key": "k", "action": "insert", "value": value} for value in values]
    return json.dumps({**yaml.safe_load(BASE), "processors": {"attributes": {"actions": actions}, "batch": None}})


def test_values(otelcol_binary: Path) -> None:
    """Every reference stands for the same, as a whole value and inside a text, from the environment, files and YAML."""
    Path("values.yaml").write_text(document(VALUES))

    actions = resolved(otelcol_binary, "--config", "values.yaml")["processors"]["attributes"]["actions"]

    theirs = [action.get("value") for action in actions]
    assert theirs == [substitute(value, VARIABLES).tree for value in VALUES]


@pytest.mark.parametrize("value", REFUSED)
def test_refused_values(value: str, otelcol_binary: Path) -> None:
    """What one cannot follow the other cannot either."""
    Path("values.yaml").write_text(document([value]))

    assert substitute(value, VARIABLES).problems
    with pytest.raises(ValueError, match="cannot resolve the configuration"):
        resolved(otelcol_binary, "--config", "values.yaml")


@pytest.mark.parametrize(("arguments", "path"), SAID, ids=lambda one: one[-1])
def test_sources(arguments: list[str], path: tuple[str, ...], otelcol_binary: Path) -> None:
    """Files, variables, texts and settings add up to the same, whichever way they are given."""
    theirs: Any = resolved(otelcol_binary, "--config", "base.yaml", *arguments)
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
    configs = ("base.yaml", *(value for option, value in pairs if option == "--config"))
    settings = tuple(value for option, value in pairs if option == "--set")
    variables = {**VARIABLES, "DOCUMENT": "exporters: {debug: {verbosity: detailed}}"}
    ours: Any = substitute(Sources(configs, settings).read(variables, []).tree, variables).tree
    for key in path:
        theirs, ours = theirs[key], (ours or {}).get(key, {"send_batch_size": 8192}.get(key))

    assert str(theirs).lower() == str(ours).lower()


@pytest.mark.parametrize(
    "argument", ["--set=processors.batch.timeout", "--set==2", "--config=foo:5", "--config=yaml:5"]
)
def test_refused_sources(argument: str, otelcol_binary: Path) -> None:
    """What is no source for one is none for the other."""
    option, _, value = argument.partition("=")
    configs, settings = (("base.yaml", value), ()) if option == "--config" else (("base.yaml",), (value,))

    with pytest.raises(InvalidConfigurationError):
        Sources(configs, settings).read({}, [])
    with pytest.raises(ValueError, match="Error"):
        resolved(otelcol_binary, "--config", "base.yaml", argument)


IDS = [
    "debug/a",
    "debug/a/b",
    "debug/a.b-c_d",
    "debug/ä",
    "debug/日本",
    "debug/" + "n" * 1000,
    "debug/" + "n" * 1025,
    "debug/" + "ä" * 512,
    "debug/" + "ä" * 513,
    "debug/a b",
    "debug/a\tb",
    "debug/a+b",
    "debug/a$$b",
    "debug/a|b",
    "debug/a,b;c",
    "debug/",
    "/debug",
    "",
    " debug / a ",
    "1debug",
    "de-bug",
    "debug/\u200b",
]


@pytest.mark.parametrize("text", IDS, ids=lambda text: repr(text[:20]))
def test_ids(text: str, otelcol_binary: Path) -> None:
    """What is an id of a component for one is one for the other."""
    content = yaml.safe_load(BASE)
    content["exporters"][text] = None
    Path("ids.yaml").write_text(json.dumps(content, ensure_ascii=False))

    def ours() -> bool:
        try:
            return bool(ComponentId.parse(text))
        except ValueError:
            return False

    def theirs() -> bool:
        try:
            return bool(resolved(otelcol_binary, "--config", "ids.yaml"))
        except ValueError:
            return False

    assert ours() == theirs()
