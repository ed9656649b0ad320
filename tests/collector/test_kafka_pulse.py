"""A member of a Kafka group whose heartbeat has stopped joins anew, and one that is only late does not."""

from __future__ import annotations

import math

import pytest
from kafka.errors import KafkaError
from provtel_collector.receivers.kafka.pulse import SILENT_SECONDS, Pulse


def test_a_heartbeat_that_stopped_ends_the_membership() -> None:
    """What is late all the time is an error after ten seconds, and not before."""
    now = [0.0]
    pulse = Pulse(lambda: 0.0, lambda: now[0])
    for now[0] in (0.0, 5.0, SILENT_SECONDS):
        pulse.check()

    now[0] = SILENT_SECONDS + 0.1
    with pytest.raises(KafkaError, match="heartbeat"):
        pulse.check()


@pytest.mark.parametrize("due", [0.5, math.inf])
def test_a_heartbeat_that_comes_late_does_not(due: float) -> None:
    """A heartbeat that is sent again, or that is not to be sent, starts the time anew."""
    now, due_in = [0.0], [0.0]
    pulse = Pulse(lambda: due_in[0], lambda: now[0])
    for now[0], due_in[0] in ((0.0, 0.0), (9.0, due), (18.0, 0.0), (27.0, 0.0)):
        pulse.check()
