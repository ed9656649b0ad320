"""What every component promises, checked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from provtel_model.components import Batch, Signal
from provtel_model.errors import PermanentError, RetryableError

from provtel_collector.testing.data import ids_of, request
from provtel_collector.testing.destination import Destination, Scenario
from provtel_collector.testing.drives import Drive, Send

_THREADS: Final = 4
_ATTEMPTS: Final = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the items that were sent.

    Args:
        sent: All of them.
        accepted: Those that the destination took.
        refused: Those that the sender was told will never be taken, or that the destination refused for good.
        repeated: Those that the destination took more than once, although nobody was told to send them again.
    """

    sent: frozenset[int]
    accepted: frozenset[int]
    refused: frozenset[int]
    repeated: frozenset[int]


@dataclass(slots=True)
class _Sender:
    """Sends from several threads, again what was refused for now, and remembers what it was told."""

    send: Send
    refused: set[int] = field(default_factory=set)
    delayed: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def deliver(self, batch: Batch) -> None:
        ids = ids_of(batch)
        for _ in range(_ATTEMPTS):
            try:
                self.send(batch)
            except RetryableError:
                with self.lock:
                    self.delayed.update(ids)
            except PermanentError:
                with self.lock:
                    self.refused.update(ids)
                return
            else:
                return
        raise AssertionError(f"a batch was refused for now {_ATTEMPTS} times")


def check(
    drive: Drive,
    scenario: Scenario,
    signal: Signal = Signal.TRACES,
    *,
    batches: int = 60,
    items: int = 7,
    seed: int = 0,
    tells: bool = True,
    cuts: bool = False,
) -> Outcome:
    """Send through a component, and check what every component promises.

    Args:
        drive: Runs the component before a destination.
        scenario: What the destination does.
        signal: What is sent.
        batches: How many requests.
        items: How many items in each.
        seed: Makes the destination do the same in every run.
        tells: The sender is told what the destination refuses for good; not so where something stands between that
            keeps data, and puts aside what is refused.
        cuts: The component cuts requests, so that a part may be taken and another refused, which refuses the request.

    Returns:
        What became of the items, for further checks.

    Raises:
        AssertionError: An item got lost, was taken although its sender was told otherwise or not told that it was
            refused, or was taken twice although nobody was told to send it again.
    """
    destination = Destination(scenario, seed)
    requests = [request(signal, range(first, first + items)) for first in range(1, batches * items, items)]
    with drive(destination) as send:
        sender = _Sender(send)
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(sender.deliver, requests))
    outcome = _outcome(requests, sender, destination)
    _none(outcome.sent - outcome.accepted - outcome.refused, "got lost")
    _none(outcome.accepted - outcome.sent, "arrived that nobody sent")
    if not cuts:
        _none(outcome.accepted & outcome.refused, "were taken and refused")
    _none(outcome.repeated, "arrived twice, sent once")
    if tells:
        _none(outcome.refused - sender.refused, "were refused for good, and their sender was not told")
    return outcome


def _none(items: frozenset[int], what: str) -> None:
    if items:
        raise AssertionError(f"{len(items)} items {what}: {sorted(items)[:10]}")


def _outcome(requests: list[Batch], sender: _Sender, destination: Destination) -> Outcome:
    twice = {number for number, count in destination.accepted.items() if count > 1}
    return Outcome(
        sent=frozenset(number for batch in requests for number in ids_of(batch)),
        accepted=frozenset(destination.accepted),
        # What was refused together with others may have been taken when it came alone.
        refused=frozenset(sender.refused | (destination.refused - destination.accepted.keys())),
        repeated=frozenset(twice - sender.delayed - destination.delayed),
    )
