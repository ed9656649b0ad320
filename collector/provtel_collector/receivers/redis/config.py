"""What a user writes for the ``redis`` receiver; words and keys are those of the ``kafka`` receiver where they fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from provtel_model.components import Signal
from provtel_model.delivery import RetryOnFailure
from provtel_model.kafka import Encoding
from provtel_model.redis import RedisClient, before
from provtel_model.settings import Duration

DEFAULT_STREAMS: Final = {Signal.TRACES: "otlp_spans", Signal.METRICS: "otlp_metrics", Signal.LOGS: "otlp_logs"}


@dataclass(frozen=True)
class SignalStreams:
    """Where a signal comes from.

    Args:
        streams: The streams; if empty, ``otlp_spans``, ``otlp_metrics`` or ``otlp_logs``.
        encoding: What entries hold that do not say it themselves.
    """

    streams: tuple[str, ...] = ()
    encoding: Encoding = "otlp_proto"


@dataclass(frozen=True)
class Trimming:
    """What is removed from the streams.

    Args:
        acknowledged: What every group of a stream has acknowledged.
        retention: How long it is kept nevertheless, since it was written, to be replayed.
    """

    acknowledged: bool = True
    retention: Duration = Duration(0)


@dataclass(frozen=True)
class RedisConfig(RedisClient):
    """The ``redis`` receiver.

    Args:
        traces: Where spans come from.
        metrics: Where metrics come from.
        logs: Where log records come from.
        group_id: The consumer group: its members share the entries.
        group_instance_id: The name of this member; without, one that no other has.
        initial_offset: Where a new group begins: ``earliest``, ``latest``, the id of an entry, or a time such as
            ``2026-01-31T12:00:00Z``.
        session_timeout: After how long without a sign of life a member's entries are given to others.
        heartbeat_interval: How often a member gives a sign of life, and looks after the others'.
        max_deliveries: An entry that was given to members so often, and that none could acknowledge or refuse, becomes
            a dead letter: it may be what ends them. 0 is never.
        error_backoff: How what the pipelines refused for now is tried again; once it has given up, it is a dead letter.
        trim: What is removed from the streams.
    """

    traces: SignalStreams = SignalStreams()
    metrics: SignalStreams = SignalStreams()
    logs: SignalStreams = SignalStreams()
    group_id: str = "otel-collector"
    group_instance_id: str = ""
    initial_offset: str = "earliest"
    session_timeout: Duration = Duration(10)
    heartbeat_interval: Duration = Duration(3)
    max_deliveries: int = 10
    error_backoff: RetryOnFailure = field(default_factory=lambda: RetryOnFailure(initial_interval=Duration(1)))
    trim: Trimming = Trimming()

    def __post_init__(self) -> None:
        """Refuse what no group could work with.

        Raises:
            ValueError: A value is out of its range.
        """
        super().__post_init__()
        if not self.group_id:
            raise ValueError("group_id must not be empty")
        if not 0 < self.heartbeat_interval < self.session_timeout:
            raise ValueError("heartbeat_interval must be positive and less than session_timeout")
        if self.max_deliveries < 0:
            raise ValueError(f"max_deliveries ({self.max_deliveries}) must be non-negative")
        if not self.error_backoff.enabled:
            raise ValueError("error_backoff cannot be disabled: set max_elapsed_time to give up some time")
        _ = self.begin

    @property
    def begin(self) -> str:
        """After which entry a new group begins, as Redis says it.

        Raises:
            ValueError: It is no such place.
        """
        known = {"earliest": "0", "latest": "$"}
        if self.initial_offset in known:
            return known[self.initial_offset]
        try:
            time = datetime.fromisoformat(self.initial_offset)
        except ValueError:
            time = None
        if time is None:
            try:
                return before(self.initial_offset)
            except ValueError:
                raise ValueError(_NO_OFFSET.format(self.initial_offset)) from None
        if time.tzinfo is None:
            raise ValueError(f'initial_offset: "{self.initial_offset}" has no time zone; add Z for UTC')
        return before(f"{max(0, int(time.timestamp() * 1000))}-0")

    def source(self, signal: Signal) -> SignalStreams:
        """Return where a signal comes from, with its streams."""
        chosen = {Signal.TRACES: self.traces, Signal.METRICS: self.metrics, Signal.LOGS: self.logs}[signal]
        return SignalStreams(chosen.streams or (DEFAULT_STREAMS[signal],), chosen.encoding)


_NO_OFFSET: Final = (
    'initial_offset: "{}" is neither earliest nor latest, nor the id of an entry such as 1526919030474-55, nor a time '
    "such as 2026-01-31T12:00:00Z"
)
