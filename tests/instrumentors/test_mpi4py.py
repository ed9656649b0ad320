"""Programs of several ranks under Open MPI itself, and pools of `mpi4py.futures`."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from tests.instrumentation.programs import TIMEOUT, Stage
from tests.services import openmpi
from tests.services.found import Found


def run(stage: Stage, found: Found, program: str, *options: str, ranks: int = 3, **environment: str) -> str:
    """Run a program in several ranks, and return what they printed."""
    script = stage.folder / "program.py"
    script.write_text(textwrap.dedent(program))
    done = subprocess.run(
        [*openmpi.command(found, ranks), sys.executable, *options, str(script)],
        cwd=stage.folder,
        env={**stage.variables(), **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "provtel:" not in done.stderr
    return done.stdout


def test_ranks(stage: Stage, found_openmpi: Found) -> None:
    """Each rank's records say its rank and the size of the world."""
    run(
        stage,
        found_openmpi,
        """
        from provtel import task
        from provtel.instrumentors.mpi4py import Mpi4pyInstrumentor

        Mpi4pyInstrumentor().instrument()
        from mpi4py import MPI

        with task("work", used={"rank": MPI.COMM_WORLD.rank}):
            pass
        """,
    )
    records = [record for record in stage.records() if record.name == "work"]

    assert sorted((record.used["rank"], record.rank, record.resource["mpi.world.size"]) for record in records) == [
        (0, 0, 3),
        (1, 1, 3),
        (2, 2, 3),
    ]


def test_ranks_are_one_trace(stage: Stage, found_openmpi: Found) -> None:
    """Ranks whose `mpirun` a program starts are children of the task that `mpirun` is, in one trace."""
    (stage.folder / "rank.py").write_text("from mpi4py import MPI\nfrom provtel import task\nwith task('rank'): pass\n")
    stage.run(
        f"""
        import subprocess, sys
        from provtel import workflow
        from provtel.instrumentors.subprocess import SubprocessInstrumentor
        SubprocessInstrumentor().instrument()
        with workflow("top"):
            subprocess.run([*{openmpi.command(found_openmpi, 2)}, sys.executable, "rank.py"], check=True)
        """
    )
    top, program, *ranks = stage.records()

    assert (program.name, program.parent_id) == ("mpirun", top.id)
    assert sorted((record.rank, record.parent_id, record.workflow_id) for record in ranks) == [
        (0, program.id, top.id),
        (1, program.id, top.id),
    ]


def test_rank_that_only_mpi_knows(stage: Stage, found_openmpi: Found) -> None:
    """Where no variable says the rank, records say it from when the program has started MPI."""
    run(
        stage,
        found_openmpi,
        """
        import os
        import mpi4py
        mpi4py.rc.initialize = False
        from mpi4py import MPI

        from provtel import task
        from provtel.instrumentors.mpi4py import Mpi4pyInstrumentor

        said = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith(("OMPI_COMM", "PMIX_", "PMI_"))}
        Mpi4pyInstrumentor().instrument()
        assert not MPI.Is_initialized()
        with task("before"):
            pass
        os.environ.update(said)
        MPI.Init()
        for name in said:
            del os.environ[name]
        with task("after", used={"rank": MPI.COMM_WORLD.rank}):
            pass
        MPI.Finalize()
        """,
        ranks=2,
    )
    records = stage.records()

    assert [record.rank for record in records if record.name == "before"] == [None, None]
    assert sorted((record.used["rank"], record.rank) for record in records if record.name == "after") == [
        (0, 0),
        (1, 1),
    ]


def test_pool_of_ranks(stage: Stage, found_openmpi: Found) -> None:
    """Calls in a pool over ranks are tasks of who sent them, in one trace, of a chunk or alone."""
    printed = run(
        stage,
        found_openmpi,
        """
        from mpi4py.futures import MPIPoolExecutor

        from provtel import task, workflow
        from provtel.instrumentors.mpi4py import Mpi4pyInstrumentor

        def begin():
            with task("begin"):
                pass

        def square(x):
            return x * x

        @task(outputs="sum")
        def add(x, y):
            return x + y

        def main():
            Mpi4pyInstrumentor().instrument()
            with workflow("top"), MPIPoolExecutor(initializer=begin) as pool:
                print([*pool.map(square, range(4), chunksize=2)], pool.submit(add, 1, y=2).result())
                print([*pool.starmap(add, [(1, 1), (2, 2)])], [*pool.map(square, [5])])

        if __name__ == "__main__":
            main()
        """,
        "-m",
        "mpi4py.futures",
    )
    _root, top, *records = stage.records()

    assert printed == "[0, 1, 4, 9] 3\n[2, 4] [25]\n"
    assert top.name == "top"
    assert {(record.trace_id, record.parent_id, record.workflow_id) for record in records} == {
        (top.trace_id, top.id, top.id)
    }
    assert sorted(record.name for record in records if record.name != "begin") == [*["add"] * 3, *["square"] * 5]
    assert {record.name for record in records} == {"add", "begin", "square"}
    assert {record.rank for record in records} <= {1, 2}
    assert all(record.telemetry["queue.wait"] >= 0 for record in records if record.name != "begin")
