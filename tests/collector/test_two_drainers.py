"""Drainers of the same journals never race: each record comes to one of them, and once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from provtel_model.components import Batch, Signal
from provtel_model.errors import RetryableError
from provtel_model.journal import JournalDrainer, find_journals
from provtel_model.otlp import check, decode
from provtel_model.otlp.json_codec import from_json

from tests.collector.journals import add_to_journal, living, write_journal
from tests.collector.running import provtel, running
from tests.services.otelcol.server import free_ports

VICTIMS = 6
TASKS = 400
SECONDS = 60
PROGRAM = f"""
import os, signal, sys, time
from provtel import task, workflow

with workflow("w"):
    for number in range({TASKS}):
        with task("step", used={{"number": number}}):
            pass
        if number % 50 == 0:
            time.sleep(0.02)
    if sys.argv[1] == "kill":
        with task("unended"):
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_drainers_take_turns(tmp_path: Path) -> None:
    """Of two that drain one journal in turns, neither gives what the other gave, however far each had read."""
    journal = write_journal(tmp_path, goal=tmp_path)
    given: list[str] = []

    def take(batch: Batch) -> None:
        given.extend(record["span_id"] for record in decode(batch) if batch.signal is Signal.TRACES)

    drainers = [JournalDrainer(journal), JournalDrainer(journal)]
    with living(journal):
        for number, turn in enumerate((0, 1, 1, 0, 1, 0, 0, 1), 2):
            outcome = drainers[turn].drain(take)
            assert outcome.skipped is None
            add_to_journal(journal, number)

    assert given == [f"{number:016x}" for number in range(1, 9)]


def test_refusal_of_one_is_the_turn_of_the_other(tmp_path: Path) -> None:
    """What one could not deliver the other does, and the first does not come back to it."""
    journal = write_journal(tmp_path, goal=tmp_path, ended=3)
    given: list[Batch] = []

    def refuse(_batch: Batch) -> None:
        raise RetryableError("full")

    first, second = JournalDrainer(journal), JournalDrainer(journal)
    with living(journal):
        with pytest.raises(RetryableError):
            first.drain(refuse)
        second.drain(given.append)
        first.drain(given.append)

    assert [batch.items for batch in given] == [3]


def test_two_collectors(tmp_path: Path) -> None:
    """Two collectors on the journals of the same processes, some killed, keep every task once, and leave no journal."""
    store = tmp_path / "store"
    environment = {"PROVTEL_STORE": str(store), "XDG_STATE_HOME": str(tmp_path / "state")}
    (tmp_path / "program.py").write_text(PROGRAM)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "collector.yaml").write_text(json.dumps(document(tmp_path / name / "kept.jsonl")))
    command = provtel("collector", "--config", "collector.yaml")
    with running(command, tmp_path / "a", **environment), running(command, tmp_path / "b", **environment):
        victims = [
            subprocess.Popen(
                [sys.executable, "program.py", "kill" if number % 2 else "live"],
                cwd=tmp_path,
                env={**os.environ, **environment},
            )
            for number in range(VICTIMS)
        ]
        codes = sorted(victim.wait(SECONDS) for victim in victims)
        wait_until_drained(store)
        time.sleep(0.5)

    assert codes == [-signal.SIGKILL] * (VICTIMS // 2) + [0] * (VICTIMS // 2)
    kept = [record for name in ("a", "b") for record in records(tmp_path / name / "kept.jsonl")]
    ended = Counter(f"{record['trace_id']}-{record['span_id']}" for record in kept if "ended_at" in record)
    lost = {record["name"] for record in kept if record["status"] == "lost"}
    assert len(ended) == VICTIMS * TASKS + VICTIMS // 2
    assert set(ended.values()) == {1}
    assert lost == {"unended", "w"}


def document(file: Path, otlp: int = 0, **settings: bool) -> dict[str, object]:
    """Return the configuration of a collector that keeps in a file what journals have, or what is sent to it."""
    journal = {"journal": {"poll_interval": "20ms", **settings}}
    receivers = {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}} if otlp else journal
    pipeline = {"receivers": list(receivers), "exporters": ["file"]}
    return {
        "receivers": receivers,
        "exporters": {"file": {"path": str(file)}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": pipeline, "logs": pipeline},
        },
    }


def wait_until_drained(store: Path) -> None:
    """Wait until no journal is left."""
    deadline = time.monotonic() + SECONDS
    while find_journals(store):
        assert time.monotonic() < deadline, find_journals(store)
        time.sleep(0.05)


def records(file: Path) -> list[dict[str, object]]:
    """Return the records that a file of OTLP has."""
    found: list[dict[str, object]] = []
    for line in file.read_bytes().splitlines():
        kind = Signal.TRACES if b'"resourceSpans"' in line[:30] else Signal.LOGS
        found.extend(map(dict, decode(check(kind, from_json(kind, line)))))
    return found


def test_shipper_and_collector(tmp_path: Path) -> None:
    """A process that ships to one collector and is followed by another gives each task to one of them, and once."""
    (otlp,) = free_ports(1)
    environment = {"XDG_STATE_HOME": str(tmp_path / "state"), "PROVTEL_STORE": str(tmp_path / "store")}
    (tmp_path / "program.py").write_text(PROGRAM)
    shipped_to = document(tmp_path / "shipped" / "kept.jsonl", otlp=otlp)
    follows = document(tmp_path / "followed" / "kept.jsonl", registered=True, follow=True)
    for name, configuration in (("shipped", shipped_to), ("followed", follows)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "collector.yaml").write_text(json.dumps(configuration))
    command = provtel("collector", "--config", "collector.yaml")
    with running(command, tmp_path / "shipped", **environment), running(command, tmp_path / "followed", **environment):
        for mode, code in (("live", 0), ("kill", -signal.SIGKILL)):
            victim = subprocess.run(
                [sys.executable, "program.py", mode],
                cwd=tmp_path,
                env={**os.environ, **environment, "PROVTEL_ENDPOINT": f"http://127.0.0.1:{otlp}"},
                check=False,
                timeout=SECONDS,
            )
            assert victim.returncode == code
        wait_until_drained(tmp_path / "store")
        time.sleep(0.5)

    kept = {name: records(tmp_path / name / "kept.jsonl") for name in ("shipped", "followed")}
    ended = Counter(record["span_id"] for found in kept.values() for record in found if "ended_at" in record)
    assert len(ended) == 2 * TASKS + 1
    assert set(ended.values()) == {1}
    assert {record["name"] for record in kept["followed"] if record["status"] == "lost"} == {"unended", "w"}
