"""What records say of their process: the command, the folder, the settings, what the user says of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from provtel.errors import describe
from provtel.redaction import REDACTED, Redaction
from provtel.settings import Settings
from provtel.snapshot import Snapshots
from provtel_model import attributes as names

from tests.instrumentation.programs import Stage

SNAPSHOTS = Snapshots(Settings())
PROGRAM = "from provtel import task\nwith task('t'): pass\n"


def test_command_and_folder(stage: Stage) -> None:
    """A record has the command that its process was started by, as it was typed, and where."""
    stage.run(PROGRAM, "--rate=0.1", "ü", "--password", "hunter2", "x" * 1000)

    (record,) = stage.records()
    *command, long = record.resource[names.PROCESS_COMMAND_ARGS]
    assert command[0] == sys.executable
    assert command[-4:] == ["--rate=0.1", "ü", "--password", REDACTED]
    assert len(long) == 200
    assert Path(record.resource[names.PROCESS_WORKING_DIRECTORY]) == stage.folder


def test_very_long_command(stage: Stage) -> None:
    """Of a command with very many arguments the first are kept."""
    stage.run(PROGRAM, *map(str, range(1000)))

    (record,) = stage.records()
    kept = record.resource[names.PROCESS_COMMAND_ARGS]
    assert (len(kept), kept[-1]) == (51, "…")


def test_argument_that_is_no_text(stage: Stage) -> None:
    """An argument of bytes that are no UTF-8 harms nothing."""
    stage.run(PROGRAM, "\udcff")

    (record,) = stage.records()
    assert record.resource[names.PROCESS_COMMAND_ARGS][-1] == "?"


def test_names_that_are_no_text(stage: Stage) -> None:
    """A folder, a program and attributes of bytes that are no UTF-8 harm nothing."""
    folder = stage.folder / "\udcff"
    folder.mkdir()
    program = folder / "\udcfe.py"
    program.write_text(PROGRAM)
    said = {"OTEL_RESOURCE_ATTRIBUTES": "a\udcfd=b\udcfc"}
    subprocess.run([sys.executable, program], cwd=folder, env={**stage.variables(), **said}, check=True)

    (record,) = stage.records()
    assert record.resource["service.name"] == "?"
    assert record.resource["a?"] == "b?"
    assert record.resource[names.PROCESS_WORKING_DIRECTORY].endswith("/?")


def test_settings_in_force(stage: Stage) -> None:
    """A record has the settings that are not the defaults."""
    said = {"max_items": "7", "exit_timeout": "1.5s", "max_text": "1KiB", "hashing_share": "5%", "redact": "mine"}
    stage.environment.update({f"PROVTEL_{name.upper()}": text for name, text in said.items()})
    stage.run(PROGRAM)

    (record,) = stage.records()
    assert record.resource[names.PROVTEL_SETTINGS] == {
        "exit_timeout": 1.5,
        "max_items": 7,
        "max_text": 1024,
        "hashing_share": 0.05,
        "redact": "mine",
    }


def test_attributes_of_the_user(stage: Stage) -> None:
    """What the user says of the process counts before what is found out, and is searched for secrets too."""
    stage.environment["OTEL_RESOURCE_ATTRIBUTES"] = (
        "vcs.ref.head.name=mine,process.owner=somebody,db.password=hunter2,address=ftp://u:hunter2@h/"
    )
    stage.run(PROGRAM)

    (record,) = stage.records()
    assert record.resource["vcs.ref.head.name"] == "mine"
    assert record.resource["process.owner"] == "somebody"
    assert record.resource["db.password"] == REDACTED
    assert "hunter2" not in str(record.plain)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["--password", "hunter2"], ["--password", REDACTED]),
        (["--password=hunter2", "x"], [f"--password={REDACTED}", "x"]),
        (["-password", "hunter2", "x"], ["-password", REDACTED, "x"]),
        (["--api-key", "--verbose"], ["--api-key", "--verbose"]),
        (["API_KEY=hunter2", "RATE=1"], [f"API_KEY={REDACTED}", "RATE=1"]),
        (["--header", "x=1"], ["--header", "x=1"]),
        (["--max-tokens", "5"], ["--max-tokens", "5"]),
        (["http://me:hunter2@h/?a=1"], [f"http://me:{REDACTED}@h/?a=1"]),
        (["http://h/?api_key=hunter2&b=2"], [f"http://h/?api_key={REDACTED}&b=2"]),
        (["--url=http://h/?token=hunter2"], [f"--url=http://h/?token={REDACTED}"]),
        (["-H", "Authorization: Bearer hunter2"], ["-H", f"Authorization: {REDACTED}"]),
        (["-HX-Api-Key: hunter2", "-H", "Accept: a"], [f"-HX-Api-Key: {REDACTED}", "-H", "Accept: a"]),
        (["--header=Cookie: a=hunter2"], [f"--header=Cookie: {REDACTED}"]),
        (["-c", "a  --password hunter2 'b c'"], ["-c", f"a  --password {REDACTED} 'b c'"]),
        (["-c", "curl -H 'Authorization: Bearer hunter2'\nls"], ["-c", f"curl -H 'Authorization: {REDACTED}\nls"]),
        (["-c", 'ssh a "b --token hunter2; c"'], ["-c", f'ssh a "b --token {REDACTED} c"']),
        (["-v", "/secrets/a:/b", "12: x"], ["-v", "/secrets/a:/b", "12: x"]),
        ([], []),
        ([""], [""]),
    ],
)
def test_secrets_in_commands(given: list[str], kept: list[str]) -> None:
    """What follows a telling name in a command is hidden, behind an equals sign or as the next argument."""
    assert Redaction().arguments(given) == kept


def test_secrets_on_the_edge() -> None:
    """Where a text is cut, no part of a secret stays."""
    for length in range(180, 210):
        message = "x" * length + " ftp://me:" + "hunter2" * 5 + "@host/"
        error = describe(ValueError(message * 30), Redaction())
        assert "hunter2" not in str(error)
        assert "hunter2" not in str(SNAPSHOTS.of([message * 40] * 2000))
        assert "hunter2" not in str(SNAPSHOTS.of(message * 40))
        assert "hunter2" not in str(SNAPSHOTS.of((message * 40).encode()))


def test_secrets_of_the_environment_that_are_no_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are found in text and in bytes."""
    monkeypatch.setenv("MY_TOKEN", "geheim-ü-geheim")
    redaction = Redaction()

    assert redaction.text("a geheim-ü-geheim b") == f"a {REDACTED} b"
    assert redaction.binary("a geheim-ü-geheim b\xff".encode("latin-1") + "geheim-ü-geheim".encode()) == (
        "a geheim-ü-geheim b\xff".encode("latin-1") + REDACTED.encode()
    )


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("postgres://me:hunter2@db:5432/x?y=1", f"postgres://me:{REDACTED}@db:5432/x?y=1"),
        ("redis://:hunter2@h", f"redis://:{REDACTED}@h"),
        ("amqp://me:hun@ter2@h/", f"amqp://me:{REDACTED}@h/"),
        ("amqp://me:hun/ter2@h/", f"amqp://me:{REDACTED}@h/"),
        ("http://host:8080/users/me@example.org", "http://host:8080/users/me@example.org"),
        ("see http://a:b@c and http://d:e@f", f"see http://a:{REDACTED}@c and http://d:{REDACTED}@f"),
        ('{"a": "http://u:p@h", "b": "x@y"}', f'{{"a": "http://u:{REDACTED}@h", "b": "x@y"}}'),
        ("mailto:me@example.org", "mailto:me@example.org"),
        ("http://h/?access_token=abc&x=1#f", f"http://h/?access_token={REDACTED}&x=1#f"),
        ("http://h/?max_tokens=5", "http://h/?max_tokens=5"),
    ],
)
def test_secrets_in_addresses(text: str, kept: str) -> None:
    """Passwords and telling parameters are hidden in addresses, wherever those are, and nothing else."""
    assert Redaction().text(text) == kept
    assert Redaction().binary(text.encode()) == kept.encode()
