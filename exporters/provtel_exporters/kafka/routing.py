"""Which records a request becomes: their topics, keys and contents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from provtel_model.components import Batch, Signal
from provtel_model.kafka import Encoding
from provtel_model.otlp import to_json
from provtel_model.otlp.pieces import split
from provtel_model.otlp.regroup import by_resource, by_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

    from provtel_exporters.kafka.config import KafkaConfig, SignalTopic

_TWO: Final = 2


@dataclass(frozen=True)
class Parcel:
    """What becomes one record.

    Attributes:
        topic: Where it goes.
        key: By what its partition is chosen.
        batch: What it carries.
        encoding: In which form.
        headers: What the record carries beside it.
    """

    topic: str
    key: bytes | None
    batch: Batch
    encoding: Encoding
    headers: Sequence[tuple[str, bytes]] = ()

    @cached_property
    def content(self) -> bytes:
        """The record's content; protobuf is the payload itself."""
        if self.encoding == "otlp_json":
            return to_json(self.batch.signal, self.batch.payload)
        return self.batch.payload

    def pieces(self, most: int) -> list[Parcel]:
        """Return several parcels with some of the items each, none where it is one item.

        Args:
            most: The most bytes that a content should have; where pieces have more, they can be cut again.
        """
        if self.batch.items < _TWO:
            return []
        parts = split(self.batch, most, "bytes") if self.encoding == "otlp_proto" else [self.batch]
        if len(parts) == 1:
            parts = split(self.batch, (self.batch.items + 1) // _TWO)
        return [replace(self, batch=part) for part in parts if part.items]


def parcels(config: KafkaConfig, batch: Batch) -> Iterator[Parcel]:
    """Yield the parcels of a batch; one, with the payload as it came, where nothing asks for more."""
    goal = config.goal(batch.signal)
    told = batch.metadata
    headers = [(key, told[key.lower()].encode()) for key in config.include_metadata_keys if key.lower() in told]
    own_key = told.get(goal.message_key_from_metadata_key.lower(), "").encode() or None
    for topic, part in _topics(config, goal, batch):
        for key, keyed in _keyed(config, part):
            yield Parcel(topic, key or own_key, keyed, goal.encoding, headers)


def _topics(config: KafkaConfig, goal: SignalTopic, batch: Batch) -> Iterator[tuple[str, Batch]]:
    if told := batch.metadata.get(goal.topic_from_metadata_key.lower()):
        yield told, batch
    elif config.topic_from_attribute:
        for resource, part in by_resource(batch):
            yield _attribute(resource, config.topic_from_attribute) or goal.topic, part
    else:
        yield goal.topic, batch


def _keyed(config: KafkaConfig, batch: Batch) -> Iterator[tuple[bytes | None, Batch]]:
    by_ids = {Signal.TRACES: config.partition_traces_by_id, Signal.LOGS: config.partition_logs_by_trace_id}
    by_resources = {
        Signal.METRICS: config.partition_metrics_by_resource_attributes,
        Signal.LOGS: config.partition_logs_by_resource_attributes,
    }
    if by_ids.get(batch.signal):
        yield from ((trace_id.hex().encode() or None, part) for trace_id, part in by_trace(batch))
    elif by_resources.get(batch.signal):
        yield from ((_hash(resource), part) for resource, part in by_resource(batch))
    else:
        yield None, batch


def _attribute(resource: Resource, name: str) -> str:
    return next((pair.value.string_value for pair in resource.attributes if pair.key == name), "")


def _hash(resource: Resource) -> bytes:
    """Return 16 bytes that are the same for the same attributes, in whatever order."""
    pairs = sorted(pair.SerializeToString(deterministic=True) for pair in resource.attributes)
    return hashlib.blake2b(b"".join(pairs), digest_size=16).digest()
