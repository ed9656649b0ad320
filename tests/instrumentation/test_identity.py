"""The run of a job: the same for all its processes, another one for every other job."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel.identity import Identity, identity_of

from tests.instrumentation.programs import Stage

STEP = {"SLURM_JOB_ID": "18", "SLURM_CLUSTER_NAME": "big", "SLURM_JOB_NAME": "sweep", "SLURM_STEP_ID": "0"}
ARRAY = {"SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_MIN": "3"}
SCRIPT = {"SLURM_JOB_ID": "18", "SLURM_JOB_NAME": "sweep", "SLURM_PROCID": "0", "SLURM_TASK_PID": "1"}
KEY = "OMPI_MCA_orte_precondition_transports"


def known(environment: dict[str, str]) -> Identity:
    """Return a run that there is."""
    found = identity_of(environment)
    assert found is not None
    return found


def step_of(element: int, rank: int, restarts: int = 0, step: int = 0) -> dict[str, str]:
    """Return the variables of a rank in a step of an element of an array."""
    own = {"SLURM_JOB_ID": str(18 + element), "SLURM_ARRAY_TASK_ID": str(element), "SLURM_PROCID": str(rank)}
    return {**STEP, **ARRAY, **own, "SLURM_RESTART_COUNT": str(restarts), "SLURM_STEP_ID": str(step)}


@given(st.integers(3, 9), st.integers(0, 9), st.integers(3, 9), st.integers(0, 9))
def test_all_agree(element: int, rank: int, other: int, other_rank: int) -> None:
    """All ranks of all elements have one trace and one root, which the first rank of the first element records."""
    one, two = known(step_of(element, rank)), known(step_of(other, other_rank))

    assert (one.trace, one.root, one.name) == (two.trace, two.root, two.name)
    assert one.is_first == (element == 3 and rank == 0)


def test_element_that_is_started_again() -> None:
    """An element of an array that was queued again is a run of its own, whose root its first rank records."""
    runs = [known(step_of(element, 0, restarts=1)) for element in (4, 5)]

    assert len({run.trace for run in runs} | {known(step_of(4, 0)).trace}) == 3
    assert all(run.is_first for run in runs)


def test_others_differ() -> None:
    """Another job, cluster, step or start is another run."""
    rank = {"SLURM_PROCID": "0"}
    runs = [
        {**STEP, **rank},
        {**STEP, **rank, "SLURM_JOB_ID": "19"},
        {**STEP, **rank, "SLURM_CLUSTER_NAME": "small"},
        {**STEP, **rank, "SLURM_STEP_ID": "1"},
        {**STEP, **rank, "SLURM_RESTART_COUNT": "1"},
        SCRIPT,
        {"PBS_JOBID": "18", "PMI_RANK": "0"},
        {"LSB_JOBID": "18", "PMI_RANK": "0"},
        {"FLUX_JOB_ID": "18", "FLUX_TASK_RANK": "0"},
        {KEY: "18", "OMPI_COMM_WORLD_RANK": "0"},
        {"TORCHELASTIC_RUN_ID": "18", "RANK": "0"},
        {"TORCHELASTIC_RUN_ID": "18", "RANK": "0", "TORCHELASTIC_RESTART_COUNT": "1"},
        {"PMIX_NAMESPACE": "prterun-18@1", "PMIX_RANK": "0"},
    ]

    assert len({known(run).trace for run in runs}) == len(runs)


def test_launch_over_several_nodes() -> None:
    """What one mpirun starts is one run, though on each node it is another step of the job, or none."""
    rank = {KEY: "c88a", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}

    assert known({**SCRIPT, **rank}).trace == known({**STEP, **SCRIPT, **rank, "SLURM_CLUSTER_NAME": ""}).trace


def test_one_process_is_its_own() -> None:
    """A batch script's programs share the job's trace, and each is a root of its own."""
    found = known(SCRIPT)

    assert (found.root, found.is_first) == (None, True)


def test_array_without_a_known_first() -> None:
    """Where nobody can tell which element is the first, each is a run of its own, with a root."""
    runs = [
        known({"PBS_JOBID": f"7[{index}].head", "PBS_ARRAY_INDEX": str(index), "PMI_RANK": "0"}) for index in (1, 2)
    ]

    assert runs[0].trace != runs[1].trace
    assert all(run.is_first and run.root for run in runs)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SLURM_JOB_ID": "18"},  # the shell of an allocation
        {**STEP, "SLURM_PROCID": "0", "SLURM_PTY_PORT": "1"},  # a shell on a compute node
        {"PBS_JOBID": "1", "PBS_ENVIRONMENT": "PBS_INTERACTIVE"},
        {"TORCHELASTIC_RUN_ID": "none", "RANK": "0"},
        {"PMI_RANK": "0", "PMI_SIZE": "2"},
    ],
)
def test_no_run(environment: dict[str, str]) -> None:
    """What a person types, and what nothing tells apart from other runs, is none."""
    assert identity_of(environment) is None


PROGRAM = """
    import subprocess, sys
    from provtel import campaign, task
    with campaign("c"), task("t"):
        pass
    if len(sys.argv) == 1:
        subprocess.run([sys.executable, __file__, "again"], check=True)
"""


def test_root_is_recorded_once(stage: Stage) -> None:
    """The first rank records the root once, and so do not the processes that it starts; all belong to it."""
    stage.environment |= {**STEP, "SLURM_PROCID": "0"}
    stage.run(PROGRAM)
    stage.environment["SLURM_PROCID"] = "1"
    stage.run(PROGRAM, "again")

    root, *tasks = stage.records()
    assert (root.name, root.kind, str(root.status), root.parent_id) == ("sweep", "workflow", "finished", None)
    assert [(one.parent_id, one.workflow_id, one.workflow_name, one.campaign_id) for one in tasks] == [
        (root.id, root.id, "sweep", "c")
    ] * 3


def test_root_of_a_failure(stage: Stage) -> None:
    """An exception that ends the first rank ends the root as an error."""
    stage.environment |= {**STEP, "SLURM_PROCID": "0"}
    stage.run("from provtel import task\nwith task('t'): raise ValueError('no')", code=1, quiet=False)

    root, _task = stage.records()
    assert str(root.status) == "error"
    assert root.error is not None
    assert root.error.message == "no"


def test_explicit_parent_wins(stage: Stage) -> None:
    """Where the environment names a parent, the job's run is none."""
    stage.environment |= {**STEP, "SLURM_PROCID": "0", "TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01"}
    stage.run("from provtel import task\nwith task('t'): pass")

    (record,) = stage.records()
    assert record.parent_id == f"{'a' * 32}-{'b' * 16}"
