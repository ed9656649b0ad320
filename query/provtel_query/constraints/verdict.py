"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provtel_query.constraints.statements import Statement

NAMES: Final = {
    22: "key-object",
    23: "key-properties",
    24: "unique-generation",
    25: "unique-invalidation",
    26: "unique-wasStartedBy",
    27: "unique-wasEndedBy",
    28: "unique-startTime",
    29: "unique-endTime",
    30: "start-precedes-end",
    31: "start-start-ordering",
    32: "end-end-ordering",
    33: "usage-within-activity",
    34: "generation-within-activity",
    35: "wasInformedBy-ordering",
    36: "generation-precedes-invalidation",
    37: "generation-precedes-usage",
    38: "usage-precedes-invalidation",
    39: "generation-generation-ordering",
    40: "invalidation-invalidation-ordering",
    41: "derivation-usage-generation-ordering",
    42: "derivation-generation-generation-ordering",
    43: "wasStartedBy-ordering",
    44: "wasEndedBy-ordering",
    45: "specialization-generation-ordering",
    46: "specialization-invalidation-ordering",
    47: "wasAssociatedWith-ordering",
    48: "wasAttributedTo-ordering",
    49: "actedOnBehalfOf-ordering",
    50: "typing",
    51: "impossible-unspecified-derivation-generation-use",
    52: "impossible-specialization-reflexive",
    53: "impossible-property-overlap",
    54: "impossible-object-property-overlap",
    55: "entity-activity-disjoint",
    56: "membership-empty-collection",
}
"""The constraints by their numbers in the recommendation."""

ARGUMENT: Final = "mandatory-argument"
"""Not a constraint: PROV-DM itself says that a statement has this argument."""
MENTION: Final = "unique-mention"
"""Not of the recommendation, but of the note PROV-LINKS, constraint 30 there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Args:
        rule: The number of the constraint; ``None`` where the rule is of another document than PROV-CONSTRAINTS.
        name: Its name.
        reason: What is wrong, in a sentence.
        records: The statements that together break it, in PROV-N.
        bundle: The bundle that they are in; empty for the document itself.
    """

    rule: int | None
    name: str
    reason: str
    records: tuple[str, ...]
    bundle: str = ""


@dataclass(slots=True)
class Verdict:
    """What a check found.

    Args:
        violations: What makes the document invalid.
        warnings: Recorded times that contradict the order in which the events must have been.
        statements: How many statements were checked.
    """

    violations: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    statements: int = 0

    @property
    def valid(self) -> bool:
        """Say whether the document is valid."""
        return not self.violations


def finding(rule: int | str, reason: str, statements: Iterable[Statement], bundle: str) -> Finding:
    """Return a finding about statements."""
    records = tuple(dict.fromkeys(text for statement in statements for text in statement.texts))
    number, name = (None, rule) if isinstance(rule, str) else (rule, NAMES[rule])
    return Finding(number, name, reason, records, bundle)
