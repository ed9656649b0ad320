"""What a destination refuses for good is found item by item and put aside, so that the rest is delivered."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from provtel_model.errors import MalformedError, PermanentError, RetryableError
from provtel_model.otlp.pieces import split

from provtel_collector.counters import ITEMS
from provtel_collector.delivery.retry import StoppingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel_model.components import Batch, Consumer

    from provtel_collector.delivery.dead_letters import DeadLetters

_log = logging.getLogger(__name__)

# To find one item among 512 takes 18 attempts.
_MOST_ATTEMPTS: Final = 64
_HOPELESS_SECONDS: Final = 60.0
_QUIET_SECONDS: Final = 60.0


class Isolated:
    """Delivers what can be delivered of each batch, puts what is refused for good aside, and counts both.

    A batch that is refused for good is halved until what is refused stands alone, with a bound on the attempts: what is
    not found within it is put aside together. After a batch of which nothing could be delivered none is halved for a
    minute, as a destination that refuses everything is no matter of single items.

    Args:
        consumer: The consumer.
        report: Where the counts go.
        dead_letters: Where things are put aside.
        keeps: Whether nobody else has the data, so that what is no longer sent again is put aside too.
    """

    def __init__(
        self,
        consumer: Consumer,
        report: Callable[[str, int, Mapping[str, str]], None],
        dead_letters: DeadLetters,
        *,
        keeps: bool,
    ) -> None:
        self._consumer = consumer
        self._report = report
        self._dead_letters = dead_letters
        self._keeps = keeps
        self._hopeless_until = float("-inf")
        self._quiet_until = float("-inf")

    def consume(self, batch: Batch) -> None:
        """Take a batch; return when each of its items is delivered or put aside.

        Raises:
            RetryableError: Some of it is neither.
        """
        try:
            self._deliver(batch)
        except PermanentError as error:
            self._isolate(batch, error)
        except StoppingError:
            raise
        except RetryableError as error:
            self._count("exporter_send_failed", batch)
            if not self._keeps:
                raise
            self._put_aside(batch, error)

    def _deliver(self, batch: Batch) -> None:
        self._consumer.consume(batch)
        self._count("exporter_sent", batch)

    def _isolate(self, batch: Batch, error: PermanentError) -> None:
        search = _Search(self._deliver, 0 if time.monotonic() < self._hopeless_until else _MOST_ATTEMPTS)
        try:
            refused = search.refused(batch, error)
        finally:
            if batch.items > 1 and not search.delivered:
                self._hopeless_until = time.monotonic() + _HOPELESS_SECONDS
        for bad, reason in refused:
            self._count("exporter_send_failed", bad)
            self._put_aside(bad, reason)

    def _put_aside(self, batch: Batch, error: Exception) -> None:
        self._dead_letters.add(batch, str(error))
        self._count("exporter_dead_lettered", batch)
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            _log.error("items that are refused for good are put into %s: %s", self._dead_letters.file, error)

    def _count(self, name: str, batch: Batch) -> None:
        self._report(f"{name}_{ITEMS[batch.signal]}", batch.items, {})


class _Search:
    """A search for what is refused in one batch.

    Args:
        deliver: Delivers a batch or raises.
        attempts: How often it may be called.
    """

    def __init__(self, deliver: Callable[[Batch], None], attempts: int) -> None:
        self._deliver = deliver
        self._attempts = attempts
        self.delivered = False

    def refused(self, batch: Batch, error: PermanentError) -> list[tuple[Batch, PermanentError]]:
        """Deliver what can be delivered of a batch that was refused; return what cannot, with the reasons."""
        if self._attempts < 2 or batch.items < 2:  # noqa: PLR2004  # two halves
            return [(batch, error)]
        try:
            halves = split(batch, (batch.items + 1) // 2)
        except MalformedError:
            return [(batch, error)]
        self._attempts -= len(halves)
        return [bad for half in halves for bad in self._try(half)]

    def _try(self, batch: Batch) -> list[tuple[Batch, PermanentError]]:
        try:
            self._deliver(batch)
        except PermanentError as error:
            return self.refused(batch, error)
        self.delivered = True
        return []
