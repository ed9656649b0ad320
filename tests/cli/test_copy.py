"""The command that copies stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from provtel_model.filters import Query
from provtel_query.stores import open_reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Ask


@pytest.mark.usefixtures("filled")
def test_copy(ask: Ask) -> None:
    """A store is copied to a file and asked there; what was done and verified is told for people and for programs."""
    first = ask("copy", ".provtel", "all.jsonl")
    assert first.code == 0
    assert first.out.startswith("6 records: 6 stored, 0 there already; verified, sha256-sum:")

    again = ask("copy", "all.jsonl", "other", "--json").objects[0]
    assert again["equal"]
    assert again["records"]["source"] == again["records"]["target"]
    assert again["records"]["stored"] == 6
    assert [task["name"] for task in ask("tasks", "--store", "all.jsonl", "--json").objects] == ["mult_two", "sum_one"]
    assert [task["name"] for task in ask("tasks", "--store", "other", "--json").objects] == ["mult_two", "sum_one"]


@pytest.mark.usefixtures("filled")
def test_copy_a_part(ask: Ask) -> None:
    """Options choose a run, or what matches."""
    assert ask("copy", ".provtel", "a.jsonl", "--run", "older", "--json").objects[0]["records"]["stored"] == 3
    assert ask("copy", ".provtel", "b.jsonl", "--where", "status=error", "--json").objects[0]["records"]["stored"] == 1
    assert open_reader("b.jsonl").count(Query()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("missing.jsonl", "x.jsonl"), 1, "there is no file"),
        ((".provtel", "ftp://x"), 1, "nothing here writes 'ftp://x'"),
        ((".provtel", ".provtel"), 1, "is where the copy comes from"),
        ((".provtel", "x.jsonl", "--run", "nobody"), 1, "there is no run 'nobody'"),
        ((".provtel", "x.jsonl", "--where", "nothing=1"), 2, "no field is named 'nothing'"),
        ((".provtel", "broken.jsonl"), 1, "broken.jsonl: line 1: it is no JSON"),
        ((".provtel",), 2, "Missing argument 'TO'"),
    ],
)
def test_what_cannot_be_copied_is_told(filled: Path, ask: Ask, arguments: list[str], code: int, says: str) -> None:
    """A slip is an error that says what and where, and the target is as it was."""
    (filled / "broken.jsonl").write_text("nonsense\n")
    answer = ask("copy", *arguments)

    assert answer.code == code
    assert says in answer.err
    assert (filled / "broken.jsonl").read_text() == "nonsense\n"
