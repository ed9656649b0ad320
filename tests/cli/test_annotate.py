"""`provtel annotate` and `provtel annotations`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.conftest import fill
from tests.query.activities import id_of, quickstart

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Ask


def test_said_and_asked(folder: Path, ask: Ask) -> None:
    """What is said is listed for people and for programs, by target and by what it says."""
    fill(folder / ".provtel", quickstart())
    assert ask("annotate", "o2=8", "reviewed=true", "grade=good", "--by", "me").code == 0
    (kept,) = ask("annotate", id_of(2), "note=odd", "--json").objects

    assert (kept["of"], kept["said"]) == (id_of(2), {"note": "odd"})
    assert "reviewed=True grade=good" in ask("annotations", "o2=8").out
    assert [found["by"] for found in ask("annotations", "--where", "grade=good", "--json").objects] == ["me"]
    assert ask("annotations", id_of(2), "--where", "note=even").err == "provtel: nothing was said\n"


def test_wrong_calls(folder: Path, ask: Ask) -> None:
    """What is no KEY=VALUE is a wrong call; a target that there is not is an error."""
    fill(folder / ".provtel", quickstart())

    assert ask("annotate", id_of(2), "good").code == 2
    assert ask("annotate", "deadbeef", "a=1").code == 1
