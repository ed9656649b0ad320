"""Metric data points and log records: their storage forms, their identity, and the question for those of a window.

As with records, a key whose value is unknown or empty is absent, times are integer nanoseconds since the epoch, and
`host`, `pid` and `rank` repeat what `resource` says. The same observation that is delivered twice has one id: the hash
of its canonical form, with resource and scope. Log records that are activity events become records, not `PlainLog`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypedDict, cast

from provtel_model.errors import FilterError
from provtel_model.hashing import SHA256_PREFIX, canonical_bytes, hash_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainRecord, PlainScope


class PlainPoint(TypedDict, total=False):
    """The storage form of one data point of a metric.

    ``name``, ``kind`` and ``time`` are always there. `kind` is ``gauge``, ``sum``, ``histogram``,
    ``exponential_histogram`` or ``summary``; the first two have a `value`, the others a `distribution` with the fields
    that OTLP gives them (``count sum min max bounds counts scale zero_count quantiles …``). `temporality` is ``delta``
    or ``cumulative``.
    """

    name: str
    kind: str
    unit: str
    description: str
    time: int
    started_at: int
    value: int | float
    distribution: dict[str, AnyValue]
    temporality: str
    monotonic: bool
    attributes: dict[str, AnyValue]
    exemplars: list[AnyValue]
    flags: int
    host: str
    pid: int
    rank: int
    resource: dict[str, AnyValue]
    scope: PlainScope


class PlainLog(TypedDict, total=False):
    """The storage form of one log record; ``time`` is always there: when it happened, or else was observed."""

    time: int
    observed_at: int
    severity: int
    severity_text: str
    name: str
    """The name of the event, where it is one."""
    body: AnyValue
    trace_id: str
    span_id: str
    attributes: dict[str, AnyValue]
    dropped: int
    flags: int
    host: str
    pid: int
    rank: int
    resource: dict[str, AnyValue]
    scope: PlainScope


def observation_id(plain: PlainPoint | PlainLog) -> str:
    """Return the identity of a data point or log record, 64 hexadecimal digits: equal where all of it is equal."""
    return hash_bytes(canonical_bytes(cast("dict[str, AnyValue]", plain))).removeprefix(SHA256_PREFIX)


def check_observation(plain: Mapping[str, Any]) -> None:
    """Accept a data point or log record that every store can keep.

    Raises:
        ValueError: Its time is none, or lies outside 64 bits.
    """
    time = plain.get("time")
    if type(time) is not int or not 0 <= time < 2**64:
        msg = f"the time {time!r} is no number of 64 bits"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Window:
    """Which data points or log records are wanted.

    Args:
        since: The first moment, in nanoseconds since the epoch; ``None`` for the beginning.
        until: The last moment; ``None`` for the end.
        name: The name of the metric, or of the event; ``None`` for any.
        host: The host that they are of.
        pid: The process on that host.
        record_id: The record whose ids they carry: a log record by its own, a data point by an exemplar.
        severity: The lowest severity of log records, OTLP's 1 to 24.
        limit: At most so many, the oldest; ``None`` for all.

    Raises:
        FilterError: The limit is not positive, or a process is named without its host.
    """

    since: int | None = None
    until: int | None = None
    name: str | None = None
    host: str | None = None
    pid: int | None = None
    record_id: str | None = None
    severity: int | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        """Check everything at once, so that a wrong window never reaches a backend."""
        if self.limit is not None and self.limit < 1:
            raise FilterError(f"limit is {self.limit}; use a positive number, or none for all")
        if self.pid is not None and self.host is None:
            raise FilterError(f"process {self.pid} is asked for without a host; say on which host it ran")

    @classmethod
    def of(cls, plain: PlainRecord, *, name: str | None = None, limit: int | None = None) -> Self:
        """Return the window that an activity ran in: its time, on its host, in its process."""
        host = plain.get("host")
        until = plain.get("ended_at", plain.get("last_seen_at"))
        pid = None if host is None else plain.get("pid")
        return cls(plain["started_at"], until, name, host, pid, limit=limit)

    def matches(self, plain: PlainPoint | PlainLog) -> bool:
        """Say whether a data point or log record is wanted."""
        known = cast("dict[str, Any]", plain)
        return (
            (self.since is None or known["time"] >= self.since)
            and (self.until is None or known["time"] <= self.until)
            and all(
                wanted is None or known.get(key) == wanted
                for key, wanted in (("name", self.name), ("host", self.host), ("pid", self.pid))
            )
            and (self.severity is None or known.get("severity", 0) >= self.severity)
            and (self.record_id is None or self.record_id in records_of(plain))
        )


def records_of(plain: PlainPoint | PlainLog) -> set[str]:
    """Return the ids of the records that a log record, or the exemplars of a data point, name."""
    sources: list[Any] = [plain, *cast("dict[str, Any]", plain).get("exemplars", ())]
    return {
        f"{source['trace_id']}-{source['span_id']}"
        for source in sources
        if source.get("trace_id") and source.get("span_id")
    }
