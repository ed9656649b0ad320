"""Notices a member of a group whose heartbeat has stopped.

kafka-python 3.0 can lose its heartbeat while a group is formed, as where a topic is made after its consumer began. It
then polls without a pause, gets no partitions, and neither it nor the broker ends that; joining anew does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from kafka.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable

SILENT_SECONDS: Final = 10.0


class Pulse:
    """Watches how long the next heartbeat has been due.

    Args:
        due_in: Returns the seconds until it is due; 0 where it is late, infinity where there is none to send.
        clock: Seconds that only grow.
    """

    def __init__(self, due_in: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._due_in = due_in
        self._clock = clock
        self._late_since: float | None = None

    def check(self) -> None:
        """Look, in each turn.

        Raises:
            KafkaError: It has been late for ten seconds.
        """
        if self._due_in() > 0:
            self._late_since = None
            return
        now = self._clock()
        if self._late_since is None:
            self._late_since = now
        elif now - self._late_since > SILENT_SECONDS:
            raise KafkaError("the heartbeat to the group's coordinator has stopped")
