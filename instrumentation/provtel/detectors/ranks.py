"""The rank of this process among those that were started together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from provtel_model import attributes as names

from provtel.detectors.sources import known, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.anyvalue import AnyValue


class _Launcher(NamedTuple):
    """The variables by which what starts ranks tells each who it is.

    Args:
        rank: The rank.
        size: How many there are; the first that is there counts.
        local: The rank among those of its node.
        needed: A variable without which the others mean something else.
    """

    rank: str
    size: tuple[str, ...]
    local: tuple[str, ...]
    needed: str | None = None


_LAUNCHERS: Final = (
    # The innermost first: torchrun is started by MPI or by Slurm, MPI by Slurm.
    _Launcher("RANK", ("WORLD_SIZE",), ("LOCAL_RANK",), needed="TORCHELASTIC_RUN_ID"),
    _Launcher("OMPI_COMM_WORLD_RANK", ("OMPI_COMM_WORLD_SIZE",), ("OMPI_COMM_WORLD_LOCAL_RANK",)),
    _Launcher("MV2_COMM_WORLD_RANK", ("MV2_COMM_WORLD_SIZE",), ("MV2_COMM_WORLD_LOCAL_RANK",)),
    _Launcher("PALS_RANKID", ("PALS_SIZE", "PMI_SIZE"), ("PALS_LOCAL_RANKID", "PMI_LOCAL_RANK")),
    _Launcher("PMIX_RANK", ("PMI_SIZE", "SLURM_STEP_NUM_TASKS", "FLUX_JOB_SIZE"), ("PMIX_LOCAL_RANK", "SLURM_LOCALID")),
    _Launcher("PMI_RANK", ("PMI_SIZE",), ("MPI_LOCALRANKID", "PMI_LOCAL_RANK")),
    _Launcher("FLUX_TASK_RANK", ("FLUX_JOB_SIZE",), ("FLUX_TASK_LOCAL_ID",)),
    # A batch script has a rank too, and the number of tasks that its job may have; only steps have ranks.
    _Launcher("SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"), ("SLURM_LOCALID",), needed="SLURM_STEP_ID"),
)


def detect(environment: Mapping[str, str] = os.environ) -> dict[str, AnyValue]:
    """Return rank, size of the world and local rank, all from one launcher: that which is nearest to the process.

    Args:
        environment: The variables of the process.
    """
    for launcher in _LAUNCHERS:
        rank = number(environment, launcher.rank)
        if rank is not None and (launcher.needed is None or launcher.needed in environment):
            return known(
                [
                    (names.MPI_RANK, rank),
                    (names.MPI_WORLD_SIZE, number(environment, *launcher.size)),
                    (names.MPI_LOCAL_RANK, number(environment, *launcher.local)),
                ]
            )
    return {}
