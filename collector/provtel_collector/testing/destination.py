"""What stands at the end of the way: it takes batches or refuses them, and remembers which."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Final

from provtel_model.errors import PermanentError, RetryableError

from provtel_collector.testing.data import ids_of

if TYPE_CHECKING:
    from provtel_model.components import Batch

Scenario = str
"""The name of what a destination does, one of `SCENARIOS`."""

_Mood = Callable[[Random], type[Exception] | None]


def _mixed(random: Random) -> type[Exception] | None:
    return random.choice([None, None, RetryableError, PermanentError])


SCENARIOS: Final[Mapping[Scenario, _Mood]] = {
    "always ok": lambda _: None,
    "retryable": lambda random: RetryableError if random.random() < 0.4 else None,  # noqa: PLR2004  # often enough
    "permanent": lambda random: PermanentError if random.random() < 0.4 else None,  # noqa: PLR2004  # as above
    "mixed": _mixed,
}


class Destination:
    """Takes batches as a scenario has it; may be used from several threads.

    Args:
        scenario: What it does.
        seed: Makes it do the same in every run.

    Attributes:
        accepted: How often each item was taken.
        refused: Items that were refused for good.
        delayed: Items that were refused for now, at least once.
    """

    def __init__(self, scenario: Scenario, seed: int = 0) -> None:
        self.accepted: Counter[int] = Counter()
        self.refused: set[int] = set()
        self.delayed: set[int] = set()
        self._mood = SCENARIOS[scenario]
        self._random = Random(seed)  # noqa: S311  # nothing depends on nobody guessing it
        self._lock = threading.Lock()

    def consume(self, batch: Batch) -> None:
        """Take a batch, or refuse it.

        Raises:
            RetryableError: Not now.
            PermanentError: Never.
        """
        ids = ids_of(batch)
        with self._lock:
            error = self._mood(self._random)
            if error is None:
                self.accepted.update(ids)
                return
            (self.delayed if error is RetryableError else self.refused).update(ids)
        raise error("the destination refuses, as the scenario has it")
