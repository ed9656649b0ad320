"""What was started stays, whatever becomes of the process; a journal that cannot be written harms nobody."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from provtel import journal_folder, recording, segments, task, workflow, writer
from provtel_model.journal import find_journals, is_dead, registered_journals
from provtel_model.merge import merge
from provtel_model.record import PlainRecord, Record

from tests.instrumentation.programs import Stage

Recorded = Callable[[], list[Record]]

VICTIM = """
import os
import sys
from provtel import task, workflow

oracle = os.open("oracle", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

@task(outputs="double")
def step(number):
    os.write(oracle, b"begun %d\\n" % number)
    if number == 500:
        os.kill(os.getpid(), int(sys.argv[1])) if sys.argv[1] != "_exit" else os._exit(0)
    return 2 * number

def run():
    for number in range(1, 1001):
        step(number)
        os.write(oracle, b"done %d\\n" % number)

with workflow("thousand"):
    run()
"""


@pytest.mark.parametrize(
    ("how", "code"), [(str(signal.SIGKILL.value), -9), (str(signal.SIGTERM.value), -15), ("_exit", 0)]
)
def test_death_in_the_middle_of_a_task(stage: Stage, how: str, code: int) -> None:
    """Of 1000 tasks, killed in the 500th, 499 are finished with their values, one is lost, and the workflow is too."""
    stage.run(VICTIM, how, code=code)
    told = (stage.folder / "oracle").read_text().splitlines()
    workflow_record, *tasks = stage.records()

    finished = [record for record in tasks if record.status.value == "finished"]
    assert [f"done {record.used['number']}" for record in finished] == [line for line in told if "done" in line]
    assert [record.generated["double"] for record in finished] == [2 * number for number in range(1, 500)]
    (lost,) = [record for record in tasks if record.status.value == "lost"]
    assert (lost.used, lost.generated, lost.ended_at) == ({"number": 500}, {}, None)
    assert lost.last_seen_at is not None
    assert finished[-1].ended_at is not None
    assert lost.last_seen_at >= finished[-1].ended_at
    assert workflow_record.status.value == "lost"
    assert find_journals(stage.store) == []


def test_running_task_is_seen_by_others(stage: Stage) -> None:
    """While a process runs, its open tasks are there as running, again and again; when it is gone, as ended."""
    process = stage.start(
        """
        from provtel import task
        with task("patient", used={"x": 1}):
            print("begun", flush=True)
            input()
        """
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        seen = [stage.records() for _ in range(2)]
        (journal,) = find_journals(stage.store)
        assert not is_dead(journal)
        process.kill()

    assert [[record.status.value for record in records] for records in seen] == [["running"], ["running"]]
    assert seen[0][0].used == {"x": 1}
    assert [record.status.value for record in stage.records()] == ["lost"]


def test_segments_change_and_open_tasks_go_along(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over many segments nothing is lost, and what runs over all of them is recorded once."""
    monkeypatch.setattr(journal_folder, "SEGMENT_SIZE", 4096)

    @task
    def step(number: int, text: str) -> tuple[int, str]:
        return number, text

    with workflow("long", campaign="c"):
        for number in range(500):
            step(number, "x" * (number % 40) * 100)
    long, *steps = recorded()

    assert [record.used["number"] for record in steps] == list(range(500))
    assert {record.workflow_id for record in steps} == {long.id}
    assert {(record.name, record.status.value, record.campaign_id) for record in steps} == {("step", "finished", "c")}
    assert long.status.value == "finished"


def test_what_starts_after_the_end(recorded: Recorded) -> None:
    """A journal is closed only where nothing is open; what was about to start in it then begins another one."""
    with task("first"):
        used = _writer()
        assert not used.close_idle()
        first = used.folder
    assert used.close_idle()
    with task("second"), task("third"):
        assert not used.close_idle()
    task(lambda: None)()
    second = used.folder

    assert second != first
    assert is_dead(first)
    assert not is_dead(second)
    assert [(record.name, record.status.value) for record in recorded()] == [
        ("first", "finished"),
        ("second", "finished"),
        ("third", "finished"),
        ("<lambda>", "finished"),
    ]


def test_record_larger_than_a_segment(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that fits into no ordinary segment gets a larger one."""
    monkeypatch.setattr(journal_folder, "SEGMENT_SIZE", 2048)
    with task("large", used={str(number): "x" * 4000 for number in range(20)}) as large:
        large.generated(**{str(number): "y" * 4000 for number in range(20)})
    (record,) = recorded()

    assert len(record.used) == len(record.generated) == 20


def test_written_segments(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file must not be mapped, the same frames are written."""
    monkeypatch.setattr(writer, "on_network_file_system", lambda _folder: True)
    monkeypatch.setattr(journal_folder, "SEGMENT_SIZE", 4096)
    made: list[int] = []

    class Counted(segments.WrittenSegment):
        def __init__(self, folder: Path, number: int, size: int) -> None:
            made.append(number)
            super().__init__(folder, number, size)

    monkeypatch.setattr(segments, "WrittenSegment", Counted)

    @task
    def step(number: int) -> int:
        return number

    for number in range(100):
        step(number)

    assert [record.used["number"] for record in recorded()] == list(range(100))
    assert made == [*range(1, len(made) + 1)]
    assert len(made) > 1


def test_mapping_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that reserves no space gets written segments."""

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse)

    assert isinstance(segments.make_segment(tmp_path, 1, 4096, mapped=True), segments.WrittenSegment)
    assert [path.name for path in tmp_path.iterdir()] == ["00000001.seg"]


def test_task_with_two_arguments_takes_at_most_200_bytes(recorded: Recorded) -> None:
    """Everything that a task adds to the journal, frames included, is small."""

    @task
    def step(a: int, b: float) -> float:
        return a * b

    step(1, 0.5)
    journal = _position()
    for number in range(1000):
        step(number, 0.5)
    spent = (_position() - journal) / 1000

    assert len(recorded()) == 1001
    assert spent <= 200


def _writer() -> writer.JournalWriter:
    recorder = recording.recorder()
    assert recorder is not None
    assert recorder._writer is not None
    return recorder._writer


def _position() -> int:
    segment = _writer()._segment
    assert isinstance(segment, segments.MappedSegment)
    return segment._position


SIMPLE = """
from provtel import loop, task, workflow

@task
def step(x):
    return x + 1

@workflow
def main():
    with task("block") as t:
        t.generated(y=step(1))
    return [step(x) for x in loop(3)]

print(main())
"""


def _in_the_way(stage: Stage) -> None:
    stage.store.write_text("a file where the store should be")


def _journal_folder_in_the_way(stage: Stage) -> None:
    stage.store.mkdir(mode=0o700)
    (stage.store / "journal").write_text("a file where the journals should be")


def _writable_by_others(stage: Stage) -> None:
    stage.store.mkdir()
    stage.store.chmod(0o777)


def _nowhere(stage: Stage) -> None:
    stage.environment["PROVTEL_STORE"] = "/proc/nowhere"


@pytest.mark.parametrize("spoil", [_in_the_way, _journal_folder_in_the_way, _writable_by_others, _nowhere])
def test_journal_that_cannot_be_made(stage: Stage, spoil: Callable[[Stage], None]) -> None:
    """The program does what it does without us, and one line says why nothing is recorded."""
    spoil(stage)

    outcome = stage.run(SIMPLE, quiet=False)

    assert outcome.stdout == "[1, 2, 3]\n"
    assert outcome.stderr.count("\n") == 1
    assert outcome.stderr.startswith("provtel: nothing is recorded: ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_store_of_somebody_else(stage: Stage) -> None:
    """A store that belongs to another user is not written."""
    stage.store.mkdir(mode=0o700)
    os.chown(stage.store, 12345, 12345)

    outcome = stage.run(SIMPLE, quiet=False)

    assert outcome.stdout == "[1, 2, 3]\n"
    assert "belongs to another user" in outcome.stderr


def test_store_deleted_while_running(stage: Stage) -> None:
    """A program whose store is deleted under it goes on, says so, and records again within a second, open tasks too."""
    outcome = stage.run(
        """
        import os, shutil, time
        from provtel import task, workflow

        @task
        def step(x):
            return x

        with workflow("open"):
            step("before")
            shutil.rmtree(os.environ["PROVTEL_STORE"])
            step("unseen")
            time.sleep(1.1)
            step("after")
        """,
        quiet=False,
    )

    assert outcome.stderr.count("\n") == 1
    assert "was deleted; recording goes on in" in outcome.stderr
    assert [(record.name, record.used.get("x"), record.status.value) for record in stage.records()] == [
        ("open", None, "finished"),
        ("step", "after", "finished"),
    ]


def test_descriptors_closed_by_the_program(stage: Stage) -> None:
    """A program that closes every descriptor, as daemons do, and opens its own, keeps them, and is recorded on."""
    outcome = stage.run(
        """
        import os, time
        from provtel import task

        @task
        def step(x):
            return x

        step("before")
        os.closerange(3, 100)
        mine = [os.open("mine", os.O_RDWR | os.O_CREAT) for _ in range(20)]
        time.sleep(1.1)
        step("after")
        pid = os.fork()
        if pid == 0:
            step("child")
            os._exit(0 if all(os.write(file, b".") for file in mine) else 1)
        print(os.waitpid(pid, 0)[1], all(os.write(file, b".") for file in mine))
        """,
        quiet=False,
    )

    assert outcome.stdout == "0 True\n"
    assert [record.used["x"] for record in stage.records()] == ["before", "after", "child"]


def test_full_disk(stage: Stage) -> None:
    """A disk without space costs records and nothing else: no signal, no exception, one line."""
    outcome = stage.run(
        """
        import errno, os
        from provtel import journal_folder, task
        journal_folder.SEGMENT_SIZE = 4096
        allocate = os.posix_fallocate
        allowed = 3

        def full(*args):
            global allowed
            allowed -= 1
            if allowed < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return allocate(*args)

        os.posix_fallocate = full

        @task
        def step(x):
            return x

        print(sum(step(number) for number in range(500)))
        """,
        quiet=False,
    )
    records = stage.records()

    assert outcome.stdout == f"{sum(range(500))}\n"
    assert outcome.stderr.count("\n") == 1
    assert "No space left on device" in outcome.stderr
    assert 10 < len(records) < 500
    assert [record.used["x"] for record in records] == list(range(len(records)))


def test_limit_of_bytes(stage: Stage) -> None:
    """Beyond the limit records are dropped, with a line before and a line after."""
    stage.environment["PROVTEL_MAX_JOURNAL_SIZE"] = "100KB"

    outcome = stage.run(
        """
        from provtel import task

        @task
        def step(x):
            return x

        for number in range(2000):
            step(number)
        """,
        quiet=False,
    )
    records = stage.records()

    assert "half of what they may have" in outcome.stderr
    assert "have reached their limit of 100000 bytes" in outcome.stderr
    assert 100 < len(records) < 2000


def test_modes_and_registration(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its user can enter a journal, and the user's list has it until it is drained."""
    monkeypatch.setenv("XDG_STATE_HOME", stage.variables()["XDG_STATE_HOME"])
    stage.run(SIMPLE)
    (journal,) = find_journals(stage.store)

    assert registered_journals() == [journal]
    assert [path.stat().st_mode & 0o777 for path in (stage.store, journal)] == [0o700, 0o700]
    assert {path.stat().st_mode & 0o777 for path in journal.iterdir()} == {0o600}
    stage.records()
    assert registered_journals() == []


INTERRUPTED = """
        import signal
        from provtel import journal_folder, task
        journal_folder.SEGMENT_SIZE = 8192

        @task
        def step(x):
            return x

        interrupts = 0

        def interrupt(*_):
            global interrupts
            interrupts += 1
            step("interrupt")

        signal.signal(signal.SIGALRM, interrupt)
        """
"""What a program begins with that starts a task in a signal handler, and has small segments."""


def _merged(stage: Stage) -> list[Record]:
    """Return the records as a store has them: what a change of segments interrupts may be written twice."""
    copies: dict[str, PlainRecord] = {}
    for plain in stage.plain():
        copies[plain["span_id"]] = merge(copies.get(plain["span_id"], plain), plain)
    return [*map(Record, copies.values())]


def test_signal_handler_that_starts_tasks(stage: Stage) -> None:
    """A task that a signal handler starts in the middle of ours is recorded, and harms no frame."""
    outcome = stage.run(
        INTERRUPTED
        + """
        step(-1)
        signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
        for number in range(3000):
            step(number)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(interrupts)
        """
    )
    records = _merged(stage)
    interrupts = int(outcome.stdout)

    assert interrupts > 10
    assert sum(record.used["x"] == "interrupt" for record in records) == interrupts
    assert len(records) == 3001 + interrupts
    assert all(record.used["x"] == record.generated["result"] for record in records)


def test_signals_that_come_while_a_segment_is_made(stage: Stage) -> None:
    """Tasks of signal handlers are recorded, however many come in the time that a slow disk takes for a segment."""
    outcome = stage.run(
        INTERRUPTED
        + """
        import os
        allocate = os.posix_fallocate

        def allocate_slowly(*arguments):
            for _ in range(60):
                signal.raise_signal(signal.SIGALRM)
            allocate(*arguments)

        os.posix_fallocate = allocate_slowly
        for number in range(300):
            step(number)
        print(interrupts)
        """
    )
    records = _merged(stage)
    interrupts = int(outcome.stdout)

    assert interrupts > 600
    assert sum(record.used["x"] == "interrupt" for record in records) == interrupts
    assert len(records) == 300 + interrupts
    assert all(record.used["x"] == record.generated["result"] for record in records)


def test_daemon_thread_at_the_end(stage: Stage) -> None:
    """A daemon thread that is in the middle of a task when the interpreter ends leaves it lost, and no complaint."""
    stage.run(
        """
        import threading, time
        from provtel import task

        begun = threading.Event()

        @task
        def forever():
            begun.set()
            while True:
                time.sleep(0.001)

        threading.Thread(target=forever, daemon=True).start()
        begun.wait()
        """
    )

    assert [record.status.value for record in stage.records()] == ["lost"]


def test_switched_off(stage: Stage) -> None:
    """Switched off, every call works and leaves nothing, not even a folder."""
    stage.environment["PROVTEL_DISABLED"] = "true"

    outcome = stage.run(
        """
        import asyncio
        from provtel import carry, file, loop, task, workflow

        @task
        def step(x):
            return x

        @task
        def stream():
            yield 1

        @task
        async def wait():
            return 2

        @task
        async def flow():
            yield 3

        async def over():
            return [x async for x in flow()]

        with workflow("w", campaign="c") as run:
            run.set_attribute("a", 1)
            run.add_event("e")
            run.record_exception(ValueError())
            with task("t", used={"x": 1}) as t:
                t.generated(y=1)
                t.used(z=2)
            with task("u", used={"y": t.output("y"), "f": file(__file__)}):
                pass
        started = workflow("n").start()
        started.end()
        print(carry(step)(0), list(stream()), asyncio.run(wait()), asyncio.run(over()), [x for x in loop(2)])
        try:
            with task("fails"):
                raise ValueError("same")
        except ValueError as error:
            print(error)
        """
    )

    assert outcome.stdout == "0 [1] 2 [3] [0, 1]\nsame\n"
    assert not stage.store.exists()
