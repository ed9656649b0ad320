"""How long a process waits to end: not at all where all is acknowledged, and never longer than it may."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from provtel_model.components import Signal
from provtel_model.journal import find_journals
from provtel_model.journal.layout import DRAIN_LOCK_FILE
from provtel_model.journal.liveness import lock_file

from tests.instrumentation.otlp_server import OtlpServer, serving
from tests.instrumentation.programs import Stage

LONG = 50.0
"""What a process may wait in these tests, which is too long to be mistaken for a slow machine."""

BUSY_THREAD = """
import itertools, sys, threading, time
from provtel import task

@task
def step(number):
    return number

def live():
    def go_on():
        for number in itertools.count():
            step(number)
            if number == 1000:
                ready.set()

    ready = threading.Event()
    threading.Thread(target=go_on, daemon=True).start()
    ready.wait()
"""


@pytest.fixture
def server() -> Iterator[OtlpServer]:
    """Give a server that takes everything."""
    with serving() as running:
        yield running


@pytest.fixture
def shipping(stage: Stage, server: OtlpServer) -> Stage:
    """Give a stage whose programs ship to the server, and have all time to end."""
    stage.environment |= {"PROVTEL_ENDPOINT": server.endpoint, "PROVTEL_EXIT_TIMEOUT": f"{LONG:g}s"}
    return stage


POOL = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
    pool.submit(live).result()
"""
PROCESS = """
from multiprocessing import get_context
process = get_context("fork").Process(target=live)
process.start()
process.join()
"""
FORK = """
import os
if os.fork():
    sys.exit(os.wait()[1])
live()
"""


@pytest.mark.parametrize("end", ["live()", FORK, PROCESS, POOL], ids=["plain", "fork", "process", "pool"])
def test_thread_that_never_stops(shipping: Stage, server: OtlpServer, end: str) -> None:
    """A daemon thread that goes on recording keeps no process from its end, and nothing of it is lost or doubled."""
    began = time.monotonic()
    shipping.run(BUSY_THREAD + end, quiet=False)

    assert time.monotonic() - began < LONG / 2
    records = server.records + shipping.records()
    finished = Counter(record.used["number"] for record in records if record.status.value == "finished")
    assert sorted(finished) == list(range(len(finished)))
    assert set(finished.values()) == {1}
    assert len(finished) > 1000


def test_server_that_never_answers(shipping: Stage, server: OtlpServer) -> None:
    """A server that takes a request and says nothing is waited for as long as was said, and no longer."""

    def wait(_signal: Signal) -> tuple[int, dict[str, str], bytes]:
        time.sleep(LONG)
        return 200, {}, b""

    server.answer = wait
    shipping.environment["PROVTEL_EXIT_TIMEOUT"] = "1s"
    began = time.monotonic()
    outcome = shipping.run("from provtel import task\nwith task('kept'): pass", quiet=False)

    # The sender itself gives an answer ten seconds.
    assert time.monotonic() - began < 10
    assert "1 record of this process were not acknowledged" in outcome.stderr
    assert [record.name for record in shipping.records()] == ["kept"]


def test_what_the_dead_left_is_not_waited_for(shipping: Stage, server: OtlpServer) -> None:
    """A journal of another process that the server will never take is told of, and not as this process's own."""
    take = server.take

    def refuse_poison(signal: Signal, body: bytes) -> tuple[int, dict[str, str], bytes]:
        return (400, {}, b"poison") if b"poison" in body else take(signal, body)

    server.take = refuse_poison  # type: ignore[method-assign]  # it answers by what it gets
    shipping.run("import os\nfrom provtel import task\nwith task('poison'): pass\nos.kill(os.getpid(), 9)", code=-9)
    began = time.monotonic()
    outcome = shipping.run("from provtel import task\nwith task('good'): pass", quiet=False)

    assert time.monotonic() - began < LONG / 2
    assert "answered 400" in outcome.stderr
    assert "not acknowledged" not in outcome.stderr
    assert [record.name for record in server.records] == ["good"]
    assert [record.name for record in shipping.records()] == ["poison"]


@contextmanager
def taken(journal: Path) -> Iterator[None]:
    """Hold the lock of whoever drains a journal, as soon as nobody else does."""
    give_up_at = time.monotonic() + LONG
    while time.monotonic() < give_up_at:
        with lock_file(journal / DRAIN_LOCK_FILE, create=True) as mine:
            if mine:
                yield
                return
        time.sleep(0.01)
    raise TimeoutError


def test_journal_that_somebody_else_drains(shipping: Stage, server: OtlpServer) -> None:
    """While another process drains the journal ours cannot know what is acknowledged, and says so."""
    shipping.environment["PROVTEL_EXIT_TIMEOUT"] = "1s"
    process = shipping.start(
        """
        from provtel import task
        with task("first"):
            pass
        print("begun", flush=True)
        input()
        with task("second"):
            pass
        """
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        server.wait_for(lambda records: len(records) == 1)
        (journal,) = find_journals(shipping.store)
        with taken(journal):
            _, complaint = process.communicate("\n")

    assert re.search(r"1 record .* were not acknowledged .* \(another process is draining it\)", complaint)
    assert [record.name for record in shipping.records()] == ["second"]


@pytest.mark.parametrize("end", ["", "raise SystemExit", "import os; os.kill(os.getpid(), 15)"])
def test_nothing_to_wait_for(shipping: Stage, server: OtlpServer, end: str) -> None:
    """Where all was acknowledged while the program ran, it ends at once, and where it is killed too."""
    process = shipping.start(f"from provtel import task\nwith task('t'): pass\ninput()\n{end}")
    with process:
        server.wait_for(lambda records: len(records) == 1)
        began = time.monotonic()
        process.communicate("\n")

    assert time.monotonic() - began < LONG / 2
    assert len(server.records) == 1
