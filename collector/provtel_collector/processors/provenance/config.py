"""What a user writes for the ``provenance`` processor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ProvenanceConfig:
    """The ``provenance`` processor.

    Args:
        data: How used and generated data are given on: ``nested`` in one map, ``flattened`` as one attribute a role,
            or ``keep`` as they came.
        workflow: Put the id of the workflow where it is missing and can be known from the parents.
        plan: Put the names of the code under today's attributes where only older ones are there.
        remembered: How many activities are remembered, so that those that come later find their parents.
    """

    data: Literal["nested", "flattened", "keep"] = "nested"
    workflow: bool = True
    plan: bool = True
    remembered: int = 100_000

    def __post_init__(self) -> None:
        """Refuse to remember less than nothing.

        Raises:
            ValueError: It is asked for.
        """
        if self.remembered < 0:
            raise ValueError("remembered must not be negative")
