"""The trace of a job that many processes belong to, which each of them can tell without asking another.

It is made of what all of them are told: the cluster, the job, how often it was started again, the step. A job that was
queued again is another run.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from provtel_model import attributes as names

from provtel.detectors import ranks, scheduler
from provtel.detectors.sources import first
from provtel.naming import program_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel.detectors.scheduler import Job

_VERSION: Final = b"provtel 1"
_BATCH: Final = "batch"
_NO_RUN_ID: Final = "none"
_UNNAMED: Final = "python"


class Identity(NamedTuple):
    """What a process of a job knows of the run.

    Args:
        trace: Its trace.
        root: The span of its root; ``None`` where each process of it stands for itself.
        is_first: This process is the one that records the root.
        name: What the root is called.
    """

    trace: bytes
    root: int | None
    is_first: bool
    name: str


def identity_of(environment: Mapping[str, str] = os.environ) -> Identity | None:
    """Return the run that the variables of a batch job, of MPI or of torchrun tell of; ``None`` for no such run.

    What a person types in a job is no part of such a run: there each command is one.

    Args:
        environment: The variables of the process.
    """
    job, launch = scheduler.job_of(environment), _launch(environment)
    if (job is None and launch is None) or (job is not None and job.is_interactive and launch is None):
        return None
    rank = ranks.detect(environment).get(names.MPI_RANK)
    parts = [launch or "", first(environment, "TORCHELASTIC_RESTART_COUNT") or "0"]
    is_array = job is not None and _is_in_array(job)
    if job is not None:
        # Nodes of one launch may be in several steps, by which it was brought to them.
        step = "" if launch else job.step or _BATCH
        shared = (job.array_id if is_array else None) or job.id
        parts += [job.system, job.cluster or "", shared, str(job.restarts), step]
    digest = _digest(*parts)
    root = int.from_bytes(digest[16:24], "big") or 1 if is_array or rank is not None else None
    is_first = rank in {None, 0} and (job is None or not is_array or job.array_index == job.first_index)
    name = (job.name if job is not None else None) or program_of(sys.orig_argv[1:]) or _UNNAMED
    return Identity(digest[:16], root, is_first, name)


def _is_in_array(job: Job) -> bool:
    """Say whether a job is a part of its array's run: where the first element is known, which records the root of all.

    An element that is started again is a run of its own, because the first one is not started with it.
    """
    return job.array_id is not None and job.first_index is not None and not job.restarts


def _launch(environment: Mapping[str, str]) -> str | None:
    """Return what all ranks that MPI or torchrun started together are told, and no others."""
    run = first(environment, "TORCHELASTIC_RUN_ID")
    if run is not None and run != _NO_RUN_ID:
        return f"torchrun {run}"
    key = first(environment, "OMPI_MCA_orte_precondition_transports")
    if key is not None:
        return f"openmpi {key}"
    space = first(environment, "PMIX_NAMESPACE")
    # Slurm's own is made of job and step, which are known already.
    return f"pmix {space}" if space is not None and not space.startswith("slurm.") else None


def _digest(*parts: str) -> bytes:
    digest = hashlib.sha256(_VERSION)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.digest()
