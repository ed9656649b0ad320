"""The pages about questions: every command and every program on them works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import fill
from tests.query.activities import TRACE, activity, file, quickstart

if TYPE_CHECKING:
    from provtel_model.record import PlainRecord

    from tests.cli.conftest import Ask

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = (DOCS / "how-to" / "ask-questions.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", HOW_TO, re.DOTALL) for line in block.splitlines()]
PROGRAMS = re.findall(r"```python\n(.*?)```", HOW_TO, re.DOTALL)


def sweep() -> list[PlainRecord]:
    """Return the run that the page asks about."""
    run: dict[str, Any] = {"workflow_id": f"{TRACE}-{1:016x}", "workflow_name": "sweep", "parent": 1}
    failed: dict[str, Any] = {"status": "error", "error": {"type": "ValueError", "message": "bad rate"}}
    digits = file("file:///data/digits.csv")
    return [
        activity(1, "sweep", at=(1, 300), kind="workflow", **run | {"parent": 0}),
        activity(2, "load", generated={"digits": digits}, **run),
        activity(3, "train", used={"digits": digits, "rate": 0.1}, generated={"score": 0.9512345}, **run),
        activity(4, "train", used={"digits": digits, "rate": 9.0}, **run | failed),
        activity(200, "choose", used={"scores": [0.9512345]}, generated={"best": 0.95}, **run),
    ]


@pytest.fixture
def asked(folder: Path) -> Path:
    """Work in a folder whose store holds that run."""
    fill(folder / ".provtel", sweep())
    return folder


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("command", COMMANDS)
def test_commands(ask: Ask, command: str) -> None:
    """Each command on the page answers something, and complains about nothing."""
    answer = ask(*shlex.split(command)[1:])

    assert answer.code == 0
    assert answer.out or ("-o" in command and answer.err)


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("program", PROGRAMS)
def test_programs(capsys: pytest.CaptureFixture[str], program: str) -> None:
    """Each program on the page runs and prints what it found."""
    exec(compile(program, "ask-questions.md", "exec"), {})  # noqa: S102  # the page's own

    assert capsys.readouterr().out


def test_the_chain_of_the_quickstart(ask: Ask, folder: Path) -> None:
    """The chain that the page on lineage shows is what the command prints."""
    fill(folder / ".provtel", quickstart())
    shown = re.search(r"```text\n(.*?)\n```", (DOCS / "explanation" / "lineage.md").read_text())

    assert shown is not None
    assert ask("lineage", "8").out.splitlines()[0] == shown[1]
