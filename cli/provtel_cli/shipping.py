"""Sends journals of processes that are gone to an OTLP endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provtel.sender import Sender
from provtel_model.errors import DeliveryError, MalformedError, RetryableError
from provtel_model.journal import contents, destination, drain_journal, find_journals, is_dead

if TYPE_CHECKING:
    from provtel_model.components import Batch


@dataclass(slots=True)
class Shipment:
    """What became of one journal.

    Args:
        journal: Its folder.
        endpoint: Where it was to go; empty where that cannot be told.
        sent: How many records were acknowledged.
        left: How many stay.
        reason: Why they stay.
        failed: They were to be sent, and could not.
    """

    journal: Path
    endpoint: str
    sent: int = 0
    left: int = 0
    reason: str = ""
    failed: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as an object for programs."""
        return {
            "journal": str(self.journal),
            "endpoint": self.endpoint,
            "sent": self.sent,
            "left": self.left,
            "reason": self.reason,
        }


def ship_journals(store: Path, endpoint: str | None) -> list[Shipment]:
    """Send the journals of a store that are for an endpoint, or all of them to the one given.

    Returns what became of each; what could not be sent stays where it is. An endpoint that cannot be reached is asked
    once.
    """
    senders: dict[str, Sender] = {}
    away: dict[str, str] = {}
    shipments = []
    for journal in find_journals(store):
        shipment = _planned(journal, endpoint)
        if shipment is None:
            continue
        shipments.append(shipment)
        if not shipment.reason:
            _ship(shipment, senders.setdefault(shipment.endpoint, Sender(shipment.endpoint)), away)
        shipment.left = _left(journal)
    for sender in senders.values():
        sender.close()
    return shipments


def _planned(journal: Path, endpoint: str | None) -> Shipment | None:
    """Return what is to be done with a journal; ``None`` where it is for a store."""
    try:
        goal = endpoint or destination(journal).endpoint
    except MalformedError as error:
        return Shipment(journal, endpoint or "", reason=str(error), failed=True)
    if goal is None:
        return None
    if not is_dead(journal):
        return Shipment(journal, goal, reason="its process still runs, or is on another host")
    return Shipment(journal, goal)


def _ship(shipment: Shipment, sender: Sender, away: dict[str, str]) -> None:
    def send(batch: Batch) -> None:
        sender.send(batch)
        shipment.sent += batch.items

    shipment.reason = away.get(shipment.endpoint, "")
    try:
        if not shipment.reason:
            shipment.reason = drain_journal(shipment.journal, send).skipped or ""
    except RetryableError as error:
        shipment.reason = away[shipment.endpoint] = str(error)
    except DeliveryError as error:
        shipment.reason = str(error)
    shipment.failed = bool(shipment.reason)


def _left(journal: Path) -> int:
    try:
        return contents(journal).pending
    except (OSError, MalformedError):
        return 0
