"""The answer of a comparison."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from provtel_model.anyvalue import AnyValue
from provtel_model.record import Record


class What(enum.StrEnum):
    """The kinds of differences, in the order in which they are told of one activity."""

    REMOVED = "removed"
    """An activity that only the first run has."""
    ADDED = "added"
    """An activity that only the second run has."""
    CODE = "code"
    """The code that ran."""
    AGENT = "agent"
    """On whose behalf."""
    INPUT = "input"
    """A value that was used."""
    STATUS = "status"
    """How it ended, or its error."""
    OUTPUT = "output"
    """A value that was generated."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Args:
        what: What is different.
        left: The activity of the first run; ``None`` where there is none, or the whole run is meant.
        right: The activity of the second run.
        key: The role, attribute or field; empty where the activity as a whole is meant.
        before: Its value in the first run, in AnyValue form; ``None`` also where it has none.
        after: Its value in the second run.
        caused_by: Ids of the activities of the second run whose differences explain this one: what generated an input
            that differs; the activity itself for outputs that differ after anything else did. Empty for a cause.
    """

    what: What
    left: Record | None
    right: Record | None
    key: str = ""
    before: AnyValue = None
    after: AnyValue = None
    caused_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the activity; empty for the whole run."""
        record = self.right or self.left
        return record.name if record else ""


@dataclass(frozen=True, slots=True)
class Cost:
    """A figure of what the runs cost.

    Args:
        name: The activities that it is of, by name.
        figure: ``tasks``, ``duration`` in seconds, or an attribute of telemetry without the prefix ``task.``.
        before: The sum in the first run; for peaks the highest.
        after: The same of the second run.
    """

    name: str
    figure: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Difference:
    """What is different between two runs.

    Args:
        left: The first run.
        right: The second run.
        aligned: How many activities of one are the same step as one of the other.
        unchanged: How many of these differ in nothing but time and cost.
        changes: What is different: causes before what they caused, each in the order of the first run.
        environment: What is different in all processes: attributes of the resource, by name.
        packages: Versions of the packages of Python that are different, where the store lists those of both runs.
        costs: What both cost, by name of activity.
    """

    left: str
    right: str
    aligned: int
    unchanged: int
    changes: list[Change] = field(default_factory=list)
    environment: Mapping[str, tuple[list[AnyValue], list[AnyValue]]] = field(default_factory=dict)
    packages: Mapping[str, tuple[Sequence[str], Sequence[str]]] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)

    @property
    def causes(self) -> list[Change]:
        """The differences that no other one explains; the first is where the runs diverged."""
        return [change for change in self.changes if not change.caused_by]

    @property
    def same(self) -> bool:
        """Say whether the runs differ in nothing but time and cost."""
        return not self.changes and not self.environment
