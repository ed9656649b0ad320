"""Metrics of libraries: the SDK's provider of meters, where ``OTEL_METRICS_EXPORTER`` asks for one.

It is the stock way out: the journal has no histograms. Nothing of the SDK is loaded where nobody asks.
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
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_OTLP: Final = "otlp"
_GRPC: Final = "otlp_proto_grpc"
_HTTP: Final = "otlp_proto_http"


def install(names: Sequence[str], environment: Mapping[str, str]) -> None:
    """Install a provider of meters with the exporters of these names; what cannot be made is said, and left out."""
    exporters = [exporter for name in names if (exporter := _exporter(name, environment)) is not None]
    if not exporters:
        return
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(exporter) for exporter in exporters]))


def _exporter(name: str, environment: Mapping[str, str]) -> Any:
    place = _of_protocol(environment) if name == _OTLP else name
    found = next(iter(entry_points(group=_GROUP, name=place)), None)
    if found is None:
        package = {_HTTP: "opentelemetry-exporter-otlp-proto-http", _GRPC: "opentelemetry-exporter-otlp-proto-grpc"}
        hint = f"pip install {package.get(place, 'opentelemetry-sdk, which has console')}"
        notices.say(f"metrics {name}", f"the exporter {name!r} of {VARIABLE} is left out: it is not installed; {hint}")
        return None
    try:
        return found.load()(**_arguments(place, environment))
    except Exception as error:  # noqa: BLE001  # another's code
        notices.say(f"metrics {name}", f"the exporter {name!r} of {VARIABLE} cannot be made: {error}")
        return None


def _of_protocol(environment: Mapping[str, str]) -> str:
    said = next((environment[name] for name in _PROTOCOLS if environment.get(name)), "")
    return _GRPC if said.strip() == "grpc" else _HTTP


def _arguments(place: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return where the exporter sends, where only our own variable says it."""
    endpoint = settings.current().endpoint
    if place != _HTTP or not endpoint or any(environment.get(name) for name in _ENDPOINTS):
        return {}
    return {"endpoint": endpoint.rstrip("/") + "/v1/metrics"}
