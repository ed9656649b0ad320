"""The command itself: help, errors, exit codes, terminals, pipes."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from provtel_cli.main import COMMANDS, provtel

from tests.cli.conftest import fill
from tests.query.activities import activity

if TYPE_CHECKING:
    from tests.cli.conftest import Ask

PROVTEL = str(Path(sys.executable).with_name("provtel"))
HEAVY = ("lmdb", "rich", "matplotlib", "networkx", "prov", "pydantic", "ormsgpack", "google.protobuf")


def test_help_lists_every_command(ask: Ask) -> None:
    """The help has a line for each command, and it is the command's own first line."""
    answer = ask("--help")

    assert answer.code == 0
    context = click.Context(provtel)
    for name, (_, line) in COMMANDS.items():
        command = provtel.get_command(context, name)
        assert command is not None
        assert name in answer.out
        assert line in answer.out


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_has_help(ask: Ask, command: str) -> None:
    """Each command tells how it is used, and each of its options what it does."""
    answer = ask(command, "--help")

    assert answer.code == 0
    assert answer.out.startswith(f"Usage: provtel {command}")
    found = provtel.get_command(click.Context(provtel), command)
    assert found is not None
    assert all(option.help for option in found.params if isinstance(option, click.Option))


def test_help_is_fast() -> None:
    """The help imports nothing that is heavy."""
    program = (
        "import sys; from provtel_cli.main import main; main(['--help'])\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stderr == "[]\n"


def test_version(ask: Ask) -> None:
    """The version is that of the distribution."""
    assert ask("--version").out == f"provtel {version('provtel')}\n"


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no-such-command"], 2, "No such command"),
        (["tasks", "--no-such-option"], 2, "No such option"),
        (["tasks", "--limit", "-1"], 2, "not in the range"),
        (["tasks", "--run", "a", "--all"], 2, "exclude each other"),
        (["tasks", "--where", "rate=3"], 2, "write used.rate for an input"),
        (["tasks", "--where", "nam=3"], 2, "did you mean 'name'"),
        (["tasks", "--where", "name"], 2, "is no condition"),
        (["tasks", "--where", "{nope"], 2, "is no JSON"),
        (["tasks", "--where", '{"name": {"$like": 1}}'], 2, "unknown operator '$like'"),
        (["tasks", "--where", "name~("], 2, "not a regular expression"),
        (["tasks", "--sort", "nope"], 2, "unknown field 'nope'"),
        (["tasks", "--columns", "nope"], 2, "unknown field 'nope'"),
        (["tasks", "--run", "nope"], 1, "there is no run 'nope'"),
        (["show", "nope"], 1, "there is no record 'nope'"),
        (["show", "0000"], 1, "give more digits"),
        (["show"], 2, "Missing argument"),
        (["lineage", "nope"], 1, "nothing is known of 'nope'"),
        (["lineage", "8", "--evidence", "nope"], 1, "unknown evidence 'nope'"),
        (["lineage", "8", "--picture", "a.jpg"], 1, "end its name in .svg, .png"),
        (["export", "--format", "prov-yaml"], 2, "'prov-yaml' is not one of"),
        (["export", "-o", "no/such/folder"], 1, "cannot be written: No such file"),
        (["tasks", "--store", "ftp://x"], 1, "known kinds of store are"),
    ],
)
def test_mistakes_are_told(ask: Ask, arguments: list[str], code: int, message: str) -> None:
    """A mistake is told in words on standard error, without a traceback; 2 is wrong use, 1 is failure."""
    answer = ask(*arguments)

    assert (answer.code, answer.out) == (code, "")
    assert message in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("arguments", "message"), [(["tasks"], "no tasks in the last run"), (["workflows"], "no workflows")]
)
def test_an_empty_store_says_so(ask: Ask, folder: Path, arguments: list[str], message: str) -> None:
    """An empty answer is no error; it says that the store has nothing."""
    answer = ask(*arguments)

    assert (answer.code, answer.out) == (0, "")
    assert answer.err == f"provtel: {message}; the store {folder / '.provtel'} has no records\n"


def test_no_store_says_so(ask: Ask, folder: Path) -> None:
    """Where there is no store, the answer says which was looked for, and makes none."""
    answer = ask("tasks", "--store", "nowhere")

    assert (answer.code, answer.out) == (0, "")
    assert answer.err.startswith(f"provtel: there is no store {folder / 'nowhere'}; go where the program ran")
    assert not (folder / "nowhere").exists()


@pytest.mark.usefixtures("filled")
def test_a_limit_says_that_there_is_more(ask: Ask) -> None:
    """Where there are more than were asked for, the answer says so on standard error."""
    assert "these are the first 1" in ask("tasks", "--limit", "1").err
    assert ask("tasks", "--limit", "2").err == ask("tasks", "--limit", "0").err == ""
    assert "these are the first 1" in ask("workflows", "--limit", "1", "--json").err


@pytest.mark.usefixtures("filled")
def test_no_match_says_how_many_there_are(ask: Ask) -> None:
    """Where nothing matches, the answer says how many records there are."""
    assert "no tasks match; the store" in ask("tasks", "--all", "--where", "name=nope").err
    assert "has 6 records" in ask("tasks", "--all", "--where", "name=nope").err


@pytest.mark.usefixtures("filled")
def test_colour_is_for_terminals() -> None:
    """There is colour on a terminal, none with NO_COLOR, none in a pipe."""
    assert "\x1b[" in _on_terminal({})
    assert "\x1b[3" not in _on_terminal({"NO_COLOR": "1"})
    piped = subprocess.run([PROVTEL, "tasks"], capture_output=True, text=True, check=True)
    assert "\x1b[" not in piped.stdout


def _on_terminal(environment: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    known = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    subprocess.run([PROVTEL, "tasks"], stdout=theirs, check=True, env=known | {"TERM": "xterm"} | environment)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        return terminal.read(65536).decode()


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    """Where whoever reads the output has gone, the command stops without a word."""
    fill(folder / ".provtel", [activity(number, used={"x": "y" * 1000}, workflow_id="w") for number in range(1, 500)])
    command = f"{PROVTEL} tasks --json --limit 0 | head -n 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (141, "")


def test_an_interrupt_ends_with_130(folder: Path) -> None:
    """Ctrl-C ends a command with the exit code that shells expect, without a traceback."""
    program = (
        "import os, signal, sys\n"
        "from provtel_cli import options\n"
        "options.opened = lambda store: os.kill(os.getpid(), signal.SIGINT)\n"
        "from provtel_cli.main import main\n"
        "sys.exit(main(['tasks']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=folder)

    assert done.returncode == 130
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    """Each shell gets its script for completion."""
    environment = os.environ | {"_PROVTEL_COMPLETE": f"{shell}_source"}
    done = subprocess.run([PROVTEL], capture_output=True, text=True, check=False, env=environment)

    assert "_PROVTEL_COMPLETE" in done.stdout
