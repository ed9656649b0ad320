"""The run that an activity belongs to: its workflow and campaign."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from provtel_model.journal.layout import Kind, pack

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue

_numbers: Final = itertools.count()


class Run:
    """Facts that all activities of a run share; a segment of the journal holds them once.

    Args:
        facts: Fields of the plain record.
    """

    def __init__(self, facts: dict[str, AnyValue]) -> None:
        """Number the run within this process."""
        self.number = next(_numbers)
        self.facts = facts
        self.stamp: object = None
        self._payload = pack([Kind.CONTEXT.value, self.number, facts])

    def payload(self) -> bytes:
        """Return the frame's payload."""
        return self._payload

    def nested(self, workflow_id: str, name: str, campaign: str | None) -> Run:
        """Return the run of a workflow that starts here; the campaign is the outer one's where it has none."""
        campaign_id = campaign or self.facts.get("campaign_id")
        facts: dict[str, AnyValue] = {"workflow_id": workflow_id, "workflow_name": name}
        return Run({**facts, "campaign_id": campaign_id} if campaign_id else facts)


NO_RUN: Final = Run({})
"""The run of activities outside of any workflow."""
