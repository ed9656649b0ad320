"""Metrics of libraries: the SDK's provider of meters, where ``OTEL_METRICS_EXPORTER`` asks for one.

What ``otlp`` names is the journal, from which it reaches the store or the endpoint as tasks do; other exporters are
those of packages. Nothing of the SDK is loaded where nobody asks.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics

from provtel import notices, settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLE: Final = "OTEL_METRICS_EXPORTER"
_GROUP: Final = "opentelemetry_metrics_exporter"
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
_HISTOGRAMS: Final = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
_EXPLICIT: Final = "explicit_bucket_histogram"
_OTLP: Final = "otlp"
_GRPC: Final = "otlp_proto_grpc"
_HTTP: Final = "otlp_proto_http"


def install(names: Sequence[str], environment: Mapping[str, str]) -> None:
    """Install a provider of meters with the exporters of these names; what cannot be made is said, and left out."""
    exporters = [exporter for name in names if (exporter := _exporter(name, environment)) is not None]
    if not exporters:
        return
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader

    # Who is asked for its metrics, as Prometheus asks, is registered as a reader in the place of an exporter.
    readers = [made if isinstance(made, MetricReader) else PeriodicExportingMetricReader(made) for made in exporters]
    metrics.set_meter_provider(MeterProvider(readers))


def _exporter(name: str, environment: Mapping[str, str]) -> Any:
    place = _of_protocol(environment) if name == _OTLP else name
    try:
        if name == _OTLP and place == _HTTP and (settings.current().endpoint or not environment.get(_ENDPOINT)):
            from provtel.otel.metric_exporter import PREFERENCE, JournalMetricExporter

            if (environment.get(_HISTOGRAMS) or _EXPLICIT).strip().lower() != _EXPLICIT:
                reason = "histograms in the journal have explicit bounds"
                notices.say(f"unheeded {_HISTOGRAMS}", f"the variable {_HISTOGRAMS} is not heeded: {reason}")
            return JournalMetricExporter(environment.get(PREFERENCE, ""))
        found = next(iter(entry_points(group=_GROUP, name=place)), None)
        if found is not None:
            return found.load()()
    except Exception as error:  # noqa: BLE001  # another's code
        notices.say(f"metrics {name}", f"the exporter {name!r} of {VARIABLE} cannot be made: {error}")
        return None
    package = {_HTTP: "opentelemetry-exporter-otlp-proto-http", _GRPC: "opentelemetry-exporter-otlp-proto-grpc"}
    hint = f"pip install {package.get(place, 'opentelemetry-sdk, which has console')}"
    notices.say(f"metrics {name}", f"the exporter {name!r} of {VARIABLE} is left out: it is not installed; {hint}")
    return None


def _of_protocol(environment: Mapping[str, str]) -> str:
    said = next((environment[name] for name in _PROTOCOLS if environment.get(name)), "")
    return _GRPC if said.strip() == "grpc" else _HTTP
