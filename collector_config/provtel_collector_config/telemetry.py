"""The section ``service.telemetry``: what the collector says of itself, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from provtel_model.settings import NO_EFFECT, Duration

_LOG_LEVELS: Final = ("debug", "info", "warn", "warning", "error", "dpanic", "panic", "fatal")
_METRIC_LEVELS: Final = ("none", "basic", "normal", "detailed")


@dataclass(frozen=True)
class LogSampling:
    """How often the same message is written; more often would only hide others.

    Args:
        enabled: Leave some out at all.
        tick: How long a message is remembered.
        initial: How many of a message are written in that time.
        thereafter: Of those beyond, every how manieth is written; 0 is none.
    """

    enabled: bool = True
    tick: Duration = Duration(10)
    initial: int = 10
    thereafter: int = 100


@dataclass(frozen=True)
class LogsConfig:
    """The collector's own log.

    Args:
        level: The least that is written: `debug`, `info`, `warn` or `error`; `fatal` for nearly nothing.
        encoding: `console` for lines that a person reads, `json` for an object a line.
        output_paths: Where it is written: `stderr`, `stdout` or files.
        error_output_paths: Has no effect: mistakes of the log itself go to stderr.
        disable_caller: Has no effect: an entry has the module that it comes from in any case.
        disable_stacktrace: Leave out where in the code a failure happened.
        development: Has no effect.
        initial_fields: What is added to every entry.
        sampling: How often the same message is written.
    """

    level: str = "info"
    encoding: Literal["console", "json"] = "console"
    output_paths: tuple[str, ...] = ("stderr",)
    error_output_paths: tuple[str, ...] = field(default=("stderr",), metadata=NO_EFFECT)
    disable_caller: bool = field(default=False, metadata=NO_EFFECT)
    disable_stacktrace: bool = False
    development: bool = field(default=False, metadata=NO_EFFECT)
    initial_fields: Mapping[str, Any] = field(default_factory=dict)
    sampling: LogSampling = LogSampling()

    def __post_init__(self) -> None:
        """Refuse an unknown level.

        Raises:
            ValueError: It is none of them.
        """
        if self.level.lower() not in _LOG_LEVELS:
            raise ValueError(f'unrecognized level: "{self.level}" (valid values: [{" ".join(_LOG_LEVELS)}])')


@dataclass(frozen=True)
class PrometheusConfig:
    """An address that Prometheus reads.

    Args:
        host: The name or address of this machine to listen on.
        port: The port.
        without_scope_info: Accepted, and of no effect: scopes are not shown.
        without_type_suffix: Accepted, and of no effect: names have no suffix for their type.
        without_units: Accepted, and of no effect: names have no suffix for their unit.
        with_resource_constant_labels: Accepted, and of no effect: the resource is shown as `target_info`.
    """

    host: str = "localhost"
    port: int = 8888
    without_scope_info: bool | None = field(default=None, metadata=NO_EFFECT)
    without_type_suffix: bool | None = field(default=None, metadata=NO_EFFECT)
    without_units: bool | None = field(default=None, metadata=NO_EFFECT)
    with_resource_constant_labels: Mapping[str, Any] = field(default_factory=dict, metadata=NO_EFFECT)


@dataclass(frozen=True)
class PullExporter:
    """What serves metrics to whoever asks.

    Args:
        prometheus: In the text format of Prometheus.
    """

    prometheus: PrometheusConfig


@dataclass(frozen=True)
class PullReader:
    """Metrics that are read when somebody asks.

    Args:
        exporter: What serves them.
    """

    exporter: PullExporter


@dataclass(frozen=True)
class MetricReader:
    """One way to the collector's own metrics.

    Args:
        pull: They are read when somebody asks.
    """

    pull: PullReader


@dataclass(frozen=True)
class MetricsConfig:
    """The collector's own metrics.

    Args:
        level: How many there are: `none`, `basic`, `normal` or `detailed`.
        readers: Where they can be read.
    """

    level: str = "normal"
    readers: tuple[MetricReader, ...] = (MetricReader(PullReader(PullExporter(PrometheusConfig()))),)

    def __post_init__(self) -> None:
        """Refuse an unknown level, and metrics that nobody can read.

        Raises:
            ValueError: It is none of the four, or there is no reader.
        """
        if self.level.lower() not in _METRIC_LEVELS:
            raise ValueError(f'unknown metrics level "{self.level}" (valid values: [{" ".join(_METRIC_LEVELS)}])')
        if self.enabled and not self.readers:
            raise ValueError("collector telemetry metrics reader should exist when metric level is not none")

    @property
    def enabled(self) -> bool:
        """Whether there are any."""
        return self.level.lower() != "none"


@dataclass(frozen=True)
class TracesConfig:
    """The collector's own traces, of which it makes none.

    Args:
        level: Has no effect.
        propagators: Has no effect.
    """

    level: str = field(default="none", metadata=NO_EFFECT)
    propagators: tuple[str, ...] = field(default=(), metadata=NO_EFFECT)


@dataclass(frozen=True)
class TelemetryConfig:
    """What the collector says of itself.

    Args:
        logs: Its log.
        metrics: Its metrics.
        traces: Its traces, of which there are none.
        resource: Attributes that say which collector this is.
    """

    logs: LogsConfig = LogsConfig()
    metrics: MetricsConfig = MetricsConfig()
    traces: TracesConfig = TracesConfig()
    resource: Mapping[str, str | None] = field(default_factory=dict)
