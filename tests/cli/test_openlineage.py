"""`provtel export --format openlineage`, and back with `provtel ingest`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.cli.conftest import fill
from tests.query.activities import quickstart

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Ask


def test_there_and_back(folder: Path, ask: Ask) -> None:
    """A run that is exported and ingested elsewhere is the same there, and stays it when ingested again."""
    fill(folder / ".provtel", quickstart())
    printed = ask("export", "--format", "openlineage").out
    answer = ask("export", "--format", "openlineage", "-o", "run.jsonl", "--json")

    assert answer.objects == [{"format": "openlineage", "output": "run.jsonl", "events": 6}]
    assert (folder / "run.jsonl").read_text() == printed

    first, again = (
        ask("ingest", "run.jsonl", "--format", "openlineage", "--store", "other", "--json").objects[0]["records"]
        for _ in range(2)
    )
    assert (first, again) == ({"stored": 3, "duplicates": 0}, {"stored": 0, "duplicates": 3})
    assert ask("tasks", "--json", "--store", "other").out == ask("tasks", "--json").out


def test_what_is_malformed(folder: Path, ask: Ask) -> None:
    """A file with a line that is no event says where, and nothing of it is stored; a list of events is taken too."""
    fill(folder / ".provtel", quickstart())
    events = ask("export", "--format", "openlineage").objects
    (folder / "list.json").write_text(json.dumps(events))
    (folder / "bad.jsonl").write_text(json.dumps(events[0]) + "\n{")

    answer = ask("ingest", "list.json", "bad.jsonl", "--format", "openlineage", "--store", "other")
    assert answer.code == 1
    assert "bad.jsonl: line 2 is no JSON" in answer.err
    assert not (folder / "other").exists()
    assert ask("ingest", "list.json", "--format", "openlineage", "--store", "other").code == 0
