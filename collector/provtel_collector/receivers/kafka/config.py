"""What a user writes for the ``kafka`` receiver; keys and meanings are the OpenTelemetry Collector's.

Defaults are too, but for what decides whether data can be lost: offsets are committed after the pipelines took the
data, whatever is written, and what they refuse for now is tried again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from provtel_model.components import Signal
from provtel_model.delivery import RetryOnFailure
from provtel_model.kafka import Encoding, KafkaClient
from provtel_model.settings import Duration

Strategy = Literal["range", "roundrobin", "sticky", "cooperative-sticky"]

DEFAULT_TOPICS: Final = {Signal.TRACES: "otlp_spans", Signal.METRICS: "otlp_metrics", Signal.LOGS: "otlp_logs"}
_MEBIBYTE: Final = 2**20


@dataclass(frozen=True)
class SignalTopics:
    """Where a signal comes from.

    Args:
        topics: The topics, or regular expressions of their names, which begin with ``^``; if empty, ``otlp_spans``,
            ``otlp_metrics`` or ``otlp_logs``.
        exclude_topics: Regular expressions of topics to leave out, where `topics` has one.
        encoding: What the records hold.
    """

    topics: tuple[str, ...] = ()
    exclude_topics: tuple[str, ...] = ()
    encoding: Encoding = "otlp_proto"

    def __post_init__(self) -> None:
        """Refuse what names no topic.

        Raises:
            ValueError: An expression is none, or leaves out what nobody asked for.
        """
        patterns = [topic for topic in self.topics if topic.startswith("^")]
        if self.exclude_topics and not patterns:
            raise ValueError("exclude_topics is configured but none of the topics is a regex pattern (begins with '^')")
        for pattern in (*patterns, *self.exclude_topics):
            if not pattern:
                raise ValueError("exclude_topics contains empty string, which would match all topics")
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f'"{pattern}" is no regular expression: {error}') from None


@dataclass(frozen=True)
class AutoCommit:
    """How often offsets are committed.

    Args:
        enable: Every `interval`; otherwise as soon as records were taken.
        interval: How often.
    """

    enable: bool = True
    interval: Duration = Duration(1)


@dataclass(frozen=True)
class MessageMarking:
    """When a record counts as done.

    Args:
        after: After the pipelines took it, which is always so.
        on_error: Also where they refused it for now, once `error_backoff` has given up.
        on_permanent_error: Also where they refused it for good; otherwise it is tried again for ever.
    """

    after: bool = True
    on_error: bool = False
    on_permanent_error: bool = True


@dataclass(frozen=True)
class HeaderExtraction:
    """Headers of records as attributes of the resources in them; they are request metadata anyway.

    Args:
        extract_headers: Make attributes of them, ``kafka.header.`` before the name.
        headers: Which.
    """

    extract_headers: bool = False
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class KafkaConfig(KafkaClient):
    """The ``kafka`` receiver.

    Args:
        traces: Where spans come from.
        metrics: Where metrics come from.
        logs: Where log records come from.
        group_id: The consumer group: its members share the partitions.
        group_instance_id: A name that stays when the process starts anew, so that it gets its partitions back.
        initial_offset: Where to begin in a partition of which the group has committed nothing.
        session_timeout: After how long without a sign of life the group gives a member's partitions to others.
        heartbeat_interval: How often a member gives a sign of life.
        group_rebalance_strategies: How partitions are shared, the first that all members know.
        group_rebalance_strategy: The same, under its older key.
        min_fetch_size: The bytes that a broker waits for before it answers.
        max_fetch_size: The most bytes of an answer.
        max_fetch_wait: How long a broker waits.
        max_partition_fetch_size: The most bytes of a partition in an answer; also, how much of it may wait here.
        autocommit: How often offsets are committed.
        message_marking: When a record counts as done.
        error_backoff: How what the pipelines refused for now is tried again.
        header_extraction: Which headers become attributes.
    """

    traces: SignalTopics = SignalTopics()
    metrics: SignalTopics = SignalTopics()
    logs: SignalTopics = SignalTopics()
    group_id: str = "otel-collector"
    group_instance_id: str = ""
    initial_offset: Literal["latest", "earliest"] = "latest"
    session_timeout: Duration = Duration(10)
    heartbeat_interval: Duration = Duration(3)
    group_rebalance_strategies: tuple[Strategy, ...] = ()
    group_rebalance_strategy: Strategy | None = None
    min_fetch_size: int = 1
    max_fetch_size: int = _MEBIBYTE
    max_fetch_wait: Duration = Duration(0.25)
    max_partition_fetch_size: int = _MEBIBYTE
    autocommit: AutoCommit = AutoCommit()
    message_marking: MessageMarking = MessageMarking()
    error_backoff: RetryOnFailure = field(default_factory=lambda: RetryOnFailure(initial_interval=Duration(1)))
    header_extraction: HeaderExtraction = HeaderExtraction()

    def __post_init__(self) -> None:
        """Refuse what no broker would take.

        Raises:
            ValueError: A value is out of its range.
        """
        super().__post_init__()
        if self.group_rebalance_strategy and self.group_rebalance_strategies:
            raise ValueError("group_rebalance_strategy and group_rebalance_strategies are mutually exclusive")
        for key in ("min_fetch_size", "max_fetch_size", "max_partition_fetch_size"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key} ({getattr(self, key)}) must be non-negative")
        if self.max_fetch_size < self.min_fetch_size:
            raise ValueError(
                f"max_fetch_size ({self.max_fetch_size}) cannot be less than min_fetch_size ({self.min_fetch_size})"
            )
        if not 0 < self.heartbeat_interval < self.session_timeout:
            raise ValueError("heartbeat_interval must be positive and less than session_timeout")

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """How partitions are shared."""
        older = (self.group_rebalance_strategy,) if self.group_rebalance_strategy else ()
        return self.group_rebalance_strategies or older or ("cooperative-sticky",)

    @property
    def extracted(self) -> frozenset[str]:
        """Which headers become attributes."""
        return frozenset(self.header_extraction.headers if self.header_extraction.extract_headers else ())

    def source(self, signal: Signal) -> SignalTopics:
        """Return where a signal comes from, with its topics."""
        chosen = {Signal.TRACES: self.traces, Signal.METRICS: self.metrics, Signal.LOGS: self.logs}[signal]
        return SignalTopics(chosen.topics or (DEFAULT_TOPICS[signal],), chosen.exclude_topics, chosen.encoding)
