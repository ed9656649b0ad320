"""The command line over a real store, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pytest
from provtel_cli.main import main
from provtel_exporters.lmdb import LmdbWriter
from provtel_model.store_folder import LMDB_FOLDER

from tests.query.activities import activity, quickstart

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_model.record import PlainRecord


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Return the lines of the output as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


Ask: TypeAlias = Callable[..., Answer]

OLDER = "bb" * 16


def older_run() -> list[PlainRecord]:
    """Return a run that began before the quickstart, of a task that succeeded and one that failed."""
    run: dict[str, Any] = {"trace_id": OLDER, "workflow_id": f"{OLDER}-{1:016x}", "workflow_name": "older"}
    error: dict[str, Any] = {"type": "ValueError", "message": "bad\x1b[31m rate", "stacktrace": "Traceback:\n  line 1"}
    return [
        activity(1, "older", at=(-9, -1), kind="workflow", **run),
        activity(2, "train", at=(-8, -6), used={"rate": 0.1}, telemetry={"cpu.user": 1.5}, parent=1, **run),
        activity(0xFACE, "train", at=(-5, -4.5), used={"rate": 9}, status="error", error=error, parent=1, **run),
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder whose store is empty, with a state folder of its own, in UTC."""
    monkeypatch.delenv("PROVTEL_STORE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".provtel").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def filled(folder: Path) -> Path:
    """Work in a folder whose store holds the quickstart and an older run."""
    fill(folder / ".provtel", [*quickstart(), *older_run()])
    return folder


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Return how to call the command."""

    def call(*arguments: str) -> Answer:
        code = main(arguments)
        return Answer(code, *capsys.readouterr())

    return call


def fill(store: Path, records: list[PlainRecord]) -> None:
    """Write records into a store."""
    writer = LmdbWriter(store / LMDB_FOLDER)
    writer.write(records)
    writer.close()
