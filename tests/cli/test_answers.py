"""The forms of an answer on the command line: a table, JSON, CSV, Parquet; and SQL."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from provtel_cli.main import main
from provtel_query.stores import open_writer

from tests.exporters.records import numbered


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Give a store with three tasks of a campaign."""
    location = str(tmp_path / "runs.jsonl")
    writer = open_writer(location)
    writer.write(
        [
            numbered(n, name="t,1", used={"lr": n / 2, "note": "x\ny"}, campaign_id="c", agent={"id": "ada"})
            for n in range(3)
        ]
    )
    writer.close()
    return location


def ask(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """Return what a command prints, and what it says on standard error."""
    assert main(arguments) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_csv(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """CSV has a line of names, and is read back as what it was."""
    out, _ = ask(
        capsys,
        "tasks",
        "--all",
        "--sort",
        "used.lr",
        "--columns",
        "name,used.lr,used.note,rank",
        "--csv",
        "--store",
        store,
    )

    assert [*csv.reader(out.splitlines(keepends=True))] == [
        ["name", "used.lr", "used.note", "rank"],
        *(["t,1", lr, "x\ny", ""] for lr in ("0.0", "0.5", "1.0")),
    ]


def test_all_columns(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without columns that are named all that the answer has are there, times as ISO 8601."""
    out, _ = ask(capsys, "tasks", "--all", "--csv", "--store", store)
    (first, *_) = csv.DictReader(out.splitlines(keepends=True))

    assert {"id", "run", "used.lr", "agent.id", "duration"} <= first.keys()
    assert first["started_at"].startswith("2026-09-21T14:13:20")


def test_parquet(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of Parquet is written whole, and says how many rows it has."""
    out, err = ask(capsys, "tasks", "--all", "--parquet", str(tmp_path / "x.parquet"), "--store", store)

    assert (out, err) == ("", f"provtel: 3 rows written to {tmp_path}/x.parquet\n")
    assert sorted(pq.read_table(tmp_path / "x.parquet")["used.lr"].to_pylist()) == [0.0, 0.5, 1.0]
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_parquet_into_nowhere(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be written is an error without a traceback."""
    _, err = ask(capsys, "tasks", "--all", "--parquet", str(tmp_path / "no" / "x.parquet"), "--store", store, code=1)

    assert "cannot be written" in err


def test_json_of_columns(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has the columns that are named, else the whole record."""
    out, _ = ask(capsys, "tasks", "--all", "--columns", "used.lr", "--sort", "used.lr", "--json", "--store", store)
    assert [json.loads(line) for line in out.splitlines()] == [{"used.lr": lr} for lr in (0.0, 0.5, 1.0)]
    out, _ = ask(capsys, "tasks", "--all", "--json", "--store", store)
    assert {json.loads(line)["campaign_id"] for line in out.splitlines()} == {"c"}


@pytest.mark.parametrize("two", [("--json", "--csv"), ("--csv", "--parquet", "x.parquet")])
def test_one_form_at_a_time(store: str, two: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Two forms at once are a mistake of usage."""
    _, err = ask(capsys, "tasks", *two, "--store", store, code=2)
    assert "exclude each other" in err


def test_an_unknown_column(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A column that is no field is told, with the nearest that is."""
    for form in ("--csv", "--json"):
        _, err = ask(capsys, "tasks", "--all", "--columns", "nam", form, "--store", store, code=2)
        assert "did you mean 'name'" in err


def test_listings(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Data, agents and campaigns are listed in every form."""
    out, _ = ask(capsys, "entities", "--all", "--role", "lr", "--json", "--store", store)
    assert [json.loads(line)["value"] for line in out.splitlines()] == [0.0, 0.5, 1.0]
    (first, *_) = [json.loads(line)["hash"] for line in out.splitlines()]
    out, _ = ask(capsys, "entities", "--all", "--hash", first[:20], "--json", "--store", store)
    assert [json.loads(line)["hash"] for line in out.splitlines()] == [first]
    out, _ = ask(capsys, "entities", "--all", "--store", store)
    assert out.split()[:5] == ["hash", "value", "roles", "generated_by", "used_by"]
    out, _ = ask(capsys, "agents", "--csv", "--store", store)
    assert out == "agent.id,activities,failed\nada,3,0\n"
    out, _ = ask(
        capsys, "entities", "--all", "--sort", "-value", "--role", "lr", "--limit", "1", "--csv", "--store", store
    )
    assert [row["value"] for row in csv.DictReader(out.splitlines())] == ["1.0"]
    out, _ = ask(capsys, "agents", "--where", "used.lr>0", "--sort", "-activities", "--csv", "--store", store)
    assert out == "agent.id,activities,failed\nada,2,0\n"
    _, err = ask(capsys, "agents", "--sort", "nobody", "--store", store, code=2)
    assert "there is nothing to sort by called 'nobody'; there are agent.id, activities, failed" in err
    out, _ = ask(capsys, "campaigns", "--json", "--store", store)
    assert json.loads(out) == {"campaign_id": "c", "workflows": 0, "failed": 0}


def test_nothing_is_said_to_be_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty answer says so on standard error."""
    open_writer(str(tmp_path / "none.jsonl")).close()
    for command in ("entities", "agents", "campaigns"):
        out, err = ask(
            capsys, command, "--store", str(tmp_path / "none.jsonl"), *(["--all"] if command == "entities" else [])
        )
        assert out == ""
        assert err.startswith("provtel: ")


def test_sql(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A select is answered as a table or as JSON; a wrong one exits with 2 and says what is wrong."""
    question = "select name, sum(used.lr) as total, sum(1) as n, min(started_at) as first from tasks group by 1"
    out, _ = ask(capsys, "sql", question, "--json", "--store", store)
    assert json.loads(out) == {"name": "t,1", "total": 1.5, "n": 3, "first": "2026-09-21T14:13:20+00:00"}
    out, _ = ask(capsys, "sql", question, "--store", store)
    assert out.split()[:4] == ["name", "total", "n", "first"]
    _, err = ask(capsys, "sql", "select nope from tasks", "--store", store, code=2)
    assert "Referenced column" in err
    _, err = ask(capsys, "sql", "select 1 where false", "--store", store)
    assert err == "provtel: the answer has no rows\n"
