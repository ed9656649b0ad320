"""The command that follows a store, as a process that is interrupted."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from provtel_query.stores import open_writer

from tests.cli.conftest import Ask
from tests.exporters.records import numbered
from tests.services.mongodb.server import Mongodb


@contextmanager
def watching(*arguments: str, out: IO[bytes] | int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """Run the command, and see that it does not outlive the test."""
    command = [sys.executable, "-m", "provtel_cli.main", "watch", *arguments]
    process = subprocess.Popen(command, text=True, stdout=out, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupt(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Press Ctrl-C; return what was left of the output."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    return out, err


@pytest.fixture
def location(folder: Path) -> str:  # noqa: ARG001  # works in it
    """Work in a folder where a file is a store of two records."""
    writer = open_writer("x.jsonl")
    writer.write([numbered(1, status="running"), numbered(2)])
    writer.close()
    return "x.jsonl"


def test_what_comes_is_shown_once_and_goes_on(location: str) -> None:
    """From the beginning, what is there comes, and what comes then; the cursor of a line goes on behind it."""
    with watching("--store", location, "--json", "--since", "beginning") as process:
        assert process.stdout is not None
        first = [json.loads(process.stdout.readline()) for _ in range(2)]
        writer = open_writer(location)
        writer.write([numbered(1), numbered(3)])
        writer.close()
        second = [json.loads(process.stdout.readline()) for _ in range(2)]
        out, err = interrupt(process)

    assert [record["used"]["number"] for record in (*first, *second)] == [1, 2, 1, 3]
    assert [record["status"] for record in (*first, *second)] == ["running", "finished", "finished", "finished"]
    assert (out, err.strip()) == ("", "")
    with watching("--store", location, "--json", "--since", first[1]["cursor"]) as process:
        assert process.stdout is not None
        again = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert again == second


def test_only_what_matches_and_is_new(location: str) -> None:
    """By default nothing of what is there is shown; a filter chooses of what comes, and Ctrl-C says how to go on."""
    number = 10
    with (
        Path("shown").open("wb") as file,
        watching("--store", location, "--where", "status=error", out=file) as process,
    ):
        while not Path("shown").read_text():  # it may not have looked for the first time yet
            writer = open_writer(location)
            error = {"type": "ValueError", "message": "bad\x1b[31m"}
            writer.write([numbered(number), numbered(number + 1, status="error", error=error)])
            writer.close()
            number += 2
            time.sleep(0.1)
        _, err = interrupt(process)
    shown = Path("shown").read_text()

    assert "ValueError" in shown
    assert "finished" not in shown
    assert "\x1b" not in shown
    assert "provtel: to go on from here: provtel watch --since " in err


def test_a_person_sees_lines_in_colour(location: str) -> None:
    """On a terminal a line has the state, the name, what was used and generated."""
    leader, follower = pty.openpty()
    with watching("--store", location, "--since", "beginning", out=follower) as process:
        os.close(follower)
        seen = b""
        while b"text of number 2" not in seen:
            seen += os.read(leader, 4096)
        interrupt(process)
    os.close(leader)

    assert b"running" in seen
    assert b"\x1b[" in seen
    assert b"task 2" in seen


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--since", "nonsense"), 2, "'nonsense' is no cursor of this store"),
        (("--where", "nothing=1"), 2, "no field is named 'nothing'"),
        (("--store", "missing.jsonl"), 1, "there is no file"),
    ],
)
def test_what_cannot_be_watched_is_told(location: str, ask: Ask, arguments: list[str], code: int, says: str) -> None:
    """A slip is an error that says what, and the command ends."""
    answer = ask("watch", "--store", location, *arguments)

    assert answer.code == code
    assert says in answer.err


@pytest.mark.usefixtures("folder")
def test_a_server_is_watched(mongodb: Mongodb) -> None:
    """A database is followed as a file is, and goes on from a cursor."""
    address = mongodb.new_database()
    writer = open_writer(address)
    writer.write([numbered(1, status="running")])
    with watching("--store", address, "--json", "--since", "beginning") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        writer.write([numbered(1), numbered(2)])
        second = [json.loads(process.stdout.readline()) for _ in range(2)]
        interrupt(process)
    with watching("--store", address, "--json", "--since", first["cursor"]) as process:
        assert process.stdout is not None
        again = [json.loads(process.stdout.readline()) for _ in range(2)]
    writer.close()

    assert (first["status"], [record["status"] for record in second]) == ("running", ["finished", "finished"])
    assert {record["id"] for record in again} == {record["id"] for record in second}
