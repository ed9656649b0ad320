"""The checklist of a capture library, continued: what becomes of values, of records in bad times, and of ids."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
import multiprocessing
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pytest
from provtel import ids, task
from provtel_model.journal import drain_journal, find_journals
from provtel_model.record import Record
from provtel_model.values import ObjectValue, Reference

from tests.instrumentation.hostile import Meddling, Unprintable
from tests.instrumentation.otlp_server import serving
from tests.instrumentation.programs import Stage
from tests.instrumentation.twins import failing_ids

Recorded = Callable[[], list[Record]]


class Colour(enum.Enum):
    """An enumeration."""

    RED = "r"


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int
    tags: set[str]


@task
def keep(value: Any) -> Any:
    """Take and return a value."""
    return value


HERE = __name__
NOON = dt.datetime(2026, 5, 4, 12, 0, 0, 123456, tzinfo=dt.timezone(dt.timedelta(hours=2)))


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.int64(-7), -7),
        (np.bool_(False), False),  # the value is the test
        (NOON, NOON),
        (NOON.date(), NOON.date()),
        (dt.timedelta(seconds=1.5), dt.timedelta(seconds=1.5)),
        (Path("/a/b c"), Path("/a/b c")),
        (b"\x00\xff", b"\x00\xff"),
        ({1, 2}, {1, 2}),
        (frozenset("a"), frozenset("a")),
        ((1, (2, [3])), (1, (2, [3]))),
        (Colour.RED, ObjectValue(f"{HERE}.Colour", {"name": "RED", "value": "r"})),
        (Point(1, {"t"}), ObjectValue(f"{HERE}.Point", {"x": 1, "tags": {"t"}})),
        (Decimal("1.10"), Decimal("1.10")),
        (UUID(int=7), UUID(int=7)),
        (1 + 2j, 1 + 2j),
        ({1: "a", (2, 3): "b", None: "c"}, {1: "a", (2, 3): "b", None: "c"}),
        (2**63, 2**63),
        (-(10**100), -(10**100)),
        ({"$set": 1, "a.b": {"c.d": 2}, "": 3}, {"$set": 1, "a.b": {"c.d": 2}, "": 3}),
        ({"provtel.type": "mine"}, {"provtel.type": "mine"}),
        ("\ud800 é 🎉\x00", "\ud800 é 🎉\x00"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_11_values_are_preserved(recorded: Recorded, value: Any, kept: Any) -> None:
    """A value comes out of the journal as what it was, as input and as output."""
    assert keep(value) is value
    (record,) = recorded()

    for found in (record.used["value"], record.generated["result"] if type(value) is not dict else None):
        if found is not None:
            assert found == kept
            assert type(found) is type(kept)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324])
def test_11_special_floats(recorded: Recorded, value: float) -> None:
    """No float becomes null or another one, alone, in a container, or as NumPy's."""
    keep([value, {"x": value}, np.float64(value)])
    (record,) = recorded()

    assert repr(record.used["value"]) == repr([value, {"x": value}, value])


def test_11_arrays_and_frames(recorded: Recorded) -> None:
    """Arrays and frames become references with type, shape and size; equal content has an equal hash."""
    array = np.arange(6.0).reshape(2, 3)
    values = [array, array.copy(), array + 1, pd.DataFrame({"a": [1, 2], 3: ["x", "y"]}), pl.DataFrame({"a": [1, 2]})]
    for value in values:
        keep(value)
    same, copy, other, pandas, polars = (record.used["value"] for record in recorded())

    assert (same.type, same.shape, same.dtype, same.nbytes) == ("numpy.ndarray", (2, 3), "float64", 48)
    assert same.hash == copy.hash != other.hash
    assert str(same.hash).startswith("sha256:")
    assert (pandas.type.rpartition(".")[2], pandas.shape) == ("DataFrame", (2, 2))
    assert (polars.type.rpartition(".")[2], polars.shape) == ("DataFrame", (2, 1))


def test_11_circles_and_depth(recorded: Recorded) -> None:
    """What contains itself, or is nested without end, is bounded."""
    circle: list[Any] = [1]
    circle.append(circle)
    deep: Any = "bottom"
    for _ in range(10_000):
        deep = {"deeper": deep}
    keep(circle)
    keep(deep)
    first, second = recorded()

    assert first.used["value"][0] == 1
    assert isinstance(first.used["value"][1], Reference)
    assert second.status.value == "finished"


@pytest.mark.parametrize(
    "make",
    ["'x' * 100_000_000", "bytes(100_000_000)", "np.ones(12_500_000)", "[1.5] * 12_500_000"],
    ids=["text", "bytes", "array", "list"],
)
def test_11_payloads_of_100_megabytes(stage: Stage, make: str) -> None:
    """A value of 100 MB becomes a reference of a few bytes that knows its size, and costs a moment."""
    outcome = stage.run(
        f"""
        import time
        import numpy as np
        from provtel import task

        @task
        def keep(value):
            pass

        keep(1)
        value = {make}
        began = time.monotonic()
        keep(value)
        print(time.monotonic() - began)
        """
    )
    (journal,) = find_journals(stage.store)
    _, record = stage.records()
    kept = record.used["value"]

    assert float(outcome.stdout) < 5
    assert isinstance(kept, Reference)
    assert kept.hash is None or kept.hash.startswith(("sha256:", "fp1:"))
    assert kept.shape or kept.nbytes
    assert len(str(kept)) < 1000
    assert not journal.exists()


def test_11_secrets(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is named like a secret, or is one of the environment's, is nowhere in the record."""
    monkeypatch.setenv("SERVICE_TOKEN", "t0ken-of-the-environment")

    @task(outputs="api_key")
    def log_in(user: str, password: str, *, options: dict[str, Any]) -> str:
        del user, password, options
        return "hunter5"

    log_in("anna", "hunter2", options={"deep": [{"secret": "hunter3"}], "url": "postgres://anna:hunter4@db/x"})
    with task("block", used={"text": "with t0ken-of-the-environment"}):
        pass
    records = recorded()
    everything = str([record.plain for record in records])

    assert "anna" in everything
    for secret in ("hunter2", "hunter3", "hunter4", "hunter5", "t0ken"):
        assert secret not in everything


STEPS = """
import sys, time
from provtel import task

@task
def step(x):
    return x

def say(*words):
    print(*words, flush=True)
    return input()
"""


def test_12_broker_is_absent_at_the_start(stage: Stage) -> None:
    """With nobody at the endpoint the program runs as ever and ends; a server that comes later gets all of it."""
    with serving() as server:
        port = server.port
    stage.environment |= {"PROVTEL_ENDPOINT": f"http://127.0.0.1:{port}", "PROVTEL_EXIT_TIMEOUT": "300ms"}
    outcome = stage.run(STEPS + "print(sum(step(x) for x in range(100)))", quiet=False)
    stage.environment["PROVTEL_EXIT_TIMEOUT"] = "30s"
    with serving(port) as back:
        stage.run(STEPS + "step(100)")

    assert outcome.stdout == "4950\n"
    assert outcome.stderr.count("\n") == 1
    assert sorted(record.used["x"] for record in back.records) == list(range(101))


def test_12_broker_restarts_in_the_middle(stage: Stage) -> None:
    """A server that goes away and comes back costs no record, and doubles none."""
    with serving() as first:
        port = first.port
        stage.environment |= {"PROVTEL_ENDPOINT": first.endpoint, "PROVTEL_EXIT_TIMEOUT": "30s"}
        process = stage.start(
            STEPS
            + "for x in range(50): step(x)\nsay('before')\nfor x in range(50, 100): step(x)\nsay('while')\n"
            + "for x in range(100, 150): step(x)\n"
        )
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        first.wait_for(lambda records: len(records) == 50)
    process.stdin.write("\n")
    process.stdin.flush()
    process.stdout.readline()
    time.sleep(1.2)
    with serving(port) as second, process:
        process.communicate("\n")
    seen = Counter(record.used["x"] for record in first.records + second.records)

    assert process.returncode == 0
    assert seen == dict.fromkeys(range(150), 1)


@pytest.mark.parametrize("ending", [f"os.kill(os.getpid(), {signal.SIGKILL.value})", "os._exit(0)", "sys.exit()", ""])
def test_12_ends_of_a_process(stage: Stage, ending: str) -> None:
    """Killed or ended in any way, with no word of goodbye, a process has lost no task that had ended."""
    stage.run(
        STEPS + f"import os\nfor x in range(100): step(x)\ntask('open').start()\n{ending}",
        code=-signal.SIGKILL if "kill" in ending else 0,
    )
    *steps, last = stage.records()

    assert [record.used["x"] for record in steps if record.status.value == "finished"] == list(range(100))
    assert (last.name, last.status.value) == ("open", "lost")


def test_12_disk_is_full(stage: Stage) -> None:
    """On a full disk the program goes on, and what was written before is there."""
    outcome = stage.run(
        "import errno, os\nfrom provtel import journal_folder\njournal_folder.SEGMENT_SIZE = 8192\n"
        + STEPS
        + "step(0)\n"
        + "def refuse(*_): raise OSError(errno.ENOSPC, 'No space left on device')\nos.posix_fallocate = refuse\n"
        + "print(sum(step(x) for x in range(1, 1000)))",
        quiet=False,
    )
    kept = [record.used["x"] for record in stage.records()]

    assert outcome.stdout == f"{sum(range(1000))}\n"
    assert outcome.stderr.count("\n") == 1
    assert kept == list(range(len(kept)))
    assert 1 <= len(kept) < 1000


def test_12_one_bad_record_loses_no_other(recorded: Recorded) -> None:
    """Neither a value that is of no use, nor a failure of ours, nor odd words cost the records around them."""

    def broken(*_: object) -> None:
        raise MemoryError

    for number in range(10):
        keep(number)
        keep(Unprintable())
        keep([Meddling(), {"\ud800": Meddling}])
        with task("\ud800 odd", tags=("\ud800",), used={"\ud800": 1}) as odd:
            odd.set_attribute("", object())
            odd.generated(**{"\ud800": b"\xff"})
        with failing_ids(broken):
            keep("not recorded")
    records = recorded()

    assert [record.used["value"] for record in records if type(record.used.get("value")) is int] == list(range(10))
    assert len(records) == 40
    assert {record.status.value for record in records} == {"finished"}


PROCESSES, THREADS = 4, 4


def make_ids(folder: Path, name: str, each: int) -> None:
    """Make ids in several threads at once, and write them to files."""

    def make(number: int) -> None:
        spans = np.fromiter((ids.new_span_id() for _ in range(each)), np.uint64, each)
        traces = [ids.new_trace_id() for _ in range(1000)]
        np.save(folder / f"{name}-{number}.npy", spans)
        (folder / f"{name}-{number}.traces").write_bytes(b"".join(traces))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("each", [20_000, pytest.param(640_000, marks=pytest.mark.long)])
def test_13_ids_are_unique(tmp_path: Path, each: int) -> None:
    """Ids of processes, forked and spawned, and threads at the same time are all different; in the long run 10^7."""
    ids.new_span_id()
    processes = [
        multiprocessing.get_context("fork" if number % 2 else "spawn").Process(  # type: ignore[attr-defined]  # both have it
            target=make_ids, args=(tmp_path, str(number), each)
        )
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    spans = np.concatenate([np.load(path) for path in tmp_path.glob("*.npy")])
    traces = b"".join(path.read_bytes() for path in tmp_path.glob("*.traces"))

    assert len(spans) == PROCESSES * THREADS * each
    assert len(np.unique(spans)) == len(spans)
    assert spans.all()
    assert len({traces[at : at + 16] for at in range(0, len(traces), 16)}) == PROCESSES * THREADS * 1000


def test_13_ids_of_tasks(stage: Stage) -> None:
    """Tasks of forked processes and their threads have different ids, whichever way a call goes."""
    stage.run(
        """
        import os, random, threading
        from provtel import task
        random.seed(1)

        @task
        def step(x):
            return x

        step(0)
        for _ in range(5):
            if not (pid := os.fork()):
                random.seed(1)
                threads = [threading.Thread(target=lambda: [step(x) for x in range(500)]) for _ in range(4)]
                [thread.start() for thread in threads]
                [thread.join() for thread in threads]
                os._exit(0)
            os.waitpid(pid, 0)
        """
    )
    found: list[str] = []
    for journal in find_journals(stage.store):
        drain_journal(journal, lambda batch: found.extend(_ids(batch)))

    assert len(found) == len(set(found)) == 1 + 5 * 4 * 500


def _ids(batch: Any) -> list[str]:
    from provtel_model.otlp import decode

    return [plain["span_id"] for plain in decode(batch)]
