"""The producer that all senders share: made when it is first needed, and anew when it can go on no more."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError
from provtel_model.errors import RetryableError
from provtel_model.kafka import connected

if TYPE_CHECKING:
    from collections.abc import Mapping

_FLUSH_SECONDS: Final = 10
_END_SECONDS: Final = 1


class Connection:
    """Keeps one producer; may be used from several threads.

    Args:
        arguments: Those of kafka-python's producer.
        timeout: Seconds that connecting may take.
    """

    def __init__(self, arguments: Mapping[str, Any], timeout: float) -> None:
        self._arguments = {**arguments, "bootstrap_timeout_ms": int(timeout * 1000)}
        self._timeout = timeout
        self._lock = threading.Lock()
        self._producer: Any = None

    def producer(self) -> KafkaProducer:
        """Return the producer.

        Raises:
            RetryableError: No broker could be reached in time.
        """
        if self._producer is not None:
            return self._producer
        if not self._lock.acquire(timeout=self._timeout):
            raise RetryableError("no broker can be reached")
        try:
            if self._producer is None:
                self._producer = self._connected()
            return self._producer
        finally:
            self._lock.release()

    def _connected(self) -> KafkaProducer:
        try:
            return connected(KafkaProducer, self._arguments)
        except (KafkaError, OSError) as error:
            brokers = ", ".join(self._arguments["bootstrap_servers"])
            raise RetryableError(f"no broker can be reached at {brokers}: {error}") from error

    def give_up(self, producer: KafkaProducer) -> None:
        """Never return a producer again: it has failed for good, and so does all that waits in it."""
        with self._lock:
            if self._producer is not producer:
                return
            self._producer = None
        _end(producer)

    def close(self) -> None:
        """Send what waits, and release everything; safe to call twice."""
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is None:
            return
        with suppress(KafkaError):
            producer.flush(_FLUSH_SECONDS)
        _end(producer)


def _end(producer: KafkaProducer) -> None:
    # close() alone would wait for what waits, raise where that does not end, and leave its thread running.
    producer._sender.force_close()  # noqa: SLF001
    with suppress(KafkaError):
        producer.close(timeout=_END_SECONDS)
