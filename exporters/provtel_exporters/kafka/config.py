"""What a user writes for the ``kafka`` exporter; keys, meanings and defaults are the OpenTelemetry Collector's.

Two defaults are stricter: every replica in sync acknowledges, and nothing waits for company before it is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from provtel_model.components import Signal
from provtel_model.delivery import DEFAULT_TIMEOUT, RetryOnFailure, SendingQueue
from provtel_model.kafka import Encoding, KafkaClient
from provtel_model.settings import NO_EFFECT, Duration, Secret

from provtel_exporters.kafka.address import TopicAddress
from provtel_exporters.levels import check_level


@dataclass(frozen=True)
class CompressionParams:
    """How hard records are compressed.

    Args:
        level: Has no effect: kafka-python has one level for each codec.
    """

    level: int = field(default=0, metadata=NO_EFFECT)


@dataclass(frozen=True)
class Producer:
    """How records are sent.

    Args:
        max_message_bytes: The largest record, before compression; larger requests are cut into several.
        max_broker_write_bytes: The largest request to a broker.
        required_acks: Who has the record when it counts as sent: ``all`` (-1) replicas in sync, the leader (1), or
            nobody knows (0).
        compression: The codec.
        compression_params: How hard it works.
        flush_max_messages: Has no effect: as many records wait as there are senders.
        allow_auto_topic_creation: The brokers may make a topic that is not there.
        linger: How long a record waits for others to share a request with.
    """

    max_message_bytes: int = 1_000_000
    max_broker_write_bytes: int = 100 * 2**20
    required_acks: Literal["all", -1, 0, 1] = "all"
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "none"
    compression_params: CompressionParams = CompressionParams()
    flush_max_messages: int = field(default=10_000, metadata=NO_EFFECT)
    allow_auto_topic_creation: bool = True
    linger: Duration = Duration(0)

    def __post_init__(self) -> None:
        """Refuse sizes that no record would fit in, and levels that no codec has.

        Raises:
            ValueError: A value is out of its range.
        """
        if self.max_message_bytes < 0:
            raise ValueError(f"max_message_bytes ({self.max_message_bytes}) must be non-negative")
        if self.max_message_bytes > self.max_broker_write_bytes:
            raise ValueError(
                f"max_message_bytes ({self.max_message_bytes}) cannot be greater than max_broker_write_bytes "
                f"({self.max_broker_write_bytes})"
            )
        check_level(self.compression, self.compression_params.level)
        if self.flush_max_messages < 1:
            raise ValueError(f"flush_max_messages ({self.flush_max_messages}) must be at least 1")


@dataclass(frozen=True)
class SignalTopic:
    """Where a signal goes.

    Args:
        topic: The topic; if empty, ``otlp_spans``, ``otlp_metrics`` or ``otlp_logs``.
        encoding: What a record holds: the request as protobuf, which is not touched, or as OTLP's JSON.
        topic_from_metadata_key: Name of the request metadata that says the topic; where it is missing, `topic`.
        message_key_from_metadata_key: Name of the request metadata that is the record's key.
    """

    topic: str = ""
    encoding: Encoding = "otlp_proto"
    topic_from_metadata_key: str = ""
    message_key_from_metadata_key: str = ""


@dataclass(frozen=True)
class RecordHeader:
    """A header that every record carries.

    Args:
        name: Its name.
        value: Its value.
    """

    name: str
    value: Secret


@dataclass(frozen=True)
class StickyKey:
    """Records with the same key go to the same partition.

    Args:
        hasher: By which hash of the key: Sarama's, as the OpenTelemetry Collector, or Kafka's own.
    """

    hasher: Literal["sarama_compat", "murmur2"] = "sarama_compat"


@dataclass(frozen=True)
class RoundRobin:
    """Records go to one partition after the other."""


@dataclass(frozen=True)
class RecordPartitioner:
    """To which partition a record goes.

    Args:
        sticky_key: By its key; records without one go to any partition, many in a row to the same.
        round_robin: In turn, whatever its key.
    """

    sticky_key: StickyKey | None = None
    round_robin: RoundRobin | None = None

    def __post_init__(self) -> None:
        """Refuse two at once.

        Raises:
            ValueError: Both are named.
        """
        if self.sticky_key is not None and self.round_robin is not None:
            raise ValueError("at most one record_partitioner strategy may be configured")


DEFAULT_TOPICS = {Signal.TRACES: "otlp_spans", Signal.METRICS: "otlp_metrics", Signal.LOGS: "otlp_logs"}


@dataclass(frozen=True)
class KafkaConfig(KafkaClient):
    """The ``kafka`` exporter.

    Args:
        traces: Where spans go.
        metrics: Where metrics go.
        logs: Where log records go.
        producer: How records are sent.
        include_metadata_keys: Names of request metadata that become headers of the record.
        record_headers: Headers of every record.
        record_partitioner: To which partition a record goes.
        partition_traces_by_id: Send each trace as a record of its own, with the trace id as key.
        partition_metrics_by_resource_attributes: Send metrics of each resource as a record of its own, with a hash of
            the resource's attributes as key.
        partition_logs_by_resource_attributes: The same for logs.
        partition_logs_by_trace_id: Send the logs of each trace as a record of its own, with the trace id as key.
        topic_from_attribute: Name of a resource attribute that says the topic; where it is missing, the signal's own.
        timeout: How long a record may take to be acknowledged.
        retry_on_failure: How what was not acknowledged is sent again.
        sending_queue: What waits before it is sent.
    """

    traces: SignalTopic = SignalTopic()
    metrics: SignalTopic = SignalTopic()
    logs: SignalTopic = SignalTopic()
    producer: Producer = Producer()
    include_metadata_keys: tuple[str, ...] = ()
    record_headers: tuple[RecordHeader, ...] = ()
    record_partitioner: RecordPartitioner = RecordPartitioner()
    partition_traces_by_id: bool = False
    partition_metrics_by_resource_attributes: bool = False
    partition_logs_by_resource_attributes: bool = False
    partition_logs_by_trace_id: bool = False
    topic_from_attribute: str = ""
    timeout: Duration = DEFAULT_TIMEOUT
    retry_on_failure: RetryOnFailure = field(default_factory=RetryOnFailure)
    sending_queue: SendingQueue = field(default_factory=SendingQueue)

    def __post_init__(self) -> None:
        """Refuse two keys for one record, and metadata that is lost when requests are put together.

        Raises:
            ValueError: One of them is asked for.
        """
        super().__post_init__()
        if self.partition_logs_by_resource_attributes and self.partition_logs_by_trace_id:
            raise ValueError(
                "partition_logs_by_resource_attributes and partition_logs_by_trace_id cannot both be enabled"
            )
        for name, chosen, keys in (
            ("traces", self.traces, ("partition_traces_by_id",)),
            ("metrics", self.metrics, ("partition_metrics_by_resource_attributes",)),
            ("logs", self.logs, ("partition_logs_by_resource_attributes", "partition_logs_by_trace_id")),
        ):
            if chosen.message_key_from_metadata_key and any(getattr(self, key) for key in keys):
                raise ValueError(f"{name}::message_key_from_metadata_key cannot be combined with {' or '.join(keys)}")
        self._check_batching()

    def _check_batching(self) -> None:
        if self.sending_queue.batch is None:
            return
        kept = {key.lower() for key in self.sending_queue.batch.partition.metadata_keys}
        used = [*self.include_metadata_keys]
        for chosen in (self.traces, self.metrics, self.logs):
            used += filter(None, (chosen.topic_from_metadata_key, chosen.message_key_from_metadata_key))
        for key in used:
            if key.lower() not in kept:
                raise ValueError(
                    f'"{key}" must be present in sending_queue::batch::partition::metadata_keys, because batching is '
                    "enabled"
                )

    def goal(self, signal: Signal) -> SignalTopic:
        """Return where a signal goes, with its topic."""
        chosen = {Signal.TRACES: self.traces, Signal.METRICS: self.metrics, Signal.LOGS: self.logs}[signal]
        return replace(chosen, topic=chosen.topic or DEFAULT_TOPICS[signal])

    def feed(self) -> str:
        """Return the address of the topic of spans, or of all where no topic is named.

        Raises:
            StoreError: Brokers are told a token, which an extension of a collector has.
        """
        is_usual = not self.traces.topic and not self.logs.topic
        return str(TopicAddress(self, "" if is_usual else self.goal(Signal.TRACES).topic, ""))
