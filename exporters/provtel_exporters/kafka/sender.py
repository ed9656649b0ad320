"""Parcels to acknowledged records: what is too large is cut, what fails is told apart."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from kafka.errors import (
    InvalidRecordError,
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)
from kafka.util import ensure_valid_topic_name
from provtel_model.errors import DeliveryError, PermanentError, RetryableError

from provtel_exporters.kafka.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from provtel_exporters.kafka.routing import Parcel

_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
# What no later attempt would change: it is the record's own fault.
_PERMANENT: Final = (InvalidRecordError, InvalidTimestampError, InvalidTopicError)
# What kafka-python raises where it forgets a topic while it chooses a partition of it: with the next metadata it knows.
_FORGOTTEN: Final = (ValueError, TypeError, LookupError)
# What a record batch needs beside the content, the key and the headers of a record that is alone in it.
_OVERHEAD: Final = 128
_HEADER_OVERHEAD: Final = 10
_SHORTEST_WAIT: Final = 0.001

Promise = tuple["Parcel", Connection, Any, Any]
"""A parcel, through which connection and by which producer it was sent, and kafka-python's future."""


class Sender:
    """Sends parcels; may be used from several threads.

    Args:
        arguments: Those of kafka-python's producer.
        timeout: Seconds that connecting may take.
        limit: The most bytes of a record.
        headers: What every record carries.
    """

    def __init__(
        self, arguments: Mapping[str, Any], timeout: float, limit: int, headers: Sequence[tuple[str, bytes]]
    ) -> None:
        self._connection = Connection(arguments, timeout)
        # A record that the broker finds too large ends an idempotent producer of kafka-python, and all that waits there
        # fails with the same error. Only a plain one can say of each record whether it was the one.
        self._plain = Connection({**arguments, "enable_idempotence": False}, timeout)
        self._headers = list(headers)
        self._reserved = _OVERHEAD + _length(headers)
        self._limit = limit
        self._limits: dict[str, int] = {}

    def close(self) -> None:
        """Send what waits, and disconnect; safe to call twice."""
        self._connection.close()
        self._plain.close()

    def deliver(self, parcels: Iterable[Parcel], deadline: float) -> list[str]:
        """Return when every record is acknowledged, with what was refused because no record can hold it.

        Raises:
            RetryableError: Some record was not acknowledged in time.
            PermanentError: A record is refused for good, and not because of its size.
        """
        refused: list[str] = []
        promises = [self._send(parcel, self._connection) for parcel in self._fitting(parcels, refused)]
        suspects = [promise[0] for promise in promises if not self._is_kept(promise, deadline)]
        while suspects:
            promises = [self._send(parcel, self._plain) for parcel in self._fitting(suspects, refused)]
            suspects = [promise[0] for promise in promises if not self._is_kept(promise, deadline)]
            for parcel in suspects:
                self._learn(parcel)
        return refused

    def _fitting(self, parcels: Iterable[Parcel], refused: list[str]) -> list[Parcel]:
        """Return parcels in pieces that fit, as far as is known."""
        fitting: list[Parcel] = []
        waiting = list(parcels)[::-1]
        while waiting:
            parcel = waiting.pop()
            size, limit = self._size(parcel), self._limits.get(parcel.topic, self._limit)
            if size <= limit:
                fitting.append(parcel)
            elif pieces := parcel.pieces(limit - (size - len(parcel.content))):
                waiting += pieces[::-1]
            else:
                refused.append(f"one item of {len(parcel.content)} bytes is larger than a record may be")
        return fitting

    def _size(self, parcel: Parcel) -> int:
        return len(parcel.content) + len(parcel.key or b"") + _length(parcel.headers) + self._reserved

    def _learn(self, parcel: Parcel) -> None:
        """Remember that a topic takes no record of a parcel's size."""
        self._limits[parcel.topic] = min(self._limits.get(parcel.topic, self._limit), self._size(parcel) - 1)

    def _send(self, parcel: Parcel, connection: Connection) -> Promise:
        _check_topic(parcel.topic)
        producer = connection.producer()
        try:
            headers = [*self._headers, *parcel.headers]
            future = producer.send(parcel.topic, parcel.content, key=parcel.key, headers=headers)
        except (KafkaError, *_FORGOTTEN) as error:
            raise _failure(error) from error
        return parcel, connection, producer, future

    def _is_kept(self, promise: Promise, deadline: float) -> bool:
        """Wait for a record's acknowledgement; return False where the broker says that it is too large."""
        _, connection, producer, future = promise
        try:
            future.get(max(_SHORTEST_WAIT, deadline - time.monotonic()))
        except _TOO_LARGE:
            if connection is self._connection:
                connection.give_up(producer)
            return False
        except KafkaError as error:
            # kafka-python tries a record again until its time is over; a producer that lost one may never send another.
            if not isinstance(error, TopicAuthorizationFailedError):
                connection.give_up(producer)
            raise _failure(error) from error
        return True


def _length(headers: Iterable[tuple[str, bytes]]) -> int:
    return sum(len(name.encode()) + len(value) + _HEADER_OVERHEAD for name, value in headers)


def _failure(error: Exception) -> DeliveryError:
    """Return what to raise for an error."""
    return PermanentError(str(error)) if isinstance(error, _PERMANENT) else RetryableError(str(error))


def _check_topic(topic: str) -> None:
    try:
        ensure_valid_topic_name(topic)
    except (TypeError, ValueError) as error:
        raise PermanentError(str(error)) from error
