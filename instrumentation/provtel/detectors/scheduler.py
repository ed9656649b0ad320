"""The batch job that this process belongs to: of Flux, Slurm, PBS, LSF or Kubernetes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from provtel_model import attributes as names

from provtel.detectors.sources import first, known, number, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel_model.anyvalue import AnyValue

_PBS_ARRAY: Final = re.compile(r"(\d+)\[(\d*)\](.*)")
_NAMESPACE: Final = "var/run/secrets/kubernetes.io/serviceaccount/namespace"


class Job(NamedTuple):
    """A batch job.

    Args:
        system: What scheduled it.
        id: Its id there; of an element of an array its own.
        name: What its user called it.
        cluster: Which cluster it is, where that is said.
        queue: The queue or partition that it came from.
        account: What it is charged to.
        array_id: Id of the array that it is an element of.
        array_index: Its number in that array.
        first_index: The number that the array begins with, where that is said.
        step: Which step of the job this process belongs to; ``None`` outside of any step.
        restarts: How often it was started again.
        is_interactive: A person types commands in it, of which each is a run of its own.
    """

    system: str
    id: str
    name: str | None = None
    cluster: str | None = None
    queue: str | None = None
    account: str | None = None
    array_id: str | None = None
    array_index: int | None = None
    first_index: int | None = None
    step: str | None = None
    restarts: int = 0
    is_interactive: bool = False


def detect(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> dict[str, AnyValue]:
    """Return what is known of the job; nothing outside of any.

    Args:
        environment: The variables of the process.
        root: Where the system's files are.
    """
    job = job_of(environment)
    if job is None:
        return _of_pod(environment, root)
    return known(
        [
            (names.BATCH_JOB_SYSTEM, job.system),
            (names.BATCH_JOB_ID, job.id),
            (names.BATCH_JOB_NAME, job.name),
            (names.BATCH_JOB_CLUSTER, job.cluster),
            (names.BATCH_JOB_QUEUE, job.queue),
            (names.BATCH_JOB_ACCOUNT, job.account),
            (names.BATCH_JOB_ARRAY_ID, job.array_id),
            (names.BATCH_JOB_ARRAY_INDEX, job.array_index),
            (names.BATCH_JOB_STEP_ID, job.step),
            (names.BATCH_JOB_RESTART_COUNT, job.restarts or None),
        ]
    )


def job_of(environment: Mapping[str, str]) -> Job | None:
    """Return the job that variables tell of; of one scheduler inside another, the inner one's."""
    found = (read(environment) for read in _SYSTEMS)
    return next((job for job in found if job is not None), None)


def _flux(environment: Mapping[str, str]) -> Job | None:
    identity = first(environment, "FLUX_JOB_ID")
    # What Flux starts is one step.
    return None if identity is None else Job("flux", identity, step="0")


def _slurm(environment: Mapping[str, str]) -> Job | None:
    identity = first(environment, "SLURM_JOB_ID", "SLURM_JOBID")
    if identity is None:
        return None
    index = number(environment, "SLURM_ARRAY_TASK_ID")
    is_batch = first(environment, "SLURM_PROCID", "SLURM_TASK_PID") is not None
    step = first(environment, "SLURM_STEP_ID", "SLURM_STEPID")
    return Job(
        "slurm",
        identity,
        first(environment, "SLURM_JOB_NAME"),
        first(environment, "SLURM_CLUSTER_NAME"),
        first(environment, "SLURM_JOB_PARTITION"),
        first(environment, "SLURM_JOB_ACCOUNT"),
        None if index is None else first(environment, "SLURM_ARRAY_JOB_ID"),
        index,
        number(environment, "SLURM_ARRAY_TASK_MIN"),
        step,
        number(environment, "SLURM_RESTART_COUNT") or 0,
        # The shell of an allocation, or one on a terminal of its own.
        (step is None and not is_batch) or "SLURM_PTY_PORT" in environment,
    )


def _pbs(environment: Mapping[str, str]) -> Job | None:
    identity = first(environment, "PBS_JOBID")
    if identity is None:
        return None
    element = _PBS_ARRAY.fullmatch(identity)
    index = number(environment, "PBS_ARRAY_INDEX", "PBS_ARRAYID")
    return Job(
        "pbs",
        identity,
        first(environment, "PBS_JOBNAME"),
        first(environment, "PBS_SERVER"),
        first(environment, "PBS_QUEUE"),
        first(environment, "PBS_ACCOUNT"),
        f"{element[1]}[]{element[3]}" if element else None,
        index,
        is_interactive=environment.get("PBS_ENVIRONMENT") == "PBS_INTERACTIVE",
    )


def _lsf(environment: Mapping[str, str]) -> Job | None:
    identity = first(environment, "LSB_JOBID")
    if identity is None:
        return None
    index = number(environment, "LSB_JOBINDEX") or None  # 0 is no element
    return Job(
        "lsf",
        identity if index is None else f"{identity}[{index}]",
        first(environment, "LSB_JOBNAME"),
        queue=first(environment, "LSB_QUEUE"),
        account=first(environment, "LSB_PROJECT_NAME"),
        array_id=None if index is None else identity,
        array_index=index,
        is_interactive=first(environment, "LSB_INTERACTIVE") == "Y",
    )


_SYSTEMS: Final[tuple[Callable[[Mapping[str, str]], Job | None], ...]] = (_flux, _slurm, _pbs, _lsf)


def _of_pod(environment: Mapping[str, str], root: Path) -> dict[str, AnyValue]:
    """Return what a pod of Kubernetes knows of itself; which job it is of, only an indexed job tells its pods."""
    if "KUBERNETES_SERVICE_HOST" not in environment:
        return {}
    pod = first(environment, "POD_NAME", "HOSTNAME")
    index = number(environment, "JOB_COMPLETION_INDEX")
    suffix = f"-{index}"
    job = pod.removesuffix(suffix) if index is not None and pod and pod.endswith(suffix) else None
    return known(
        [
            (names.BATCH_JOB_SYSTEM, "kubernetes" if index is not None else None),
            (names.BATCH_JOB_ARRAY_INDEX, index),
            (names.K8S_JOB_NAME, first(environment, "JOB_NAME") if index is not None and job is None else job),
            (names.K8S_POD_NAME, pod),
            (names.K8S_NAMESPACE_NAME, first(environment, "POD_NAMESPACE") or text_of(root / _NAMESPACE).strip()),
        ]
    )
