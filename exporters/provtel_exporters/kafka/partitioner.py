"""To which partition of its topic a record goes."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from kafka.partitioner import Partitioner, StickyPartitioner

if TYPE_CHECKING:
    from provtel_exporters.kafka.config import RecordPartitioner

_FNV_BASIS = 0x811C9DC5
_FNV_PRIME = 0x01000193
_SIGN = 1 << 31


def partitioner(config: RecordPartitioner) -> Partitioner:
    """Return what chooses partitions as a user asked."""
    if config.round_robin is not None:
        return RoundRobinPartitioner()
    if config.sticky_key is not None and config.sticky_key.hasher == "murmur2":
        return StickyPartitioner()
    return SaramaPartitioner()


class SaramaPartitioner(StickyPartitioner):  # type: ignore[misc]  # kafka-python has no types
    """Chooses for a key the partition that Sarama and the OpenTelemetry Collector choose."""

    def partition(self, topic: str, key: Any, serialized_key: bytes | None, *others: Any) -> int:
        """Return the partition of a key; records without one stay together for a while."""
        if serialized_key is None:
            return int(super().partition(topic, key, serialized_key, *others))
        partitions = sorted(others[-1].partitions_for_topic(topic))
        return int(partitions[_sarama(serialized_key, len(partitions))])


class RoundRobinPartitioner(Partitioner):  # type: ignore[misc]  # kafka-python has no types
    """Chooses one partition after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: Counter[str] = Counter()

    def partition(self, topic: str, *others: Any) -> int:
        """Return the next partition."""
        partitions = sorted(others[-1].partitions_for_topic(topic))
        with self._lock:
            self._turns[topic] += 1
            return int(partitions[self._turns[topic] % len(partitions)])


def _sarama(key: bytes, count: int) -> int:
    """Return FNV-1a as a signed number, taken modulo as Go does, without its sign."""
    value = _FNV_BASIS
    for byte in key:
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    signed = value - (1 << 32) if value & _SIGN else value
    return abs(signed) % count
