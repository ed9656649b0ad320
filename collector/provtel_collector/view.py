"""What a component may know of the collector that it is a part of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from provtel_collector_config.configuration import Configuration

from provtel_collector.delivery.journeys import Journeys


@dataclass(frozen=True)
class View:
    """A collector as it runs.

    Args:
        configuration: What it is made of.
        started_at: When it was ready, in seconds since the epoch.
        addresses: Where components listen, by their path in the configuration.
        journeys: How long batches take, by receiver and signal.
    """

    configuration: Configuration
    started_at: float
    addresses: Mapping[str, tuple[str, ...]]
    journeys: Mapping[tuple[str, str], Journeys]


@runtime_checkable
class Onlooker(Protocol):
    """A component that wants to know of the others."""

    def look_at(self, view: View) -> None:
        """Know the collector, which has started."""
