"""The run of torchrun that this process is a worker of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from provtel_model import attributes as names

from provtel.detectors.sources import first, known, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.anyvalue import AnyValue


def detect(environment: Mapping[str, str] = os.environ) -> dict[str, AnyValue]:
    """Return id and restarts of the run, and the role of the worker.

    Args:
        environment: The variables of the process.
    """
    return known(
        [
            (names.TORCHRUN_ID, first(environment, "TORCHELASTIC_RUN_ID")),
            (names.TORCHRUN_RESTART_COUNT, number(environment, "TORCHELASTIC_RESTART_COUNT") or None),
            (names.TORCHRUN_ROLE, first(environment, "ROLE_NAME") if "TORCHELASTIC_RUN_ID" in environment else None),
        ]
    )
