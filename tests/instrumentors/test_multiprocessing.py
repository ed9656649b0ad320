"""Processes and pools of `multiprocessing`, recorded without a word in the program."""

from __future__ import annotations

import multiprocessing
import multiprocessing.pool
import multiprocessing.process
from collections.abc import Iterator
from multiprocessing.pool import ThreadPool

import pytest
from provtel import task, testing, workflow
from provtel.instrumentors.multiprocessing import MultiprocessingInstrumentor

from tests.instrumentation.otlp_server import serving
from tests.instrumentation.programs import Stage

METHODS = ["fork", "spawn", "forkserver"]

PROGRAM = """
import multiprocessing
import os
import sys

from provtel import task, workflow
from provtel.instrumentors.multiprocessing import MultiprocessingInstrumentor


def begin():
    with task("begin"):
        pass


def target(x, y=2):
    child = multiprocessing.get_context(sys.argv[1]).Process(target=grandchild, args=(x,))
    child.start()
    child.join()


def grandchild(x):
    pass


@task
def decorated(x):
    return x


def leave():
    sys.exit(3)


class Own(multiprocessing.get_context(sys.argv[1]).Process):
    def __init__(self):
        super().__init__(name="own")

    def run(self):
        with task("within"):
            pass


def square(x):
    return x * x


def add(x, y):
    return x + y


def main():
    MultiprocessingInstrumentor().instrument()
    context = multiprocessing.get_context(sys.argv[1])
    with workflow("top"):
        processes = [
            context.Process(target=target, args=(1,)),
            context.Process(target=decorated, kwargs={"x": 2}),
            context.Process(target=leave),
            Own(),
        ]
        for process in processes:
            process.start()
            assert "run" not in vars(process)
            process.join()
        print([process.exitcode for process in processes])
        with context.Pool(2, initializer=begin) as pool:
            print(
                pool.map(square, range(4), chunksize=2),
                pool.apply(add, (1, 2)),
                pool.starmap(add, [(1, 1), (2, 2)]),
                [*pool.imap(square, [5])],
                pool.apply_async(add, kwds={"x": 1, "y": 5}).get(),
            )
            pool.close()
            pool.join()
        with context.Manager() as manager:
            assert [*manager.list([1])] == [1]


if __name__ == "__main__":
    main()
"""


@pytest.fixture
def instrumented() -> Iterator[None]:
    """Record processes for one test."""
    MultiprocessingInstrumentor().instrument()
    yield
    MultiprocessingInstrumentor().uninstrument()


@pytest.mark.parametrize("method", METHODS)
def test_processes_and_pools(stage: Stage, method: str) -> None:
    """Targets, processes with a `run` of their own and calls in a pool are tasks under who started them."""
    outcome = stage.run(PROGRAM, method, quiet=False)
    top, *records = stage.records()
    parents = {record.id: record.name for record in [top, *records]}

    assert outcome.stdout == "[0, 0, 3, 0]\n[0, 1, 4, 9] 3 [2, 4] [25] 6\n"
    assert "provtel:" not in outcome.stderr
    assert {record.trace_id for record in records} == {top.trace_id}
    assert sorted({(record.name, parents[record.parent_id or ""]) for record in records}) == [
        ("Own", "top"),
        ("add", "top"),
        ("begin", "top"),
        ("decorated", "top"),
        ("grandchild", "target"),
        ("leave", "top"),
        ("square", "top"),
        ("target", "top"),
        ("within", "Own"),
    ]
    by_name = {record.name: record for record in records}
    assert by_name["target"].used == {"x": 1, "y": 2}
    assert by_name["leave"].status.value == "error"
    assert len([record for record in records if record.name == "square"]) == 5
    assert all("queue.wait" in record.telemetry for record in records if record.name in {"square", "add"})
    assert all(record.pid != top.pid for record in records)


@pytest.mark.parametrize("method", METHODS)
def test_terminated_process(stage: Stage, method: str) -> None:
    """Of a process that is terminated what ran is lost, and what was finished is there."""
    stage.run(
        """
        import multiprocessing, sys, time
        from provtel import task, workflow
        from provtel.instrumentors.multiprocessing import MultiprocessingInstrumentor

        def work(ready):
            with task("finished"):
                pass
            ready.set()
            time.sleep(60)

        def main():
            MultiprocessingInstrumentor().instrument()
            context = multiprocessing.get_context(sys.argv[1])
            ready = context.Event()
            process = context.Process(target=work, args=(ready,))
            with workflow("top"):
                process.start()
                ready.wait()
                process.terminate()
                process.join()

        if __name__ == "__main__":
            main()
        """,
        method,
    )
    records = {record.name: record for record in stage.records()}

    assert {name: record.status.value for name, record in records.items()} == {
        "top": "finished",
        "work": "lost",
        "finished": "finished",
    }
    assert records["finished"].parent_id == records["work"].id


def print_nothing(result: int) -> None:
    """Take a result."""
    assert result == 3


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_shipped_from_workers(stage: Stage, method: str) -> None:
    """With an endpoint nothing of what workers recorded is lost, though their pool ends them by a signal."""
    with serving() as server:
        stage.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.endpoint
        stage.run(
            """
            import multiprocessing, sys
            from provtel import workflow
            from provtel.instrumentors.multiprocessing import MultiprocessingInstrumentor

            def square(x):
                return x * x

            def main():
                MultiprocessingInstrumentor().instrument()
                with workflow("top"), multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
                    print(pool.map(square, range(6)))

            if __name__ == "__main__":
                main()
            """,
            method,
        )
        arrived = [*server.records]
    kept = stage.records()
    found = {record.id: record for record in [*kept, *arrived]}

    assert sorted(record.used["x"] for record in found.values() if record.name == "square") == [0, 1, 2, 3, 4, 5]
    assert {record.status.value for record in found.values()} == {"finished"}
    assert arrived


@pytest.mark.usefixtures("instrumented")
def test_pool_of_threads() -> None:
    """A pool of threads is recorded too, and gives back the very objects."""
    value = object()
    with testing.capture() as captured, workflow("top") as top, ThreadPool(2) as pool:
        assert pool.map(lambda _: value, [1])[0] is value
        assert pool.apply(task(max), (1, 2)) == 2
        pool.apply_async(abs, (-3,), callback=task(print_nothing)).wait()

    assert [(record.name, record.parent_id) for record in captured.records[1:]] == [
        ("<lambda>", top.id),
        ("max", top.id),
        ("abs", top.id),
        ("print_nothing", top.id),
    ]


def test_uninstrument_restores_everything() -> None:
    """Afterwards every function is the very object that was there before."""
    names = ["apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered", "__init__"]
    places = [(multiprocessing.pool.Pool, name) for name in names]

    def found() -> list[object]:
        return [vars(multiprocessing.process.BaseProcess)["start"], *(vars(owner)[name] for owner, name in places)]

    before = found()
    MultiprocessingInstrumentor().instrument()
    assert all(new is not old for new, old in zip(found(), before, strict=True))
    MultiprocessingInstrumentor().uninstrument()

    assert all(new is old for new, old in zip(found(), before, strict=True))
