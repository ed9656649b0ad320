"""What a user writes for the ``filter`` processor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from opentelemetry.proto.logs.v1 import logs_pb2
from provtel_model.components import Signal
from provtel_model.settings import NO_EFFECT

from provtel_collector.conditions import ErrorMode, parse_condition
from provtel_collector.processors.matching import (
    AttributeMatch,
    MatchConfig,
    MatchType,
    RegexpConfig,
    SeverityMatch,
    attributes_match,
)

_SEVERITY: Final = "SEVERITY_NUMBER_"


@dataclass(frozen=True)
class SeverityConfig:
    """The severity of log records.

    Args:
        min: The least that matches, by name or number: ``WARN``, ``INFO2``, ``9``.
        match_undefined: A log record without a severity matches.
    """

    min: str = ""
    match_undefined: bool = False

    def __post_init__(self) -> None:
        """Refuse an unknown severity.

        Raises:
            ValueError: It is unknown.
        """
        self.to_match()

    def to_match(self) -> SeverityMatch:
        """Return the severity as a number.

        Raises:
            ValueError: It is unknown.
        """
        known = {name.removeprefix(_SEVERITY): number for name, number in logs_pb2.SeverityNumber.items() if number}
        known |= {str(number): number for number in known.values()}
        if self.min and self.min.upper() not in known:
            raise ValueError(f"'{self.min}' is not a valid severity: not a valid severity")
        return SeverityMatch(known.get(self.min.upper(), 0), self.match_undefined)


@dataclass(frozen=True)
class LogMatchConfig:
    """What a log record must be like; everything that is named must fit.

    Args:
        match_type: How texts are compared: ``strict`` or ``regexp``.
        resource_attributes: Attributes of the resource that must all fit.
        record_attributes: Attributes of the log record that must all fit.
        severity_texts: Texts of severities, of which one must fit.
        severity_number: The severity.
        bodies: Bodies, of which one must fit.
    """

    match_type: MatchType = "strict"
    resource_attributes: tuple[AttributeMatch, ...] = ()
    record_attributes: tuple[AttributeMatch, ...] = ()
    severity_texts: tuple[str, ...] = ()
    severity_number: SeverityConfig | None = None
    bodies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be compared.

        Raises:
            ValueError: A pattern is none.
        """
        self.to_match()

    def to_match(self) -> MatchConfig | None:
        """Return what matches; ``None`` where nothing is named."""
        severity = self.severity_number.to_match() if self.severity_number else None
        named = self.resource_attributes, self.record_attributes, self.severity_texts, self.bodies, severity
        if not any(named):
            return None
        return MatchConfig(
            match_type=self.match_type,
            resources=self.resource_attributes,
            attributes=self.record_attributes,
            log_severity_texts=self.severity_texts,
            log_severity_number=severity,
            log_bodies=self.bodies,
        )


@dataclass(frozen=True)
class MetricMatchConfig:
    """What a metric must be like.

    Args:
        match_type: How texts are compared: ``strict`` or ``regexp``; ``expr`` is not available.
        regexp: How matches of regular expressions are remembered: accepted, and of no effect.
        metric_names: Names, of which one must fit.
        resource_attributes: Attributes of the resource that must all fit.
    """

    match_type: MatchType = "strict"
    regexp: RegexpConfig | None = field(default=None, metadata=NO_EFFECT)
    metric_names: tuple[str, ...] = ()
    resource_attributes: tuple[AttributeMatch, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be compared.

        Raises:
            ValueError: A pattern is none.
        """
        self.to_match()
        attributes_match(self.resource_attributes, self.match_type)

    def to_match(self) -> MatchConfig | None:
        """Return what matches the names; ``None`` where none is named."""
        return MatchConfig(self.match_type, metric_names=self.metric_names) if self.metric_names else None


@dataclass(frozen=True)
class SpansConfig:
    """Which spans are kept.

    Args:
        include: Only what is like this is kept.
        exclude: What is like this is dropped.
    """

    include: MatchConfig | None = None
    exclude: MatchConfig | None = None


@dataclass(frozen=True)
class TracesConfig:
    """What is dropped of traces; one condition that holds is enough.

    Args:
        resource: Conditions on resources.
        span: Conditions on spans.
        spanevent: Conditions on events of spans.
    """

    resource: tuple[str, ...] = ()
    span: tuple[str, ...] = ()
    spanevent: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogsConfig:
    """What is kept or dropped of logs.

    Args:
        include: Only what is like this is kept.
        exclude: What is like this is dropped.
        resource: Conditions on resources; one that holds is enough to drop.
        log_record: Conditions on log records; one that holds is enough to drop.
    """

    include: LogMatchConfig | None = None
    exclude: LogMatchConfig | None = None
    resource: tuple[str, ...] = ()
    log_record: tuple[str, ...] = ()


@dataclass(frozen=True)
class MetricsConfig:
    """What is kept or dropped of metrics.

    Args:
        include: Only what is like this is kept.
        exclude: What is like this is dropped.
        regexp: How matches of regular expressions are remembered: accepted, and of no effect.
        resource: Conditions on resources; one that holds is enough to drop.
        metric: Conditions on metrics; one that holds is enough to drop.
        datapoint: Conditions on data points; one that holds is enough to drop.
    """

    include: MetricMatchConfig | None = None
    exclude: MetricMatchConfig | None = None
    regexp: RegexpConfig | None = field(default=None, metadata=NO_EFFECT)
    resource: tuple[str, ...] = ()
    metric: tuple[str, ...] = ()
    datapoint: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConditionsConfig:
    """Conditions with settings of their own.

    Args:
        conditions: The conditions; one that holds is enough to drop.
        context: What paths begin with that do not say it.
        error_mode: What happens where a condition cannot be decided; the processor's if empty.
    """

    conditions: tuple[str, ...] = ()
    context: str = ""
    error_mode: Literal["", "ignore", "silent", "propagate"] = ""


@dataclass(frozen=True)
class FilterConfig:
    """The ``filter`` processor.

    Args:
        error_mode: Where a condition cannot be decided: ``ignore`` it and say so, ``silent`` to ignore it silently,
            ``propagate`` to refuse the batch for good.
        spans: Which spans are kept, by what they are like.
        traces: Which are dropped, by conditions.
        logs: Which log records are kept or dropped.
        metrics: Which metrics are kept or dropped.
        trace_conditions: Conditions on resources, scopes, spans and their events; one that holds is enough to drop.
        log_conditions: Conditions on resources, scopes and log records.
        metric_conditions: Conditions on resources, scopes, metrics and data points.
    """

    error_mode: ErrorMode = "ignore"
    spans: SpansConfig = field(default_factory=SpansConfig)
    traces: TracesConfig = field(default_factory=TracesConfig)
    logs: LogsConfig = field(default_factory=LogsConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    trace_conditions: tuple[str | ConditionsConfig, ...] = ()
    log_conditions: tuple[str | ConditionsConfig, ...] = ()
    metric_conditions: tuple[str | ConditionsConfig, ...] = ()

    def __post_init__(self) -> None:
        """Refuse conditions that are none, and conditions beside what a signal is matched by.

        Raises:
            ValueError: It is so.
        """
        for signal in Signal:
            for given in self.conditions(signal):
                for text in given.conditions:
                    parse_condition(text, signal, given.context)
            if self.named(signal) and self.conditions(signal):
                raise ValueError(f"{signal}: cannot use conditions and include/exclude at the same time")

    def conditions(self, signal: Signal) -> list[ConditionsConfig]:
        """Return the conditions of a signal, in the order in which they are tried."""
        flat, beginnings = {
            Signal.TRACES: (
                self.trace_conditions,
                {"resource": self.traces.resource, "span": self.traces.span, "spanevent": self.traces.spanevent},
            ),
            Signal.LOGS: (self.log_conditions, {"resource": self.logs.resource, "log": self.logs.log_record}),
            Signal.METRICS: (
                self.metric_conditions,
                {
                    "resource": self.metrics.resource,
                    "metric": self.metrics.metric,
                    "datapoint": self.metrics.datapoint,
                },
            ),
        }[signal]
        said = [ConditionsConfig((one,)) if isinstance(one, str) else one for one in flat]
        return said + [ConditionsConfig(texts, context) for context, texts in beginnings.items() if texts]

    def named(self, signal: Signal) -> bool:
        """Say whether a signal is matched by what it is like."""
        sections = {Signal.TRACES: self.spans, Signal.LOGS: self.logs, Signal.METRICS: self.metrics}
        section: Any = sections[signal]
        return section.include is not None or section.exclude is not None
