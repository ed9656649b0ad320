"""The commands that read: what they print for people and for programs."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest
from prov.model import ProvActivity, ProvDocument

from tests.cli.conftest import OLDER, fill
from tests.query.activities import LARGE, activity, id_of, span_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Ask

pytestmark = pytest.mark.usefixtures("filled")


def rows(text: str) -> list[list[str]]:
    """Return the words of a table's lines."""
    return [line.split() for line in text.splitlines() if line.strip() and "──" not in line]


def test_tasks(ask: Ask) -> None:
    """The tasks of the last run are a table, the newest first."""
    answer = ask("tasks")

    assert answer.code == 0
    header, second, first = rows(answer.out)
    assert header == ["id", "name", "status", "started", "duration", "cpu", "used", "generated"]
    assert (second[1], second[2], second[-2:]) == ("mult_two", "finished", ["o1=4", "o2=8"])
    assert (first[1], first[2], first[-2:]) == ("sum_one", "finished", ["i1=3", "o1=4"])
    assert answer.err == ""


def test_tasks_as_json(ask: Ask) -> None:
    """As JSON each task is an object on a line, with times in ISO 8601 that say their offset."""
    second, first = ask("tasks", "--json").objects

    assert (first["name"], first["used"], first["generated"]) == ("sum_one", {"i1": 3}, {"o1": 4})
    assert (second["name"], second["used"], second["generated"]) == ("mult_two", {"o1": 4}, {"o2": 8})
    for task in (first, second):
        assert (task["status"], task["workflow_id"]) == ("finished", id_of(1))
        for key in ("started_at", "ended_at"):
            assert dt.datetime.fromisoformat(task[key]).tzinfo is not None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--all"], ["mult_two", "sum_one", "train", "train"]),
        (["--run", "older"], ["train", "train"]),
        (["--run", OLDER[:5], "--limit", "1"], ["train"]),
        (["--all", "--where", "name=sum_one"], ["sum_one"]),
        (["--all", "--where", '{"used.rate": {"$lt": 1}}'], ["train"]),
        (["--all", "--where", "used.rate>=0.1", "--where", "status=error"], ["train"]),
        (["--all", "--where", "name~^m", "--where", "duration>0.9"], ["mult_two"]),
        (["--all", "--where", "name!=train"], ["mult_two", "sum_one"]),
        (["--all", "--where", "started_at>2023-11-14T22:13:20+00:00", "--sort", "name"], ["mult_two", "sum_one"]),
        (["--all", "--sort", "-duration,name", "--limit", "0"], ["train", "mult_two", "sum_one", "train"]),
    ],
)
def test_which_tasks(ask: Ask, options: list[str], expected: list[str]) -> None:
    """Options say which tasks, in which order, and how many."""
    assert [task["name"] for task in ask("tasks", "--json", *options).objects] == expected


def test_columns(ask: Ask) -> None:
    """Columns are any fields, by name and by path."""
    header, *lines = rows(ask("tasks", "--run", "older", "--columns", "name,used.rate,cpu,error.type").out)

    assert header == ["name", "used.rate", "cpu", "error.type"]
    assert lines == [["train", "9", "ValueError"], ["train", "0.1", "1.5", "s"]]


def test_workflows(ask: Ask) -> None:
    """Workflows are listed with how many tasks they have and how many of those failed."""
    header, last, older = rows(ask("workflows").out)

    assert header[5:7] == ["tasks", "failed"]
    assert ("main" in last, "2" in last) == (True, True)
    assert older[-2:] == ["2", "1"]
    assert [workflow["name"] for workflow in ask("workflows", "--json", "--where", "name=older").objects] == ["older"]


def test_show(ask: Ask) -> None:
    """All that is known of a task is shown, its error and stack trace too, and nothing that acts on a terminal."""
    answer = ask("show", span_of(0xFACE))

    assert answer.code == 0
    for text in ("train", f"{OLDER}-{span_of(0xFACE)}", "error", "ValueError: bad", "Traceback:", "line 1", "rate = 9"):
        assert text in answer.out
    assert "\x1b" not in answer.out


def test_show_what_ran(ask: Ask, filled: Path) -> None:
    """Which version of the code ran, by which command and settings, is shown as far as it is known."""
    known = {
        "vcs.ref.head.revision": "ab" * 20,
        "vcs.ref.head.name": "main",
        "vcs.repository.url.full": "https://example.org/a.git",
        "provtel.vcs.modified": True,
        "process.command_args": ["python", "my program.py"],
        "process.working_directory": "/home/me",
        "provtel.settings": {"max_items": 3},
    }
    fill(filled / ".provtel", [activity(0xBEEF, "known", at=(1, 2), trace_id="ef" * 16, resource=known)])

    shown = [" ".join(line.split()) for line in ask("show", span_of(0xBEEF)).out.splitlines()]

    version = f"version {'ab' * 20} on main of https://example.org/a.git with changes that were not committed"
    for line in (version, "command python 'my program.py'", "in folder /home/me", "settings max_items = 3"):
        assert line in shown


def test_show_a_workflow(ask: Ask) -> None:
    """A workflow is shown with what ran inside it."""
    assert "sum_one finished" in ask("show", id_of(1)).out


def test_show_as_json(ask: Ask) -> None:
    """As JSON a record is one object."""
    (record,) = ask("show", id_of(2), "--json").objects

    assert (record["id"], record["parent_id"], record["error"]) == (id_of(2), id_of(1), None)


@pytest.mark.parametrize("target", ["8", "o2=8", span_of(3)])
def test_lineage(ask: Ask, target: str) -> None:
    """The lineage of the quickstart's result is a chain, and a tree that says how each step is known."""
    answer = ask("lineage", target)

    assert answer.code == 0
    assert "mult_two <- o1 <- sum_one <- i1" in answer.out
    assert "o1 = 4  (same name and value)" in answer.out


def test_lineage_chain_of_a_value(ask: Ask) -> None:
    """From the value the chain begins with it."""
    assert ask("lineage", "8").out.splitlines()[0] == "o2 <- mult_two <- o1 <- sum_one <- i1"


def test_lineage_down(ask: Ask) -> None:
    """Downstream all that came of an input is a tree."""
    answer = ask("lineage", "i1=3", "--down")

    assert "i1 = 3" in answer.out.splitlines()[0]
    for name in ("main", "sum_one", "mult_two", "o2 = 8"):
        assert name in answer.out


def test_lineage_as_json(ask: Ask) -> None:
    """As JSON a lineage is its entities, activities and edges."""
    found = ask("lineage", "o2=8", "--json").objects

    assert [line["role"] for line in found if line["type"] == "entity" and line["root"]] == ["o2"]
    assert {line["name"] for line in found if line["type"] == "activity"} == {"mult_two", "sum_one"}
    (usage,) = [line for line in found if line["type"] == "used" and line["role"] == "o1"]
    assert (usage["evidence"], usage["candidates"]) == ("same_name_and_value", 1)
    assert {line["activity"] for line in found if line["type"] == "generated"} == {id_of(2), id_of(3)}


def test_lineage_to_a_depth(ask: Ask) -> None:
    """A lineage that was cut says so."""
    answer = ask("lineage", "o2=8", "--depth", "1")

    assert "sum_one" not in answer.out
    assert "beyond --depth" in answer.err


@pytest.mark.parametrize("kinds", ["same_content", "declared,same_file"])
def test_lineage_by_evidence(ask: Ask, kinds: str) -> None:
    """Edges that are not known well enough are left out."""
    assert "sum_one" not in ask("lineage", "o2=8", "--evidence", kinds).out


def test_lineage_as_a_picture(ask: Ask, filled: Path) -> None:
    """A lineage is drawn into the file that is named."""
    answer = ask("lineage", "o2=8", "--picture", "chain.svg")

    assert "mult_two" in (filled / "chain.svg").read_text()
    assert "chain.svg" in answer.err


def test_lineage_of_what_several_generated(ask: Ask, filled: Path) -> None:
    """Of a value that several generated the latest is shown, and the number of others is told."""
    fill(filled / ".provtel", [activity(number, generated={"y": "again"}, workflow_id="w") for number in (10, 11, 12)])

    assert "2 other activities generated the same value earlier" in ask("lineage", "y=again").err


def test_lineage_shows_a_branch_once(ask: Ask, filled: Path) -> None:
    """Below the first place where an entity is shown, it is not shown again."""
    diamond = [
        activity(10, "a", generated={"p": "a value to share"}, workflow_id="w"),
        activity(11, "b", used={"p": "a value to share"}, generated={"q": 1}, workflow_id="w"),
        activity(12, "c", used={"p": "a value to share"}, generated={"r": 2}, workflow_id="w"),
        activity(13, "d", used={"q": 1, "r": 2}, workflow_id="w"),
    ]
    fill(filled / ".provtel", diamond)
    answer = ask("lineage", id_of(13))

    assert answer.out.count("shown above") == 1
    assert "<-" not in answer.out


def test_export(ask: Ask, filled: Path) -> None:
    """A run is written as PROV-JSON, to standard output or whole into a file."""
    printed = ask("export", "older")
    told = ask("export", "older", "--format", "prov-json", "-o", "older.json")

    document = ProvDocument.deserialize(content=printed.out, format="json")
    assert len(list(document.get_records(ProvActivity))) == 3
    assert json.loads((filled / "older.json").read_text()) == json.loads(printed.out)
    assert (told.out, told.err) == ("", "provtel: written to older.json\n")
    assert [path.name for path in filled.iterdir() if path.name.startswith(".older")] == []


def test_export_tells_a_program_what_it_wrote(ask: Ask, filled: Path) -> None:
    """With --json the answer is where the document is and how many statements it holds."""
    (told,) = ask("export", "older", "-o", "older.json", "--json").objects

    document = ProvDocument.deserialize(content=(filled / "older.json").read_text(), format="json")
    assert (told["format"], told["output"]) == ("prov-json", "older.json")
    assert told["statements"] == len(list(document.get_records()))


def test_export_is_the_last_run_by_default(ask: Ask) -> None:
    """Without a name the last run is written."""
    document = ProvDocument.deserialize(content=ask("export").out, format="json")

    assert document.get_record(f"run:{id_of(3)}")


def test_status(ask: Ask) -> None:
    """The status of a store says what it holds and where."""
    (found,) = ask("status", "--json").objects

    assert (found["records"], found["workflows"], found["tasks"]) == (6, 2, 4)
    assert found["nbytes"] > 0
    assert found["journals"] == []
    assert ".provtel" in ask("status").out


def test_a_store_is_named_by_option_and_environment(
    ask: Ask, filled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A store is named by --store, or by PROVTEL_STORE."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    store = str(filled / ".provtel")

    assert len(ask("tasks", "--json", "--store", store).objects) == 2
    monkeypatch.setenv("PROVTEL_STORE", store)
    assert len(ask("tasks", "--json").objects) == 2


def test_lineage_without_data_up_to_a_name(ask: Ask) -> None:
    """Without data a lineage is a chain of activities; it stops at a name."""
    assert ask("lineage", "o2=8", "--no-data").out.splitlines()[0] == "mult_two <- sum_one"
    assert "sum_one" not in ask("lineage", "o2=8", "--until", "mult_two", "--no-data").out


def test_lineage_from_somewhere(ask: Ask) -> None:
    """What lies on the way from one datum to another is shown; where there is no way, that is said."""
    assert ask("lineage", "o2=8", "--from", "o1=4").out.splitlines()[0] == "o2 <- mult_two <- o1"
    assert "o1=4 did not come from o2=8" in ask("lineage", "o1=4", "--from", "o2=8").err


def test_lineage_through_another_store(ask: Ask, filled: Path, tmp_path: Path) -> None:
    """A store that never met this one is followed into where it is named."""
    there = tmp_path / "there"
    fill(there, [activity(1, "simulate", generated={"out": LARGE}, trace_id="bb" * 16)])
    fill(filled / ".provtel", [activity(31, "train", used={"data": LARGE})])

    assert "simulate" not in ask("lineage", id_of(31)).out
    assert "simulate" in ask("lineage", id_of(31), "--also", str(there)).out
