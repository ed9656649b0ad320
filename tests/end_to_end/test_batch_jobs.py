"""Jobs of Slurm and of Open MPI, run by both for real: many processes, one run, also where they are killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from provtel_model.record import Record
from provtel_query import connect

from tests.services import openmpi
from tests.services.found import Found
from tests.services.slurm import cluster

COMMAND = Path(sys.executable).with_name("provtel")
SECONDS = 90
WORK = """
import sys, time
from pathlib import Path
from provtel import task

@task
def work(name):
    return name

work("before")
if "linger" in sys.argv:
    with task("linger"):
        Path(f"lingers-{time.time_ns()}").touch()
        time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a program, in which jobs work and records are kept."""
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / ".provtel").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def slurm_cluster(slurm: None, tmp_path: Path) -> Iterator[cluster.Cluster]:  # noqa: ARG001  # it sees to it that it is there
    """Run Slurm, whose node runs no scripts of ours."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in ("prolog.sh", "task_prolog.sh", "epilog.sh"):
        (scripts / name).write_text("#!/bin/sh\n")
        (scripts / name).chmod(0o755)
    with cluster.running(tmp_path / "slurm", scripts) as running:
        yield running


def script(folder: Path, text: str) -> str:
    """Write a job's script; return its name."""
    (folder / "job.sh").write_text(f"#!/bin/bash\n{text}\n")
    return "job.sh"


def records(folder: Path) -> list[Record]:
    """Return all records of a folder's store, the earliest first."""
    with connect(folder / ".provtel") as store:
        return sorted(store.records(), key=lambda record: record.plain["started_at"])


def wait_for(done: Callable[[], bool], what: object) -> None:
    """Return when something holds."""
    give_up_at = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < give_up_at, what
        time.sleep(0.2)


def submit(slurm: cluster.Cluster, folder: Path, *options: str) -> str:
    """Submit the job's script; return the job's id."""
    done = slurm.run("sbatch", "--parsable", "--mem=100", *options, "job.sh", cwd=folder)
    assert done.stdout.strip().isdigit(), done.stderr
    return done.stdout.strip()


def wait_for_jobs(slurm: cluster.Cluster, folder: Path) -> None:
    """Return when no job is left."""
    wait_for(lambda: not slurm.run("squeue", "--noheader", cwd=folder).stdout, "the end of all jobs")


def test_array_with_steps(slurm_cluster: cluster.Cluster, folder: Path) -> None:
    """An array whose elements run a step of four ranks is one workflow; records say rank, job, element and step."""
    script(folder, f"srun --ntasks=4 --overcommit {sys.executable} work.py")
    job = submit(slurm_cluster, folder, "--array=3-4", "--job-name=sweep", "--ntasks=1")
    wait_for_jobs(slurm_cluster, folder)

    root, *works = sorted(records(folder), key=lambda record: record.kind != "workflow")
    assert (root.kind, root.name, str(root.status), root.rank) == ("workflow", "sweep", "finished", 0)
    assert root.resource["batch_job.array.index"] == 3
    assert {(one.parent_id, one.workflow_id, one.workflow_name) for one in works} == {(root.id, root.id, "sweep")}
    places = sorted((one.resource["batch_job.array.index"], one.rank) for one in works)
    assert places == [(element, rank) for element in (3, 4) for rank in range(4)]
    for one in works:
        said = {name.removeprefix("batch_job."): value for name, value in one.resource.items() if "batch_job" in name}
        assert (said["system"], said["array.id"], said["step.id"], said["name"]) == ("slurm", job, "0", "sweep")
        assert (said["cluster"], said["queue"]) == ("test", "debug")
        assert one.resource["mpi.world.size"] == 4


def test_cancelled_step(slurm_cluster: cluster.Cluster, folder: Path) -> None:
    """After scancel the open tasks of every rank are lost, the root too, in one workflow with what had ended."""
    script(folder, f"srun --ntasks=4 --overcommit {sys.executable} work.py linger")
    job = submit(slurm_cluster, folder, "--ntasks=1")
    wait_for(lambda: len([*folder.glob("lingers-*")]) == 4, "four ranks")
    slurm_cluster.run("scancel", job, cwd=folder)
    wait_for_jobs(slurm_cluster, folder)

    def states() -> list[tuple[str, str]]:
        return sorted((record.name, str(record.status)) for record in records(folder))

    expected = [("job.sh", "lost"), *[("linger", "lost")] * 4, *[("work", "finished")] * 4]
    wait_for(lambda: states() == expected, states())
    assert len({record.workflow_id for record in records(folder)}) == 1


def test_requeued_job_is_a_new_run(slurm_cluster: cluster.Cluster, folder: Path) -> None:
    """A job that is queued again is a second workflow, and each of them keeps its records together."""
    first = 'test -n "$SLURM_RESTART_COUNT" || { touch once; sleep 60; }'
    script(folder, f"srun --ntasks=2 --overcommit {sys.executable} work.py\n{first}")
    job = submit(slurm_cluster, folder, "--requeue")
    wait_for((folder / "once").exists, "the first time")
    slurm_cluster.run("scontrol", "requeue", job, cwd=folder)

    def names() -> list[str]:
        # Slurm waits for two minutes unless it is told not to.
        slurm_cluster.run("scontrol", "update", f"JobId={job}", "StartTime=now", cwd=folder)
        return sorted(record.name for record in records(folder))

    wait_for(lambda: names() == [*["job.sh"] * 2, *["work"] * 4], "the second time")
    found = records(folder)
    runs = [record.id for record in found if record.kind == "workflow"]
    assert len(set(runs)) == len({record.trace_id for record in found}) == 2
    assert sorted(str(record.workflow_id) for record in found if record.name == "work") == sorted(runs * 2)
    assert {record.resource.get("batch_job.restart_count") for record in found} == {None, 1}


def test_whole_script(slurm_cluster: cluster.Cluster, folder: Path) -> None:
    """`provtel run` in front of sbatch makes one run of what submits, of the script and of its steps."""
    script(folder, f"{sys.executable} work.py\nsrun --ntasks=2 --overcommit {sys.executable} work.py")
    submitting = ("sbatch", "--mem=100", "--ntasks=1", "job.sh")
    done = slurm_cluster.run(COMMAND, "run", "--name", "study", *submitting, cwd=folder)
    assert done.returncode == 0, done.stderr
    wait_for_jobs(slurm_cluster, folder)

    study, *works = records(folder)
    assert (study.name, study.kind) == ("study", "workflow")
    assert {(one.name, one.parent_id, one.workflow_name) for one in works} == {("work", study.id, "study")}
    assert sorted(str(one.rank) for one in works) == ["0", "1", "None"]


def mpi(found: Found, ranks: int, *command: str, folder: Path, prefix: tuple[str, ...] = ()) -> None:
    """Run a program in several ranks."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PROVTEL", "OTEL", "SLURM"))}
    started = [*prefix, *openmpi.command(found, ranks), *command]
    done = subprocess.run(
        started, cwd=folder, env=inherited, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr


def test_mpi_in_a_run(found_openmpi: Found, folder: Path) -> None:
    """`provtel run -- mpirun` is one trace with four ranks."""
    prefix = (str(COMMAND), "run", "--name", "simulation", "--")
    mpi(found_openmpi, 4, sys.executable, "work.py", folder=folder, prefix=prefix)

    run, *works = records(folder)
    assert run.name == "simulation"
    assert {(one.name, one.trace_id, one.parent_id) for one in works} == {("work", run.trace_id, run.id)}
    assert sorted((one.rank, one.resource["mpi.world.size"]) for one in works) == [(rank, 4) for rank in range(4)]


def test_mpi_alone(found_openmpi: Found, folder: Path) -> None:
    """Without a word to anybody the ranks of one mpirun are one run, of two they are two."""
    for _ in range(2):
        mpi(found_openmpi, 2, sys.executable, "work.py", folder=folder)

    found = records(folder)
    roots = [one for one in found if one.kind == "workflow"]
    assert [(one.name, one.rank) for one in roots] == [("work", 0)] * 2
    parents = sorted((one.parent_id or "", one.rank or 0) for one in found if one.kind == "task")
    assert parents == sorted((root.id, rank) for root in roots for rank in range(2))
