"""The collector's own metrics, as Prometheus reads them, under the OpenTelemetry Collector's names."""

from __future__ import annotations

from provtel_collector.telemetry.exposition import exposed
from provtel_collector.telemetry.identity import identity
from provtel_collector.telemetry.serving import MetricsServers

__all__ = ["MetricsServers", "exposed", "identity"]
