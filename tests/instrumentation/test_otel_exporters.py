"""What the variables of OpenTelemetry's exporters do under our configurator."""

from __future__ import annotations

import pytest

from tests.instrumentation.otlp_server import serving
from tests.instrumentation.programs import Stage

PROGRAM = """
import logging, sys
from opentelemetry import metrics
from provtel.otel.configurator import Configurator

Configurator().configure()
meter = metrics.get_meter("library")
meter.create_counter("requests").add(3, {"method": "GET"})
meter.create_histogram("http.client.request.duration", unit="s").record(0.25)
metrics.get_meter_provider().force_flush() if hasattr(metrics.get_meter_provider(), "force_flush") else None
print("opentelemetry.sdk.metrics" in sys.modules)
"""


@pytest.mark.parametrize("variable", ["PROVTEL_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_metrics_of_libraries_reach_the_endpoint(stage: Stage, variable: str) -> None:
    """Counters and histograms of libraries go where tasks go, where somebody asks for an exporter of metrics."""
    with serving() as server:
        stage.environment |= {variable: server.endpoint, "OTEL_METRICS_EXPORTER": "otlp"}
        stage.run(PROGRAM, quiet=False)
        points = {point["name"]: point for point in server.points}

    assert points["requests"]["value"] == 3
    assert points["requests"]["attributes"] == {"method": "GET"}
    assert points["http.client.request.duration"]["kind"] == "histogram"


@pytest.mark.parametrize("wanted", [None, "none", ""])
def test_nobody_asks_for_metrics(stage: Stage, wanted: str | None) -> None:
    """Without an exporter of metrics nothing of the SDK is loaded."""
    if wanted is not None:
        stage.environment["OTEL_METRICS_EXPORTER"] = wanted

    assert stage.run(PROGRAM).stdout == "False\n"


@pytest.mark.parametrize(
    ("variable", "name", "says"),
    [
        ("OTEL_METRICS_EXPORTER", "nobody", "the exporter 'nobody' of OTEL_METRICS_EXPORTER is left out"),
        ("OTEL_LOGS_EXPORTER", "console", "the exporter 'console' of OTEL_LOGS_EXPORTER is left out"),
        ("OTEL_TRACES_EXPORTER", "nobody", "the exporter 'nobody' of OTEL_TRACES_EXPORTER is left out"),
    ],
)
def test_what_there_is_not_is_said(stage: Stage, variable: str, name: str, says: str) -> None:
    """An exporter that cannot be had is said once, and the program goes on."""
    stage.environment[variable] = name
    outcome = stage.run(PROGRAM, quiet=False)

    assert outcome.stderr.count(says) == 1


def test_metrics_on_the_console(stage: Stage) -> None:
    """Any exporter that a package registers gets the metrics."""
    stage.environment["OTEL_METRICS_EXPORTER"] = "console"

    assert '"name": "requests"' in stage.run(PROGRAM, quiet=False).stdout
