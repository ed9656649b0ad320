"""From a configuration to connected components: connectors, extensions, gauges, and ways that lead in a circle."""

from __future__ import annotations

from pathlib import Path

import pytest
from provtel_collector_config.problems import InvalidConfigurationError
from provtel_model.components import Signal
from provtel_model.errors import RetryableError

from tests.collector.parts import Workshop, batch

DOCUMENT = """
receivers: {part/r: }
processors: {part/p: }
exporters: {part/e1: , part/e2: }
connectors: {part/c: }
extensions: {part/x: }
service:
  extensions: [part/x]
  pipelines:
    traces/in: {receivers: [part/r], exporters: [part/c]}
    traces/a: {receivers: [part/c], processors: [part/p], exporters: [part/e1]}
    traces/b: {receivers: [part/c, part/r], exporters: [part/e2]}
    logs/in: {receivers: [part/r], exporters: [part/c]}
    logs/a: {receivers: [part/c], exporters: [part/e1]}
"""


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Make parts in a folder of the test."""
    return Workshop(tmp_path)


def test_connector_joins_pipelines(workshop: Workshop) -> None:
    """A connector takes what a pipeline ends with, and gives it to every pipeline of the signal that it begins."""
    with workshop.service(DOCUMENT) as service:
        workshop.part("part/r").context.next[Signal.TRACES].consume(batch(3))
        workshop.part("part/r").context.next[Signal.LOGS].consume(batch(2, Signal.LOGS))

    assert [one.items for one in workshop.part("part/e1").batches] == [3, 2]
    assert [one.items for one in workshop.part("part/e2").batches] == [3, 3]
    assert service.counters.total("otelcol_receiver_accepted_spans") == 3


def test_connector_knows_its_pipelines(workshop: Workshop) -> None:
    """There is a connector for each signal, and each can choose among the pipelines that it begins."""
    workshop.service(DOCUMENT)

    assert [sorted(part.context.pipelines) for part in workshop.parts["part/c"]] == [
        ["traces/a", "traces/b"],
        ["logs/a"],
    ]


def test_connector_starts_after_what_it_feeds(workshop: Workshop) -> None:
    """Whatever a connector gives data to has started before it, and stops after it."""
    with workshop.service(DOCUMENT):
        started = [line.removeprefix("start ") for line in workshop.diary]

    assert started == ["part/x", "part/e1", "part/e2", "part/p", "part/c", "part/c", "part/r"]


def test_refusal_comes_back_through_a_connector(workshop: Workshop) -> None:
    """What an exporter refuses, the receiver in front of a connector is told."""
    workshop.failing = {"part/e1": {"consume": RetryableError("later")}}

    with workshop.service(DOCUMENT), pytest.raises(RetryableError, match="later"):
        workshop.part("part/r").context.next[Signal.TRACES].consume(batch(1))


def test_components_know_the_extensions(workshop: Workshop) -> None:
    """Every component finds the extensions that run by their ids."""
    workshop.service(DOCUMENT)

    assert workshop.part("part/e1").context.extensions == {"part/x": workshop.part("part/x")}
    assert workshop.part("part/r").context.extensions == {"part/x": workshop.part("part/x")}


def test_gauges_carry_the_id(workshop: Workshop) -> None:
    """A gauge that a component registers is read when it is asked for, under the component's id."""
    service = workshop.service(DOCUMENT)
    waiting = [1]
    workshop.part("part/e1").context.observe("exporter_queue_size", lambda: len(waiting), {"data_type": "traces"})
    waiting.append(2)

    key = ("otelcol_exporter_queue_size", (("data_type", "traces"), ("exporter", "part/e1")))
    assert service.counters.gauges() == {key: 2}


HEAD = """
receivers: {part: }
processors: {part/p: }
exporters: {part: }
connectors: {part/c: , part/d: }
"""


@pytest.mark.parametrize(
    ("pipelines", "said"),
    [
        (
            "traces: {receivers: [part, part/c], exporters: [part/c]}",
            'cycle detected: connector "part/c" (traces to traces) -> connector "part/c" (traces to traces)',
        ),
        (
            (
                "traces/a: {receivers: [part, part/d], processors: [part/p], exporters: [part/c]}, "
                "traces/b: {receivers: [part/c], exporters: [part/d, part]}"
            ),
            (
                'cycle detected: connector "part/c" (traces to traces) -> connector "part/d" (traces to traces) -> '
                'processor "part/p" in pipeline "traces/a" -> connector "part/c" (traces to traces)'
            ),
        ),
        (
            "traces/a: {receivers: [part], exporters: [part/c]}",
            'connector "part/c" used as exporter in [traces/a] pipeline but not used in any supported receiver',
        ),
        (
            "traces/a: {receivers: [part], exporters: [part/c]}, logs/b: {receivers: [part/c], exporters: [part]}",
            'connector "part/c" used as receiver in [logs/b] pipeline but not used in any supported exporter pipeline',
        ),
        (
            "traces/a: {receivers: [part], exporters: [part/x]}",
            'service::pipelines::traces/a: references exporter "part/x" which is not configured',
        ),
        (
            "traces/a: {receivers: [part], processors: [part/c], exporters: [part]}",
            'service::pipelines::traces/a: references processor "part/c" which is not configured',
        ),
    ],
)
def test_pipelines_that_cannot_be_connected(workshop: Workshop, pipelines: str, said: str) -> None:
    """Circles, and connectors with one side only, are refused in the words of the OpenTelemetry Collector."""
    with pytest.raises(InvalidConfigurationError) as raised:
        workshop.configuration(f"{HEAD}service: {{pipelines: {{{pipelines}}}}}")

    assert said in str(raised.value)


def test_connector_named_as_an_exporter_is(workshop: Workshop) -> None:
    """An id that is an exporter's and a connector's is refused."""
    with pytest.raises(InvalidConfigurationError, match='connectors::part: ambiguous ID: Found both "part" exporter'):
        workshop.configuration(
            "receivers: {part/r: }\nexporters: {part: }\nconnectors: {part: }\n"
            "service: {pipelines: {traces: {receivers: [part/r], exporters: [part]}}}"
        )
