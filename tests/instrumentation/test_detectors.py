"""Detectors: what variables and files of real systems say is found, and nothing where there is nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distributions as installed
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel.detectors import (
    DETECTORS,
    container,
    host,
    operating_system,
    python_environment,
    ranks,
    scheduler,
    torchrun,
    user,
)
from provtel.repository import find_repository
from provtel_model import attributes as names
from provtel_model.otlp.observations import decode_logs
from provtel_model.telemetry import PlainLog

from tests.instrumentation.programs import Stage
from tests.instrumentation.test_logs import drained

ID = "3c4f9a1e" * 8
HASH = names.PROVTEL_PYTHON_ENVIRONMENT_HASH

SLURM_STEP = {
    "SLURM_JOB_ID": "18",
    "SLURM_ARRAY_JOB_ID": "17",
    "SLURM_ARRAY_TASK_ID": "3",
    "SLURM_ARRAY_TASK_MIN": "3",
    "SLURM_JOB_NAME": "sweep",
    "SLURM_CLUSTER_NAME": "big",
    "SLURM_JOB_PARTITION": "gpu",
    "SLURM_JOB_ACCOUNT": "lab",
    "SLURM_STEP_ID": "0",
    "SLURM_RESTART_COUNT": "2",
    "SLURM_PROCID": "5",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_LOCALID": "1",
}


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, {}),
        (
            SLURM_STEP,
            {
                "system": "slurm",
                "id": "18",
                "name": "sweep",
                "cluster": "big",
                "queue": "gpu",
                "account": "lab",
                "array.id": "17",
                "array.index": 3,
                "step.id": "0",
                "restart_count": 2,
            },
        ),
        (
            {"SLURM_JOB_ID": "9", "SLURM_PROCID": "0", "SLURM_RESTART_COUNT": "0"},
            {"system": "slurm", "id": "9"},
        ),
        (
            {"PBS_JOBID": "7[2].head", "PBS_JOBNAME": "a", "PBS_QUEUE": "q", "PBS_ARRAY_INDEX": "2"},
            {"system": "pbs", "id": "7[2].head", "name": "a", "queue": "q", "array.id": "7[].head", "array.index": 2},
        ),
        (
            {"LSB_JOBID": "7", "LSB_JOBINDEX": "2", "LSB_JOBNAME": "a[1-4]", "LSB_QUEUE": "q"},
            {"system": "lsf", "id": "7[2]", "name": "a[1-4]", "queue": "q", "array.id": "7", "array.index": 2},
        ),
        ({"LSB_JOBID": "7", "LSB_JOBINDEX": "0"}, {"system": "lsf", "id": "7"}),
        ({"FLUX_JOB_ID": "f7", **SLURM_STEP}, {"system": "flux", "id": "f7", "step.id": "0"}),
        ({"SLURM_JOB_ID": " "}, {}),
    ],
)
def test_scheduler(environment: Mapping[str, str], found: dict[str, Any]) -> None:
    """The job is what its scheduler's variables say; of several schedulers the inner one counts."""
    assert scheduler.detect(environment) == {f"batch_job.{name}": value for name, value in found.items()}


def test_kubernetes(tmp_path: Path) -> None:
    """A pod of an indexed job knows job and index; any pod its name and name space."""
    file = tmp_path / "var/run/secrets/kubernetes.io/serviceaccount/namespace"
    file.parent.mkdir(parents=True)
    file.write_text("lab")
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "train-3"}

    assert scheduler.detect({**pod, "JOB_COMPLETION_INDEX": "3"}, tmp_path) == {
        names.BATCH_JOB_SYSTEM: "kubernetes",
        names.BATCH_JOB_ARRAY_INDEX: 3,
        names.K8S_JOB_NAME: "train",
        names.K8S_POD_NAME: "train-3",
        names.K8S_NAMESPACE_NAME: "lab",
    }
    assert scheduler.detect(pod, tmp_path) == {names.K8S_POD_NAME: "train-3", names.K8S_NAMESPACE_NAME: "lab"}


OPEN_MPI = {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, None),
        (SLURM_STEP, (5, 8, 1)),
        (OPEN_MPI, (2, 4, 0)),
        (SLURM_STEP | OPEN_MPI, (2, 4, 0)),
        ({"MV2_COMM_WORLD_RANK": "1", "MV2_COMM_WORLD_SIZE": "2", "PMI_RANK": "9"}, (1, 2, None)),
        ({"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1"} | SLURM_STEP, (1, 2, 1)),
        ({"PALS_RANKID": "3", "PMI_SIZE": "4", "PALS_LOCAL_RANKID": "1", "PMI_RANK": "3"}, (3, 4, 1)),
        ({"PMIX_RANK": "3"} | SLURM_STEP, (3, 8, 1)),
        ({"FLUX_TASK_RANK": "1", "FLUX_JOB_SIZE": "2", "FLUX_TASK_LOCAL_ID": "0"} | SLURM_STEP, (1, 2, 0)),
        ({"RANK": "7", "WORLD_SIZE": "8", "LOCAL_RANK": "3", "TORCHELASTIC_RUN_ID": "x"} | SLURM_STEP, (7, 8, 3)),
        # A variable of this name may mean anything.
        ({"RANK": "7", "WORLD_SIZE": "8"}, None),
        # A batch script has a rank, and the number of tasks that its job may have.
        ({"SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None),
        ({"PMI_RANK": "no number"}, None),
    ],
)
def test_ranks(environment: Mapping[str, str], found: tuple[int | None, ...] | None) -> None:
    """Rank, size and local rank come from one launcher: MPI's before Slurm's, torchrun's before both."""
    said = ranks.detect(environment)

    assert found == (
        tuple(map(said.get, (names.MPI_RANK, names.MPI_WORLD_SIZE, names.MPI_LOCAL_RANK))) if said else None
    )


def test_torchrun() -> None:
    """A worker of torchrun knows its run."""
    said = {"TORCHELASTIC_RUN_ID": "x", "TORCHELASTIC_RESTART_COUNT": "1", "ROLE_NAME": "trainer"}

    assert torchrun.detect(said) == {"torchrun.id": "x", "torchrun.restart_count": 1, "torchrun.role": "trainer"}
    assert torchrun.detect({"ROLE_NAME": "mine"}) == {}


MOUNT = f"12 11 0:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda rw\n"
PODMAN = f"12 11 0:1 /c/overlay-containers/{ID}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw\n"
MINE = f'engine="podman-4.3"\nname="mine"\nid="{ID}"\nimage="docker.io/python:3"\nimageid="1"\n'


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"proc/self/cgroup": "0::/user.slice/session-2.scope\n"}, {}),
        ({"proc/self/cgroup": f"0::/user.slice/x-{ID}-y/session-2.scope\n"}, {}),
        ({"proc/self/cgroup": f"9:cpu:/docker/{ID}\n0::/\n", ".dockerenv": ""}, {"id": ID, "runtime.name": "docker"}),
        ({"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": MOUNT}, {"id": ID, "runtime.name": "docker"}),
        (
            {"proc/self/cgroup": f"0::/system.slice/docker-{ID}.scope\n"},
            {"id": ID, "runtime.name": "docker"},
        ),
        (
            {"proc/self/cgroup": f"1:name=systemd:/kubepods.slice/pod1.slice/cri-containerd-{ID}.scope\n"},
            {"id": ID, "runtime.name": "containerd"},
        ),
        ({"proc/self/cgroup": f"4:cpu:/kubepods/burstable/pod1/{ID}\n"}, {"id": ID}),
        ({"proc/self/cgroup": f"0::/kubepods.slice/crio-{ID}.scope/x\n"}, {"id": ID, "runtime.name": "cri-o"}),
        (
            {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": PODMAN, "run/.containerenv": ""},
            {"id": ID, "runtime.name": "podman"},
        ),
        (
            {"run/.containerenv": MINE},
            {"id": ID, "runtime.name": "podman", "name": "mine", "image.name": "docker.io/python:3"},
        ),
    ],
)
def test_container(tmp_path: Path, files: dict[str, str], found: dict[str, str]) -> None:
    """The container is told by its control group of either version, by its mounts or by its runtime's own file."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert container.detect(tmp_path, {}) == {f"container.{name}": value for name, value in found.items()}


def test_apptainer(tmp_path: Path) -> None:
    """Apptainer says by variables which image it runs."""
    said = {"APPTAINER_CONTAINER": "/images/a.sif", "APPTAINER_NAME": "a.sif"}

    assert container.detect(tmp_path, said) == {
        names.CONTAINER_RUNTIME_NAME: "apptainer",
        names.CONTAINER_IMAGE_NAME: "/images/a.sif",
        names.CONTAINER_NAME: "a.sif",
    }


def test_host_and_system(tmp_path: Path) -> None:
    """Host, system and user are what the system's own commands say."""

    def ask(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("abc\n")

    assert host.detect()[names.HOST_NAME] == ask("uname", "-n")
    assert host.detect(tmp_path)[names.HOST_ID] == "abc"
    assert operating_system.detect()[names.OS_TYPE] == ask("uname", "-s").lower()
    assert ask("uname", "-r") in str(operating_system.detect()[names.OS_DESCRIPTION])
    assert (user.detect()[names.USER_NAME], user.detect()[names.USER_ID]) == (ask("id", "-un"), ask("id", "-u"))


def test_distributions() -> None:
    """The list is that of Python's own reading of the metadata, without reading it."""
    expected = {name.lower().replace("_", "-").replace(".", "-") for name in (one.name for one in installed()) if name}
    found = dict(one.split("==") for one in python_environment.distributions())

    assert set(found) == expected
    assert found["pytest"] == pytest.__version__


@given(st.dictionaries(st.sampled_from([*SLURM_STEP, *OPEN_MPI, "PBS_JOBID", "LSB_JOBINDEX", "RANK"]), st.text()))
@settings(max_examples=50)
def test_any_values(environment: dict[str, str]) -> None:
    """Whatever the variables say, no detector raises."""
    for detect in (scheduler.detect, ranks.detect, torchrun.detect):
        detect(environment)


def _lists(stage: Stage) -> list[PlainLog]:
    lines = [line for batch in drained(stage.store) for line in decode_logs(batch)]
    return [line for line in lines if line.get("name") == names.EVENT_PYTHON_ENVIRONMENT]


PROGRAM = "from provtel import task\nwith task('t'): pass\n"


def test_records_say_where(stage: Stage) -> None:
    """Records say what all detectors found, and nothing else of the environment."""
    stage.environment |= {**SLURM_STEP, "MY_OWN": "private-value", "PROVTEL_JOIN": "false"}
    stage.run(PROGRAM)

    (record,) = stage.records()
    for name, value in {"batch_job.id": "18", "mpi.rank": 5, "os.type": "linux", "user.id": str(os.geteuid())}.items():
        assert record.resource[name] == value
    assert record.rank == 5
    assert "private-value" not in str(record.plain)


def test_distributions_are_kept_once(stage: Stage) -> None:
    """The list of distributions is a log record of a store's first process, under the hash that all records have."""
    for _ in range(2):
        stage.run(PROGRAM)

    (line,) = _lists(stage)
    digest, listed = (line["attributes"][name] for name in (HASH, names.PROVTEL_PYTHON_DISTRIBUTIONS))
    assert isinstance(listed, list)
    assert f"pytest=={pytest.__version__}" in listed
    assert line["resource"][HASH] == digest


def test_distributions_are_kept_by_every_destination(stage: Stage) -> None:
    """A list that waits for an endpoint is no list for the store."""
    for endpoint in ("", "http://127.0.0.1:1", ""):
        stage.environment |= {"PROVTEL_ENDPOINT": endpoint, "PROVTEL_EXIT_TIMEOUT": "100ms"}
        stage.run(PROGRAM, quiet=not endpoint)

    assert len(_lists(stage)) == 2


def test_under_the_sdk(stage: Stage) -> None:
    """OpenTelemetry's own SDK finds each of them by its entry point."""
    wanted = ",".join(f"provtel_{name}" for name in DETECTORS)
    stage.environment |= {**SLURM_STEP, "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": wanted, "TORCHELASTIC_RUN_ID": "x"}
    outcome = stage.run(
        """
        import json
        from opentelemetry.sdk.trace import TracerProvider
        print(json.dumps(dict(TracerProvider().resource.attributes)))
        """
    )

    said = json.loads(outcome.stdout)
    expected = {"process.pid", "host.arch", "os.type", "user.id", "provtel.python.environment.hash"}
    assert expected | {"batch_job.id", "mpi.rank", "torchrun.id"} <= set(said)


def test_installed_commands_are_not_the_code(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of a command that lies beside Python the working folder's repository counts, not that around the command."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys.modules["__main__"], "__file__", str(Path(sys.executable).with_name("provtel")), raising=False
    )

    found = find_repository()
    assert found is not None
    assert found.work_tree == stage.folder
