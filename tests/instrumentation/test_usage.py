"""What tasks cost beyond CPU time, with ``telemetry="full"``: the figures are those of what was done."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from provtel import task
from provtel.telemetry import usage
from provtel_model.anyvalue import AnyValue
from provtel_model.record import Record

from tests.instrumentation.programs import Stage

Recorded = Callable[[], list[Record]]

linux = pytest.mark.skipif(sys.platform != "linux", reason="the figures are those of Linux")
MB = 10**6
WORK = """
    import os, sys, time
    from provtel import task

    @task(telemetry="full")
    def burn(seconds):
        begun = time.thread_time()
        while time.thread_time() < begun + seconds:
            pass

    @task(telemetry="full")
    def allocate(size):
        return len(b"x" * size)

    @task(telemetry="full")
    def write(path, size):
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        for _ in range(size // 1_000_000):
            os.write(file, b"x" * 1_000_000)
        os.fsync(file)
        os.close(file)

    @task(telemetry="full")
    def work(path):
        end = time.thread_time() + 1
        allocate(200_000_000)
        write(path, 50_000_000)
        burn(end - time.thread_time())
    """
FIGURES = {"memory.rss", "memory.rss.peak", "io.read", "io.write", "context_switches"}


@pytest.fixture
def disk() -> Iterator[Path]:
    """Give a folder on a file system with storage, which the one for temporary files need not be."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # a folder of its own in it
        yield Path(folder)


@linux
def test_figures_are_right(stage: Stage, disk: Path) -> None:
    """A second of CPU, 200 MB of memory and 50 MB that were written are seen as that, within a tenth."""
    stage.run(WORK + f"\n    work({str(disk / 'data')!r})\n")
    records = stage.records()
    work, allocate, write, burn = (record.telemetry for record in records)

    for seen, seconds in ((work, 1), (burn, records[-1].used["seconds"])):
        assert seen["cpu.user"] + seen["cpu.system"] == pytest.approx(seconds, rel=0.1)
    for seen in (work, allocate):
        assert seen["memory.rss.peak"] == pytest.approx(200 * MB, rel=0.1)
        assert "memory.scope" not in seen
    for seen in (work, write):
        assert seen["io.write"] == pytest.approx(50 * MB, rel=0.1)
    assert write["context_switches"] > 0
    assert 0 < allocate["memory.rss"] < 200 * MB
    assert (burn["memory.scope"], burn["io.write"]) == ("process", 0)
    assert "cpu.scope" not in work


@linux
def test_peak_of_who_was_started_by_something_large(stage: Stage) -> None:
    """A process begins with the kernel's peak of the one that started it; its tasks do not."""
    stage.run(
        WORK
        + """
    import subprocess
    if len(sys.argv) == 1:
        len(b"x" * 400_000_000)
        subprocess.run([sys.executable, __file__, "small"], check=True)
    else:
        allocate(200_000_000)
        burn(0)
    """
    )
    allocate, burn = (record.telemetry for record in stage.records())

    assert allocate["memory.rss.peak"] == pytest.approx(200 * MB, rel=0.1)
    assert "memory.scope" not in allocate
    assert burn["memory.scope"] == "process"
    assert 200 * MB < burn["memory.rss.peak"] < 400 * MB


@linux
def test_children(recorded: Recorded) -> None:
    """What a child process cost that was waited for is told apart; without children nothing is said of them."""
    spin = "import time\nwhile time.process_time() < 0.3: pass"

    @task(telemetry="full")
    def run() -> None:
        subprocess.run([sys.executable, "-c", spin], check=True)

    @task(telemetry="full")
    def alone() -> None: ...

    run()
    alone()
    ran, none = (record.telemetry for record in recorded())

    assert ran["children.cpu.user"] + ran["children.cpu.system"] == pytest.approx(0.3, rel=0.2)
    assert ran["cpu.user"] + ran["cpu.system"] < 0.1
    assert {"children.io.read", "children.io.write"} <= ran.keys()
    assert not [key for key in none if key.startswith("children")]


@linux
def test_every_kind_of_task(recorded: Recorded) -> None:
    """Functions, blocks, generators and coroutines have them; where a thread is shared they are the process's."""

    @task(telemetry="full")
    def generator() -> Iterator[int]:
        yield 1
        yield 2

    @task(telemetry="full")
    async def coroutine() -> int:
        with task("inside", telemetry="full"):
            return 1

    @task(telemetry="full")
    async def stream() -> AsyncIterator[int]:
        yield 1

    async def main() -> None:
        await coroutine()
        assert [number async for number in stream()] == [1]

    @task(telemetry="full")
    def fails() -> None:
        raise ValueError("no")

    with task("block", telemetry="full"):
        pass
    list(generator())
    asyncio.run(main())
    with pytest.raises(ValueError, match="no"):
        fails()
    records = recorded()

    assert [record.name for record in records] == ["block", "generator", "coroutine", "inside", "stream", "fails"]
    assert all(record.telemetry.keys() >= FIGURES | {"cpu.user", "cpu.system"} for record in records)
    shared = [record.name for record in records if record.telemetry.get("cpu.scope") == "process"]
    assert shared == ["coroutine", "inside", "stream"]


@linux
def test_generator_adds_up(recorded: Recorded, disk: Path) -> None:
    """What a generator costs is that of its own steps, and not of what runs between them."""

    def write(name: str) -> None:
        (disk / name).write_bytes(b"x" * 4 * MB)

    @task(telemetry="full")
    def generator() -> Iterator[str]:
        for name in ("a", "b"):
            write(name)
            yield name

    for name in generator():
        write(name * 2)
    (record,) = recorded()

    assert record.telemetry["io.write"] == pytest.approx(8 * MB, rel=0.1)


@linux
def test_own_thread(recorded: Recorded, disk: Path) -> None:
    """I/O of another thread at the same time is not the task's."""
    import threading

    @task(telemetry="full")
    def write(size: int) -> None:
        (disk / str(size)).write_bytes(b"x" * size)

    with task("waits", telemetry="full"):
        thread = threading.Thread(target=write, args=(8 * MB,))
        thread.start()
        thread.join()
    waits, writes = (record.telemetry["io.write"] for record in recorded())

    assert waits < MB
    assert writes == pytest.approx(8 * MB, rel=0.1)


def test_levels(stage: Stage) -> None:
    """A task is measured as it says, else as the setting says; where that is off, nothing is."""
    program = """
        from provtel import task

        for wanted in (None, True, False, "off", "cpu", "full"):
            @task(name=str(wanted), telemetry=wanted)
            def function(): pass
            function()
        """
    seen = {}
    for setting in ("off", "cpu", "full", "true", "false"):
        stage.environment["PROVTEL_TELEMETRY"] = setting
        stage.run(program)
        seen[setting] = [
            "off" if not record.telemetry else "full" if "context_switches" in record.telemetry else "cpu"
            for record in stage.records()
        ]

    assert seen == {
        "off": ["off"] * 6,
        "cpu": ["cpu", "cpu", "off", "off", "cpu", "full"],
        "full": ["full", "full", "off", "off", "cpu", "full"],
        "true": ["cpu", "cpu", "off", "off", "cpu", "full"],
        "false": ["off"] * 6,
    }


@pytest.mark.parametrize("wrong", ["ful", "", 1.5, [1], "FULL"])
def test_unknown_level(wrong: object) -> None:
    """A word that is no level is refused where it is written, and the levels are named."""
    with pytest.raises(ValueError, match=r"telemetry=.*: write 'off', 'cpu' or 'full'"):
        task(telemetry=wrong)  # type: ignore[call-overload]  # the test's point


@linux
def test_forked_child_measures_itself(stage: Stage) -> None:
    """A forked child asks for its own memory: neither its parent's nor, when that is gone, nobody's."""
    stage.run("""
        import os, sys
        from provtel import task

        @task(telemetry="full")
        def weigh(): pass

        ballast = b"x" * 300_000_000
        weigh()
        if os.fork():
            os._exit(0)
        del ballast
        weigh()
        os._exit(0)
        """)
    deadline = time.monotonic() + 20
    records = stage.records()
    while len([record for record in records if record.ended_at]) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        records += stage.records()
    parent, child = (record.telemetry["memory.rss"] for record in records if record.ended_at)

    assert parent > 300 * MB
    assert child < 200 * MB


@linux
def test_closed_descriptors_do_no_harm(stage: Stage) -> None:
    """Where the program closes every descriptor, its files are neither read nor closed, and memory is known again."""
    outcome = stage.run("""
        import os
        from provtel import task

        @task(telemetry="full")
        def weigh(): pass

        weigh()
        os.closerange(3, 100)
        theirs = [os.open("program.py", os.O_RDONLY) for _ in range(20)]
        weigh()
        weigh()
        print([os.lseek(number, 0, os.SEEK_CUR) for number in theirs] == [0] * 20)
        """)
    weights = [record.telemetry["memory.rss"] for record in stage.records()]

    assert outcome.stdout == "True\n"
    assert len(weights) == 3
    assert all(MB < weight < 1000 * MB for weight in weights)


@linux
def test_programs_do_not_inherit_the_file(stage: Stage) -> None:
    """What is kept open of ``/proc`` is closed in a program that is executed, and in a forked child of its own."""
    outcome = stage.run("""
        import os, subprocess, sys
        from provtel import task

        @task(telemetry="full")
        def weigh(): pass

        weigh()
        show = "import os; print([os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if n != '3'])"
        print(subprocess.run([sys.executable, "-c", show], close_fds=False, capture_output=True, text=True).stdout)
        if (child := os.fork()) == 0:
            names = [f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd")]
            print([os.readlink(name) for name in names if os.path.exists(name)], flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        """)

    assert "statm" not in outcome.stdout


def test_meter_keeps_nothing(recorded: Recorded) -> None:
    """Measuring leaves no object behind."""

    @task(telemetry="full")
    def nothing() -> None: ...

    def run() -> None:
        for _ in range(300):
            nothing()

    run()
    gc.collect()
    before = len(gc.get_objects())
    run()
    gc.collect()

    assert abs(len(gc.get_objects()) - before) < 30
    assert len(recorded()) == 600


@linux
def test_twins_agree() -> None:
    """The meter in Python and the compiled one tell the same keys, in the same order, of the same kinds."""
    program = """
import json
from provtel.telemetry import usage
from provtel_model.anyvalue import AnyValue
for meter in (usage.THREAD_METER, usage.PROCESS_METER):
    before = meter.start()
    kept = b"x" * 30_000_000
    *cpu, figures = meter.spent(before)
    print(json.dumps([[type(x).__name__ for x in cpu], {key: type(value).__name__ for key, value in figures.items()}]))
    print(figures["memory.rss.peak"] // 10_000_000, "memory.scope" in figures)
"""
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PROVTEL_PURE_PYTHON": pure},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for pure in ("", "1")
    ]

    assert told[0] == told[1]
    assert json.loads(told[0].splitlines()[0])[1].keys() == FIGURES


def test_combined_pieces() -> None:
    """Of two pieces what was used adds up, of memory the later figure holds, and of peaks the highest that rose."""
    first: dict[str, AnyValue] = {
        "cpu.scope": "process",
        "memory.rss": 5,
        "memory.rss.peak": 7,
        "io.read": 1,
        "context_switches": 2,
    }
    second: dict[str, AnyValue] = {
        "memory.rss": 6,
        "memory.rss.peak": 100,
        "memory.scope": "process",
        "io.read": 3,
        "context_switches": 0,
    }

    assert usage.combined(first, second) == {**first, "memory.rss": 6, "io.read": 4}
    assert usage.combined(second, second)["memory.scope"] == "process"
    assert usage.combined({"cpu.scope": "process"}, second) == {"cpu.scope": "process", **second}
