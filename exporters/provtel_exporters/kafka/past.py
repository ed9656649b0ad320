"""What topics of Kafka have now, read once from an offset, a moment or the beginning, without a consumer group."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from provtel_model.components import Signal
from provtel_model.errors import MalformedError, StoreError, UserError
from provtel_model.kafka import connected, connection, need_package
from provtel_model.otlp.files import Entry, request_of
from provtel_model.record import nanoseconds_of

from provtel_exporters.kafka.address import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provtel_exporters.kafka.address import TopicAddress

BEGINNING: Final = "beginning"
_USUAL: Final = {"otlp_spans": Signal.TRACES, "otlp_logs": Signal.LOGS, "otlp_metrics": Signal.METRICS}
_CONNECT_MS: Final = 5000
_POLL_MS: Final = 500
_PATIENCE_SECONDS: Final = 30.0
_LARGEST_FETCH: Final = 64 * 2**20


def past_entries(location: str, begin: str = BEGINNING) -> Iterator[Entry]:
    """Yield the requests that a topic has now, partition by partition as they come.

    Args:
        location: See `provtel_exporters.kafka.address`; with ``?signal=traces``, ``metrics`` or ``logs`` where the
            topic has not the usual name and its protobuf does not show what it carries.
        begin: ``beginning``, an offset, or a moment in ISO 8601, of each partition.

    Raises:
        UserError: The beginning is none, kafka-python is not installed, or a file of TLS cannot be used.
        StoreError: The address is none, no broker answers, or there is no such topic.
    """
    need_package("reading from Kafka")
    from kafka import KafkaConsumer
    from kafka.errors import KafkaError

    address, signal = _place(location)
    where = _begin(begin)
    arguments = {
        **connection(address.client, {}),
        "bootstrap_timeout_ms": _CONNECT_MS,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "allow_auto_create_topics": False,
        "max_partition_fetch_bytes": _LARGEST_FETCH,
    }
    try:
        consumer: Any = connected(KafkaConsumer, arguments)
        try:
            yield from _read(consumer, address.topic, signal, where)
        finally:
            with suppress(KafkaError):
                consumer.close(autocommit=False)
    except (KafkaError, OSError) as error:
        raise StoreError(f"Kafka at {address.brokers} cannot be read: {error}") from error


def _place(location: str) -> tuple[TopicAddress, Signal | None]:
    address = address_of(location)
    known = {str(signal): signal for signal in Signal}
    if not address.topic or (address.signal and address.signal not in known):
        raise UserError("this is no topic of Kafka; write kafka://host:port/topic, and ?signal=traces, metrics or logs")
    return address, known[address.signal] if address.signal else _USUAL.get(address.topic)


def _begin(text: str) -> int | dt.datetime | None:
    """Return where to begin: an offset, a moment, or ``None`` for the beginning."""
    if text == BEGINNING:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"{text!r} is neither an offset, {BEGINNING}, nor a time such as 2026-05-01T12:00:00+00:00"
        ) from None


def _read(consumer: Any, topic: str, signal: Signal | None, begin: int | dt.datetime | None) -> Iterator[Entry]:
    from kafka import TopicPartition

    numbers = consumer.partitions_for_topic(topic)
    if not numbers:
        known = ", ".join(sorted(consumer.topics())[:20]) or "none"
        raise StoreError(f"there is no topic {topic!r}; there are {known}")
    places = [TopicPartition(topic, number) for number in sorted(numbers)]
    consumer.assign(places)
    ends = consumer.end_offsets(places)
    _seek(consumer, places, begin, ends)
    heard = time.monotonic()
    while any(consumer.position(place) < ends[place] for place in places):
        found = consumer.poll(_POLL_MS)
        if found:
            heard = time.monotonic()
        elif time.monotonic() - heard > _PATIENCE_SECONDS:
            raise StoreError(f"Kafka sent nothing of {topic!r} for {_PATIENCE_SECONDS:.0f} s; some of it is missing")
        for place, records in found.items():
            yield from (_entry(record, signal) for record in records if record.offset < ends[place])


def _seek(consumer: Any, places: Sequence[Any], begin: int | dt.datetime | None, ends: Mapping[Any, int]) -> None:
    if begin is None:
        consumer.seek_to_beginning(*places)
    elif isinstance(begin, int):
        first = consumer.beginning_offsets(places)
        for place in places:
            consumer.seek(place, min(max(begin, first[place]), ends[place]))
    else:
        moment = nanoseconds_of(begin) // 1_000_000
        found = consumer.offsets_for_times(dict.fromkeys(places, moment))
        for place in places:
            consumer.seek(place, ends[place] if found.get(place) is None else found[place].offset)


def _entry(record: Any, signal: Signal | None) -> Entry:
    place = f"partition {record.partition} offset {record.offset}"
    try:
        return Entry(place, record.offset, record.offset + 1, batch=request_of(record.value or b"", signal))
    except MalformedError as error:
        return Entry(place, record.offset, record.offset + 1, error=str(error))
