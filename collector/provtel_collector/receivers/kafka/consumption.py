"""One membership in a consumer group, from joining to leaving."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from provtel_model.kafka import connected

from provtel_collector.receivers.kafka.partition import Partition, Source, committable
from provtel_collector.receivers.kafka.pulse import Pulse

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Mapping
    from concurrent.futures import Executor

    from provtel_model.components import Context, Signal

    from provtel_collector.receivers.kafka.config import KafkaConfig
    from provtel_collector.receivers.kafka.subscription import Subscription

_log = logging.getLogger(__name__)

STRATEGIES: Final = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}
_POLL_MS: Final = 100
# How long others of the group wait for this member's last records before partitions are shared anew.
_HAND_OVER_SECONDS: Final = 3.0
_COMMIT_MS: Final = 5000


class Consumption(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Fetches records, gives them to workers, and commits what these are done with.

    Args:
        config: What the user wrote.
        context: Where the receiver stands.
        subscription: What to read.
        workers: Where records of each signal are given to the pipelines.
    """

    def __init__(
        self,
        config: KafkaConfig,
        context: Context,
        subscription: Subscription,
        workers: Mapping[Signal, Executor],
    ) -> None:
        self._config = config
        self._context = context
        self._subscription = subscription
        self._workers = workers
        self._partitions: dict[TopicPartition, Partition] = {}
        self._revoked: dict[TopicPartition, Partition] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._on_hold: list[Partition] = []
        self._next_commit = 0.0

    def run(self, arguments: Mapping[str, Any], stopping: threading.Event, stop_seconds: float) -> None:
        """Take records until told to stop, then finish those in hand, commit and leave the group.

        Args:
            arguments: Those of kafka-python's consumer.
            stopping: Set when to stop.
            stop_seconds: How long finishing may take.

        Raises:
            KafkaError: Something that joining anew may mend; what was taken is committed where that can be.
        """
        consumer = connected(KafkaConsumer, arguments)
        try:
            # A member that leads the group shares what it knows of; it may not notice what it learns a moment later.
            consumer.topics()
            consumer.subscribe(**self._subscription.arguments(), listener=self)
            pulse = Pulse(consumer._coordinator.time_to_next_heartbeat)  # noqa: SLF001  # nobody else tells
            while not stopping.is_set():
                self._turn(consumer)
                pulse.check()
        finally:
            self._leave(consumer, time.monotonic() + stop_seconds)

    def _turn(self, consumer: KafkaConsumer) -> None:
        if consumer._coordinator.need_rejoin():  # noqa: SLF001  # there is no other way to finish before partitions move
            self._pause(time.monotonic() + _HAND_OVER_SECONDS)
            self._commit(consumer)
        fetched = consumer.poll(_POLL_MS)
        self._let_go(consumer.assignment())
        for place, records in fetched.items():
            if partition := self._partitions.get(place):
                partition.put(records)
        self._go_on()
        self._steer(consumer)
        if time.monotonic() >= self._next_commit:
            self._commit_soon(consumer)

    def _steer(self, consumer: KafkaConsumer) -> None:
        """Fetch no more of partitions of which enough waits, and of others again."""
        assigned = consumer.assignment()
        partitions = {place: partition for place, partition in list(self._partitions.items()) if place in assigned}
        for place, partition in partitions.items():
            partition.note_end(consumer.highwater(place))
        full = {place for place, partition in partitions.items() if partition.is_full}
        self._paused &= assigned
        if full - self._paused:
            consumer.pause(*(full - self._paused))
        if self._paused - full:
            consumer.resume(*(self._paused - full))
        self._paused = full

    def _commit_soon(self, consumer: KafkaConsumer) -> None:
        """Commit without waiting for the answer; what is lost on the way is in the next commit."""
        autocommit = self._config.autocommit
        self._next_commit = time.monotonic() + (float(autocommit.interval) if autocommit.enable else 0.0)
        if offsets := self._uncommitted():
            consumer.commit_async(_structs(offsets))
            self._committed |= offsets

    def _commit(self, consumer: KafkaConsumer) -> None:
        offsets = committable(dict(self._partitions))
        if not offsets:
            return
        try:
            consumer.commit(_structs(offsets), timeout_ms=_COMMIT_MS)
        except KafkaError as error:
            # Another member has the partitions already; it sees some records a second time.
            _log.info("%s: cannot commit: %s", self._context.id, error)
        else:
            self._committed |= offsets

    def _uncommitted(self) -> dict[TopicPartition, int]:
        offsets = committable(dict(self._partitions))
        return {place: offset for place, offset in offsets.items() if self._committed.get(place) != offset}

    def _pause(self, deadline: float) -> None:
        """Wait for the records that workers have in hand."""
        self._on_hold = list(self._partitions.values())
        for partition in self._on_hold:
            partition.hold()
        for partition in self._on_hold:
            partition.wait_until_idle(deadline)

    def _let_go(self, assigned: Collection[TopicPartition]) -> None:
        """Give up partitions that were revoked and did not come back."""
        for place in [place for place in self._revoked if place not in assigned]:
            self._give_up(self._revoked.pop(place))

    def _go_on(self) -> None:
        """Go on with what is still this member's; the rest was given up meanwhile."""
        for partition in self._on_hold:
            partition.release()
        self._on_hold = []

    def _leave(self, consumer: KafkaConsumer, deadline: float) -> None:
        for partition in [*self._partitions.values(), *self._revoked.values()]:
            partition.give_up()
        for partition in list(self._partitions.values()):
            partition.wait_until_idle(deadline)
        try:
            self._commit(consumer)
        finally:
            consumer.close(autocommit=False, timeout_ms=_COMMIT_MS)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Begin with partitions, or go on with those that were revoked a moment ago.

        Called in kafka-python's thread while `poll` waits for it.
        """
        for place in assigned:
            if place in self._revoked:
                # Where it fetches goes on too, behind what waits here.
                self._partitions[place] = self._revoked.pop(place)
                self._partitions[place].release()
                continue
            signal = self._subscription.signal(place.topic)
            is_json = self._subscription.is_json(signal)
            source = Source(place.topic, place.partition, signal, is_json, self._config.extracted)
            partition = Partition(source, self._config, self._context, self._start_work)
            self._partitions[place] = partition
            self._committed.pop(place, None)
            self._context.observe("kafka_receiver_offset_lag", partition.lag, source.attributes)
            self._context.report("kafka_receiver_partition_start", 1, {})

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Rest with partitions that may come back at once; called in kafka-python's thread while `poll` waits."""
        for place in revoked:
            if partition := self._partitions.pop(place, None):
                partition.hold()
                self._revoked[place] = partition

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        """End with partitions that another member has already; called in kafka-python's thread while `poll` waits."""
        for place in lost:
            if partition := self._partitions.pop(place, None):
                self._give_up(partition)

    def _give_up(self, partition: Partition) -> None:
        partition.give_up()
        self._context.report("kafka_receiver_partition_close", 1, {})

    def _start_work(self, partition: Partition) -> None:
        self._workers[partition.source.signal].submit(partition.work)


def _structs(offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {place: OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}
