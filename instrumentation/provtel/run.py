"""The run that an activity belongs to: its workflow, its campaign and who acts."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from provtel_model.journal.layout import Kind, pack

from provtel.interned import Interned

if TYPE_CHECKING:
    from provtel_model.record import PlainAgent

_numbers: Final = itertools.count()
_MAX_AGENTS: Final = 100


class Run(Interned):
    """Facts that all activities of a run share; a segment of the journal holds them once.

    Args:
        facts: Fields of the plain record.
    """

    def __init__(self, facts: dict[str, Any]) -> None:
        """Number the run within this process."""
        self.number = next(_numbers)
        self.facts = facts
        self._of_agents: dict[tuple[tuple[str, Any], ...], Run] = {}
        self._payload = pack([Kind.CONTEXT.value, self.number, facts])

    def payload(self) -> bytes:
        """Return the frame's payload."""
        return self._payload

    def nested(self, workflow_id: str, name: str, campaign: str | None) -> Run:
        """Return the run of a workflow that starts here; what it does not say itself is as outside."""
        run = Run({**self.facts, "workflow_id": workflow_id, "workflow_name": name})
        return run.of_campaign(campaign) if campaign else run

    def of_campaign(self, name: str) -> Run:
        """Return the same run as a part of a campaign."""
        return Run({**self.facts, "campaign_id": name})

    def of_agent(self, agent: PlainAgent) -> Run:
        """Return the same run with another one who acts; for the same agent it is the same run."""
        key = tuple(agent.items())
        known = self._of_agents.get(key)
        if known is None:
            # Agents may be made of data: what is forgotten here is only written once more.
            if len(self._of_agents) >= _MAX_AGENTS:
                self._of_agents.clear()
            known = self._of_agents[key] = Run({**self.facts, "agent": agent})
        return known


NO_RUN: Final = Run({})
"""The run of activities outside of any workflow."""
