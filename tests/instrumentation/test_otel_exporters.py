"""What the variables of OpenTelemetry's exporters do under our configurator."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from opentelemetry import environment_variables as of_api
from opentelemetry.instrumentation import environment_variables as of_instrumentation
from opentelemetry.sdk import environment_variables as of_sdk

from tests.instrumentation.otlp_server import serving
from tests.instrumentation.programs import Stage

PAGE = Path(__file__).parents[2] / "docs/reference/tracer-provider.md"

PREFERENCE = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
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


COUNTING = """
from opentelemetry import metrics
from opentelemetry.metrics import Observation
from provtel.otel.configurator import Configurator

Configurator().configure()
meter = metrics.get_meter("library")
counter, level = meter.create_counter("counter"), meter.create_up_down_counter("level")
histogram = meter.create_histogram("histogram")
meter.create_observable_counter("observed", [lambda _: [Observation(7)]])
for _ in range(2):
    counter.add(3)
    level.add(3)
    histogram.record(0.25)
    metrics.get_meter_provider().force_flush()
"""


@pytest.mark.parametrize(
    ("preference", "deltas"),
    [
        (None, set()),
        ("DELTA", {"counter", "histogram", "observed"}),
        ("lowmemory", {"counter", "histogram"}),
        ("sometimes", set()),
    ],
)
def test_temporality(stage: Stage, preference: str | None, deltas: set[str]) -> None:
    """Which instruments count from the export before is as the variable says, and what it cannot say is said."""
    with serving() as server:
        stage.environment |= {"PROVTEL_ENDPOINT": server.endpoint, "OTEL_METRICS_EXPORTER": "otlp"}
        stage.environment |= {} if preference is None else {PREFERENCE: preference}
        said = stage.run(COUNTING, quiet=False).stderr
        points = server.points

    assert {point["name"] for point in points if point["temporality"] == "delta"} == deltas
    assert {point["name"] for point in points} == {"counter", "histogram", "level", "observed"}
    assert max(point["value"] for point in points if point["name"] == "counter") == (3 if deltas else 6)
    assert (PREFERENCE in said) is (preference == "sometimes")


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


def test_a_reader_of_metrics(stage: Stage) -> None:
    """What a package registers may be a reader, as Prometheus's is, which is asked for the metrics."""
    stage.environment |= {"OTEL_METRICS_EXPORTER": "asked", "PYTHONPATH": str(stage.folder)}
    (stage.folder / "asked.py").write_text(
        "from opentelemetry.sdk.metrics.export import InMemoryMetricReader as Reader"
    )
    about = stage.folder / "asked-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: asked\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[opentelemetry_metrics_exporter]\nasked = asked:Reader\n")

    assert stage.run(PROGRAM).stdout == "True\n"


def test_what_is_not_heeded_is_said(stage: Stage) -> None:
    """A variable of the SDK that has no meaning here is said by its name, once; one that is heeded is not."""
    histograms = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    unheeded = [histograms, "OTEL_CONFIG_FILE", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"]
    stage.environment |= dict.fromkeys(unheeded, "7")
    stage.environment |= {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel,provtel_git,aws", "OTEL_SERVICE_NAME": "mine"}
    stage.environment |= {histograms: "base2_exponential_bucket_histogram", "OTEL_METRICS_EXPORTER": "otlp"}
    said = stage.run(PROGRAM, quiet=False).stderr

    assert sorted(re.findall("variable (OTEL_[A-Z_]+) is not heeded", said)) == sorted(unheeded)
    assert said.count("the detector ") == said.count("the detector 'aws'") == 1
    assert "OTEL_SERVICE_NAME" not in said


def test_batches_of_an_exporter_are_heeded(stage: Stage) -> None:
    """The size of the SDK's batches has its meaning where an exporter beside the journal gets the spans."""
    stage.environment |= {"OTEL_TRACES_EXPORTER": "otlp,console", "OTEL_BSP_SCHEDULE_DELAY": "100"}

    assert "OTEL_BSP" not in stage.run(PROGRAM, quiet=False).stderr


def test_every_variable_is_documented() -> None:
    """What each variable of OpenTelemetry's API, SDK and instrumentations does is on the page."""
    known = {
        name for module in (of_api, of_sdk, of_instrumentation) for name in vars(module) if name.startswith("OTEL_")
    }
    page = PAGE.read_text()
    documented = set(re.findall("`(OTEL_[A-Z_]+)`", page))
    families = set(re.findall("`_([A-Z_]+)`", page)) | {"ENDPOINT", "PROTOCOL", "INSECURE"}
    signals = "(TRACES_|METRICS_|LOGS_|)"
    left = {
        name
        for name in known - documented
        if (found := re.fullmatch(f"OTEL_EXPORTER_OTLP_{signals}(.+)", name)) is None or found[2] not in families
    }

    assert left == set()
