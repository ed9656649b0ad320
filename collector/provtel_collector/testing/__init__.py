"""A contract suite for components of the collector, ours and anybody's.

What holds for every component: whatever a sender was told went well has arrived, of what did not arrive the sender was
told, and nothing arrives twice unless somebody sent it again. `check` drives a component through destinations that take
everything, refuse for now, refuse for good, or all of that in turn, and fails where one of these does not hold::

    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_contract(scenario: Scenario) -> None:
        check(through(factory, {"key": "value"}), scenario)
"""

from __future__ import annotations

from provtel_collector.testing.contract import Outcome, check
from provtel_collector.testing.data import ids_of, request
from provtel_collector.testing.destination import SCENARIOS, Destination, Scenario
from provtel_collector.testing.drives import Drive, Send, from_receiver, through, to_exporter

__all__ = [
    "SCENARIOS",
    "Destination",
    "Drive",
    "Outcome",
    "Scenario",
    "Send",
    "check",
    "from_receiver",
    "ids_of",
    "request",
    "through",
    "to_exporter",
]
