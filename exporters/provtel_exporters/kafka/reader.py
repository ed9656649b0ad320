"""The reading side of Kafka: what comes into topics, as it comes. Kafka has no index, so nothing else can be asked."""

from __future__ import annotations

import logging
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from provtel_model.components import Batch, Changes, Signal
from provtel_model.errors import FilterError, MalformedError, StoreError, UnsupportedError
from provtel_model.kafka import connected, connection, need_package
from provtel_model.otlp import decode, from_json
from provtel_model.record import Record

from provtel_exporters.kafka.address import address_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from provtel_model.aggregation import Aggregation
    from provtel_model.filters import Query
    from provtel_model.kafka import KafkaClient
    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import Window

_log = logging.getLogger(__name__)

_DEFAULT_TOPICS: Final = {"otlp_spans": Signal.TRACES, "otlp_logs": Signal.LOGS}
_SIGNALS: Final = {"traces": Signal.TRACES, "logs": Signal.LOGS}
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SPOT: Final = re.compile(
    rf"(?P<topic>{_TOPIC.pattern}):(?P<number>\d{{1,9}})=(?P<offset>\d{{1,18}})\.(?P<index>\d{{1,9}})"
)
_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 30.0
_POLL_MS: Final = 200
_NEW_PARTITIONS_MS: Final = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """How far a partition was read.

    Attributes:
        offset: The record that comes next.
        index: How many of the activities in it were given out.
    """

    offset: int
    index: int = 0


Spots = dict[tuple[str, int], Spot]
"""How far each partition was read; one that is not there was not."""


def open_reader(location: str) -> KafkaReader:
    """Return a reader of ``kafka://host:port/topic``, see `provtel_exporters.kafka.address`.

    ``?signal=logs`` says that the topic has log records, else it has spans, unless its name is ``otlp_logs``. Without a
    topic both ``otlp_spans`` and ``otlp_logs`` are read.

    Raises:
        StoreError: The address is none, no broker answers, or there is no such topic.
        UserError: kafka-python is not installed, or a file of TLS cannot be used.
    """
    need_package("reading from Kafka")
    address = address_of(location)
    signal = address.signal or ("logs" if address.topic == "otlp_logs" else "traces")
    if signal not in _SIGNALS:
        raise StoreError(f"of Kafka spans and log records can be watched: ?signal=traces or logs, and not {signal!r}")
    return KafkaReader(address.client, {address.topic: _SIGNALS[signal]} if address.topic else _DEFAULT_TOPICS)


class KafkaReader:
    """A `provtel_model.components.Reader` that offers `changes` and opts out of everything else.

    Records come as they were sent: a task that ran and then ended comes twice, and merging is left to whoever keeps
    them. It reads beside every consumer group and commits nothing.

    Args:
        client: How the brokers are reached.
        topics: What each topic holds.

    Raises:
        StoreError: No broker answers, or there is none of the topics.
        UserError: A file of TLS cannot be used.
    """

    def __init__(self, client: KafkaClient, topics: Mapping[str, Signal]) -> None:
        from kafka import KafkaConsumer
        from kafka.errors import KafkaError

        self._topics = topics
        self._where = ",".join(client.brokers)
        self._lock = threading.Lock()
        self._reached: dict[tuple[str, int], int] = {}
        arguments = {
            **connection(client, {}),
            "bootstrap_timeout_ms": int(_CONNECT_SECONDS * 1000),
            "metadata_max_age_ms": _NEW_PARTITIONS_MS,
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
            "allow_auto_create_topics": False,
        }
        try:
            self._consumer: Any = connected(KafkaConsumer, arguments)
            there = self._consumer.topics()
        except (KafkaError, OSError) as error:
            raise StoreError(f"no broker of Kafka answers at {self._where}: {error}") from error
        if not any(topic in there for topic in topics):
            self._consumer.close()
            known = ", ".join(sorted(there)[:20]) or "none"
            raise StoreError(f"Kafka at {self._where} has no topic {' or '.join(topics)}; it has {known}")

    def changes(self, after: str | None, *, limit: int = 1000, wait: float = 0) -> Changes:
        """Return what came into the topics after a cursor, partition by partition.

        What Kafka has removed by then is left out.

        Raises:
            FilterError: The cursor is none of these topics.
            StoreError: The brokers do not answer.
        """
        from kafka.errors import KafkaError

        with self._lock:
            try:
                spots = self._spots(after)
                found = list(self._read(spots, limit, wait)) if after is not None else []
            except (KafkaError, OSError) as error:
                raise StoreError(f"Kafka at {self._where} cannot be read: {error}") from error
        return Changes(found, _cursor(spots))

    def _spots(self, after: str | None) -> Spots:
        places = self._places()
        if after is None:
            ends = self._consumer.end_offsets(places)
            return {(place.topic, place.partition): Spot(end) for place, end in ends.items()}
        spots = _parsed(after)
        if foreign := {topic for topic, _ in spots} - set(self._topics):
            raise FilterError(f"the cursor is of other topics: {', '.join(sorted(foreign))}")
        return spots

    def _places(self) -> list[Any]:
        """Return all partitions that there are now, and read from them."""
        from kafka import TopicPartition

        numbers = {topic: self._consumer.partitions_for_topic(topic) or () for topic in self._topics}
        places = [TopicPartition(topic, number) for topic in self._topics for number in sorted(numbers[topic])]
        if set(places) != self._consumer.assignment():
            self._consumer.assign(places)
            self._reached = {}
        return places

    def _read(self, spots: Spots, limit: int, wait: float) -> Iterator[Record]:
        """Yield what comes after the spots, and move them behind it."""
        places = self._places()
        self._go_to(places, spots)
        ends = self._consumer.end_offsets(places)
        begun = time.monotonic()
        given = 0
        while given < limit:
            is_behind = any(self._consumer.position(place) < ends[place] for place in places)
            left = wait - (time.monotonic() - begun)
            if not is_behind and (given or left <= 0):
                break
            if is_behind and time.monotonic() - begun > _ANSWER_SECONDS + wait:
                raise StoreError(f"Kafka at {self._where} does not answer")
            for record in self._next(spots, limit - given, _POLL_MS if is_behind else min(_POLL_MS, int(left * 1000))):
                given += 1
                yield record
        for place in places:
            if given < limit:
                spots[place.topic, place.partition] = Spot(self._consumer.position(place))

    def _go_to(self, places: Sequence[Any], spots: Spots) -> None:
        for place in places:
            key = place.topic, place.partition
            if key not in spots:
                self._consumer.seek_to_beginning(place)
            elif self._reached.get(key) != spots[key].offset:
                self._consumer.seek(place, spots[key].offset)

    def _next(self, spots: Spots, room: int, wait_ms: int) -> Iterator[Record]:
        for place, records in self._consumer.poll(max(1, wait_ms), max_records=room).items():
            key = place.topic, place.partition
            self._reached[key] = records[-1].offset + 1
            for record in records:
                before = spots.get(key, Spot(0))
                begin = before.index if before.offset == record.offset else 0
                activities = self._activities(record)
                chosen = activities[begin : begin + room]
                room -= len(chosen)
                end = begin + len(chosen)
                spots[key] = Spot(record.offset + 1) if end >= len(activities) else Spot(record.offset, end)
                yield from map(Record, chosen)
                if end < len(activities):
                    break

    def _activities(self, record: Any) -> list[PlainRecord]:
        """Return the activities in a record of Kafka; none where it cannot be read, which is told."""
        signal, value = self._topics[record.topic], record.value or b""
        try:
            # No protobuf begins like this.
            payload = from_json(signal, value) if value.startswith(b"{") else value
            return decode(Batch(signal, payload, 1))
        except MalformedError as error:
            place = f"{record.topic}-{record.partition}:{record.offset}"
            _log.warning("the record at %s is left out: %s", place, error)
            return []

    def get(self, record_id: str) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(record_id)

    def find(self, query: Query) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(query)

    def count(self, query: Query) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(query)

    def aggregate(self, wanted: Aggregation) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(wanted)

    def distinct(self, name: str, query: Query) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(name, query)

    def children(self, record_id: str) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(record_id)

    def ancestors(self, record_id: str) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(record_id)

    def linked(self, record_ids: Collection[str]) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(record_ids)

    def generated(self, data_keys: Collection[str]) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(data_keys)

    def generated_in(self, runs: Collection[str], data_keys: Collection[str]) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(runs, data_keys)

    def used(self, data_keys: Collection[str]) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(data_keys)

    def points(self, window: Window) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(window)

    def logs(self, window: Window) -> NoReturn:
        """Refuse: `changes` alone is offered."""
        self._refuse(window)

    def _refuse(self, *_question: object) -> NoReturn:
        raise UnsupportedError(
            "Kafka keeps no index, so that it can only be watched; ask a store that a collector fills from it"
        )

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        with self._lock:
            self._consumer.close(autocommit=False)


def _cursor(spots: Spots) -> str:
    return ",".join(f"{topic}:{number}={spot.offset}.{spot.index}" for (topic, number), spot in sorted(spots.items()))


def _parsed(cursor: str) -> Spots:
    """Return the spots that a cursor names.

    Raises:
        FilterError: It is no cursor.
    """
    spots: Spots = {}
    for part in cursor.split(",") if cursor else ():
        match = _SPOT.fullmatch(part)
        if match is None:
            raise FilterError(f"{cursor[:100]!r} is no cursor of Kafka; give what the answer before named as its end")
        spots[match["topic"], int(match["number"])] = Spot(int(match["offset"]), int(match["index"]))
    return spots
