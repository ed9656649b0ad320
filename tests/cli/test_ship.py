"""`provtel ship`: sends what stayed behind to a real collector, and says what stays."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from provtel_model.components import Signal

from tests.end_to_end.processes import PROVTEL, Place, collecting, free_address
from tests.instrumentation.otlp_server import serving

PROGRAM = """
import os, sys
from provtel import task, workflow

@task
def step(number):
    return 2 * number

with workflow("ended"):
    for number in range(20):
        step(number)
with task("open"):
    os.kill(os.getpid(), int(sys.argv[1]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a folder in which a program was killed that should have shipped to where nobody was."""
    place = Place(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    return place


def _die(place: Place, endpoint: str | None) -> None:
    variables = {"PROVTEL_ENDPOINT": endpoint} if endpoint else {}
    place.run("program.py", str(signal.SIGKILL.value), expected=-signal.SIGKILL, **variables)


def _ship(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROVTEL, "ship", *arguments],
        cwd=place.folder,
        env=place.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_stayed_behind_is_sent(place: Place, tmp_path: Path) -> None:
    """Once the collector is there, everything is sent to it, once: what ended as ended, what was open as lost."""
    (tmp_path / "collector").mkdir()
    collectors = Place(tmp_path / "collector")
    with collecting(collectors) as collector:
        _die(place, collector.endpoint)
        _die(place, None)
        sent = _ship(place, "--json")
        again = _ship(place)
        found = collectors.activities()

    (shipment,) = map(json.loads, sent.stdout.splitlines())
    assert (shipment["sent"], shipment["left"], shipment["reason"]) == (23, 0, "")  # with the list of distributions
    assert (shipment["endpoint"], sent.stderr, sent.returncode) == (collector.endpoint, "", 0)
    assert sorted((record["name"], record["status"]) for record in found) == [
        *[("ended", "finished"), ("open", "lost")],
        *[("step", "finished")] * 20,
    ]
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == f"provtel: nothing waits in {place.store} to be sent to an endpoint\n"
    assert len(place.journals()) == 1


def test_another_endpoint(place: Place) -> None:
    """An endpoint that is named gets everything that waits, also what was to go to the store."""
    _die(place, "http://127.0.0.1:1")
    _die(place, None)
    with serving() as server:
        done = _ship(place, "--endpoint", server.endpoint)

    assert done.returncode == 0
    assert done.stdout.count(server.endpoint) == 2
    assert len({record.id for record in server.records}) == len(server.records) == 44
    assert place.journals() == []


def test_nobody_there(place: Place) -> None:
    """Where nobody answers, everything stays, is told with how much it is, and the command fails."""
    _die(place, f"http://{free_address()}")
    _die(place, f"http://{free_address()}")
    done = _ship(place, "--json")

    assert done.returncode == 1
    assert [json.loads(line)["left"] for line in done.stdout.splitlines()] == [22, 22]
    assert done.stderr.startswith(f"provtel: 44 records could not be sent and stay in {place.store}: http://127.0.0.1:")
    assert "cannot be reached" in done.stderr
    assert len(place.journals()) == 2


def test_endpoint_that_takes_no_logs(place: Place) -> None:
    """What ended is sent to an endpoint without logs; what was lost stays, and the reason is told."""
    with serving() as server:
        server.answer = lambda signal_: (404, {}, b"") if signal_ is Signal.LOGS else (200, {}, b"")
        _die(place, server.endpoint)
        done = _ship(place, "--json")

    (shipment,) = map(json.loads, done.stdout.splitlines())
    assert (shipment["sent"], shipment["left"], done.returncode) == (21, 1, 1)
    assert "answered 404" in shipment["reason"]


def test_living_process_is_left_to_itself(place: Place) -> None:
    """The journal of a process that runs is its own to ship; that is told, and is no failure."""
    program = "from provtel import task\nwith task('a'): print('begun', flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=place.environment(PROVTEL_ENDPOINT="http://127.0.0.1:1", PROVTEL_EXIT_TIMEOUT="100ms"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        done = _ship(place)
        process.kill()

    assert done.returncode == 0
    assert "its process still runs" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--endpoint", "localhost:4318"), "write an address such as http://localhost:4318"),
        (("--store", "mongodb://host"), "journals wait in a store folder"),
    ],
)
def test_wrong_use(place: Place, arguments: tuple[str, ...], message: str) -> None:
    """An address that is none is told with one that would be; the exit code is 2."""
    done = _ship(place, *arguments)

    assert done.returncode == 2
    assert message in done.stderr
