"""`carry` into other processes, and processes of every start method."""

from __future__ import annotations

import pytest
from provtel import carry, task, testing

from tests.instrumentation.programs import Stage, facts

POOL = """
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from opentelemetry import baggage, context

from provtel import carry, task, workflow


@task(outputs="square")
def square(x):
    return x * x


@task
def with_baggage(x):
    return baggage.get_baggage("user")


def main():
    start_method = multiprocessing.get_context(sys.argv[1])
    with workflow("pool", campaign="c") as run, ProcessPoolExecutor(2, mp_context=start_method) as pool:
        results = list(pool.map(carry(square), range(6)))
        token = context.attach(baggage.set_baggage("user", "ada"))
        results.append(pool.submit(carry(with_baggage), 1).result())
        context.detach(token)
    print(results)


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_process_pool(stage: Stage, method: str) -> None:
    """Tasks in the workers of a pool are children of the workflow that carried them, with its facts and its baggage."""
    outcome = stage.run(POOL, method, quiet=False)  # some Pythons warn of fork themselves
    top, *tasks = stage.records()

    assert outcome.stdout == "[0, 1, 4, 9, 16, 25, 'ada']\n"
    assert "provtel:" not in outcome.stderr
    assert sorted(record.used["x"] for record in tasks if record.name == "square") == [0, 1, 2, 3, 4, 5]
    assert {(record.parent_id, record.workflow_id, record.workflow_name, record.campaign_id) for record in tasks} == {
        (top.id, top.id, "pool", "c")
    }
    assert {record.status.value for record in tasks} == {"finished"}
    assert top.pid not in {record.pid for record in tasks}


def test_decorated_function_goes_whole(stage: Stage) -> None:
    """A task of a main module that is pickled whole, as joblib's workers get it, is recorded there as it is here."""
    stage.run(
        """
        import cloudpickle
        from provtel import task

        @task(outputs="sum", tags=["t"])
        def add(x, y=1):
            return x + y

        there = [cloudpickle.loads(cloudpickle.dumps(add)) for _ in range(2)]
        assert [function(1) for function in [add, *there]] == [2, 2, 2]
        """
    )
    here, *there = stage.records()

    assert [facts(record) for record in there] == [facts(here)] * 2
    assert [(record.plan, record.tags) for record in there] == [(here.plan, here.tags)] * 2


def test_instance_whose_attributes_are_named_like_ours() -> None:
    """An instance that can be called is called, whatever it keeps under which names."""

    class Instance:
        def __init__(self) -> None:
            self._function = self._context = self._luggage = "its own"

        def __call__(self) -> str:
            return self._function

    assert carry(Instance())() == "its own"


def test_carried_from_outside_of_any_activity() -> None:
    """What is carried from where nothing runs is a root wherever it is called."""
    with testing.capture() as captured:
        carried = carry(task(outputs="x")(lambda: 1))
        with task("other"):
            carried()

    assert [record.parent_id for record in captured.records] == [None, None]


def test_bare_fork(stage: Stage) -> None:
    """A forked child has a journal of its own, and neither ends nor loses what is open in its parent."""
    stage.run(
        """
        import os
        from provtel import task, workflow

        @task
        def work(who):
            return who

        with workflow("parent"):
            work("before")
            pid = os.fork()
            if pid == 0:
                work("child")
                os._exit(0)
            os.waitpid(pid, 0)
            work("after")

        with task("shared"):
            pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        """
    )
    records = stage.records()
    parent = records[0]

    assert sorted(record.used.get("who", record.name) for record in records) == [
        "after",
        "before",
        "child",
        "parent",
        "shared",
    ]
    assert {record.status.value for record in records} == {"finished"}
    assert {record.parent_id for record in records if "who" in record.used} == {parent.id}
    assert len({record.id for record in records}) == 5


def test_fork_while_threads_write(stage: Stage) -> None:
    """A child forked in the middle of other threads' tasks is neither stuck nor does it repeat their ids."""
    stage.run(
        """
        import os
        import threading
        import time
        from provtel import task

        @task
        def work(x):
            return x

        stop = threading.Event()

        def spin():
            while not stop.is_set():
                work("thread")
                time.sleep(0.0005)

        threads = [threading.Thread(target=spin) for _ in range(3)]
        for thread in threads:
            thread.start()
        children = []
        for number in range(10):
            pid = os.fork()
            if pid == 0:
                for _ in range(10):
                    work(number)
                os._exit(0)
            children.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 10
        stop.set()
        for thread in threads:
            thread.join()
        """
    )
    records = stage.records()

    assert len([record for record in records if record.used["x"] != "thread"]) == 100
    assert {record.status.value for record in records} == {"finished"}
    assert len({record.id for record in records}) == len(records)


def test_exec_leaves_an_open_task_lost(stage: Stage) -> None:
    """A process that becomes another program has lost what was open, and keeps what was finished."""
    stage.run(
        """
        import os, sys
        from provtel import task

        with task("finished"):
            pass
        with task("open"):
            os.execv(sys.executable, [sys.executable, "-c", "pass"])
        """
    )

    assert [(record.name, record.status.value) for record in stage.records()] == [
        ("finished", "finished"),
        ("open", "lost"),
    ]
