"""The routing connector sends each part where the first fitting row says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from provtel_collector.connectors.routing.config import RoutingConfig
from provtel_collector_config.dataclass_loading import load_dataclass
from provtel_collector_config.ids import Kind
from provtel_model.components import Batch, Signal
from provtel_model.errors import ConfigError, DeliveryError, PermanentError, RetryableError
from provtel_model.otlp import check, decode

from tests.collector.parts import Recorder, Workshop, raising
from tests.collector.processors.made import Made
from tests.collector.processors.requests import REQUESTS

LOGIN = 'attributes["host.name"] == "login1"'


class Pipelines:
    """Pipelines of a signal behind a connector, by name.

    Args:
        table: The rows of the table.
        names: What the pipelines are called.
        **config: More of the configuration.
    """

    def __init__(self, table: list[dict[str, Any]], *names: str, signal: Signal = Signal.TRACES, **config: Any) -> None:
        self.recorders = {f"{signal}/{name}": Recorder() for name in names}
        self.made = Made(
            "routing",
            {"table": table, **config},
            kind=Kind.CONNECTORS,
            following={signal: Recorder()},
            pipelines=self.recorders,
        )
        self.batch = check(signal, REQUESTS[signal])

    def consume(self) -> None:
        """Give the request of the signal to the connector."""
        with self.made as component:
            component.consume(self.batch)

    def taken(self) -> dict[str, list[str]]:
        """Return what each pipeline got: the host and the name of each span."""
        return {
            name: [shown for one in taken.batches for shown in described(one)] for name, taken in self.recorders.items()
        }


def described(batch: Batch) -> list[str]:
    """Return the host and the name of each span of a batch."""
    assert batch.items == check(batch.signal, batch.payload).items
    return [f"{record['host']} {record['name']}" for record in decode(batch)]


def row(condition: str, *pipelines: str, **more: str) -> dict[str, Any]:
    """Return a row of the table."""
    return {"condition": condition, "pipelines": list(pipelines), **more}


LOGIN_SPANS = ["login1 train", "login1 evaluate"] * 2
NODE_SPANS = ["node7 train", "node7 tmp.clean"] * 2


def test_by_resource() -> None:
    """Resources for which a condition holds go there, the rest to the default."""
    pipelines = Pipelines([row(LOGIN, "traces/a")], "a", "b", default_pipelines=["traces/b"])
    pipelines.consume()

    assert pipelines.taken() == {"traces/a": LOGIN_SPANS, "traces/b": NODE_SPANS}


def test_first_row_counts() -> None:
    """What one row took, the rows below do not see, unless it was copied."""
    table = [row(LOGIN, "traces/a"), {"statement": "route()", "pipelines": ["traces/b"]}]
    moving = Pipelines(table, "a", "b")
    moving.consume()
    copying = Pipelines([{**table[0], "action": "copy"}, table[1]], "a", "b")
    copying.consume()

    assert moving.taken() == {"traces/a": LOGIN_SPANS, "traces/b": NODE_SPANS}
    assert copying.taken() == {"traces/a": LOGIN_SPANS, "traces/b": LOGIN_SPANS + NODE_SPANS}


def test_by_span() -> None:
    """Single spans can be sent elsewhere, with their resource and their scope."""
    table = [row('name == "train" and resource.attributes["pid"] == 42', "traces/a", context="span")]
    pipelines = Pipelines(table, "a", "b", default_pipelines=["traces/b"])
    pipelines.consume()

    assert pipelines.taken() == {
        "traces/a": ["login1 train"] * 2 + ["node7 train"] * 2,
        "traces/b": ["login1 evaluate"] * 2 + ["node7 tmp.clean"] * 2,
    }


@pytest.mark.parametrize(
    ("signal", "context", "condition", "items"),
    [
        (Signal.LOGS, "log", 'attributes["index"] >= 3', (6, 6)),
        (Signal.METRICS, "metric", 'name == "load"', (6, 6)),
        (Signal.METRICS, "resource", LOGIN, (6, 6)),
    ],
)
def test_other_signals(signal: Signal, context: str, condition: str, items: tuple[int, int]) -> None:
    """Log records and metrics are routed in the same way."""
    table = [row(condition, f"{signal}/a", context=context)]
    pipelines = Pipelines(table, "a", "b", signal=signal, default_pipelines=[f"{signal}/b", "traces/of_another"])
    pipelines.consume()

    assert tuple(sum(one.items for one in taken.batches) for taken in pipelines.recorders.values()) == items


@pytest.mark.parametrize(
    ("condition", "metadata", "taken"),
    [
        ('request["Tenant"] == "physics"', {"tenant": "physics"}, True),
        ('request["tenant"] == "physics"', {"tenant": "chemistry"}, False),
        ('request["tenant"] == "physics"', {}, False),
        ('request["tenant"] != "physics"', {"tenant": "chemistry"}, True),
        ('request["tenant"] != "physics"', {}, False),
    ],
)
def test_by_request(condition: str, metadata: dict[str, str], taken: bool) -> None:
    """A request goes as a whole where its metadata say so."""
    pipelines = Pipelines([row(condition, "traces/a", context="request")], "a", "b", default_pipelines=["traces/b"])
    pipelines.batch = replace(pipelines.batch, metadata=metadata)
    pipelines.consume()

    assert pipelines.recorders["traces/a" if taken else "traces/b"].batches[0] is pipelines.batch
    assert pipelines.recorders["traces/b" if taken else "traces/a"].batches == []


def test_whole_batch_goes_as_it_came() -> None:
    """A batch that goes one way is not written anew."""
    pipelines = Pipelines([row('attributes["pid"] == 42', "traces/a", "traces/b")], "a", "b")
    pipelines.consume()

    assert [taken.batches[0] for taken in pipelines.recorders.values()] == [pipelines.batch] * 2
    assert pipelines.recorders["traces/a"].batches[0] is pipelines.batch


def test_nowhere() -> None:
    """What goes nowhere is dropped and counted."""
    pipelines = Pipelines([row(LOGIN, "traces/a")], "a")
    pipelines.consume()

    assert pipelines.made.counts["connector_routing_dropped_spans",] == 4


@pytest.mark.parametrize(
    ("error", "kind"), [(RetryableError("a"), RetryableError), (PermanentError("a"), PermanentError)]
)
def test_refusal_of_one_way(error: DeliveryError, kind: type[DeliveryError]) -> None:
    """Where one way refuses, the others are tried, and the sender is told."""
    pipelines = Pipelines([row(LOGIN, "traces/a")], "a", "b", default_pipelines=["traces/b"])
    pipelines.recorders["traces/a"].doing = raising(error)

    with pytest.raises(kind):
        pipelines.consume()

    assert pipelines.taken()["traces/b"] == NODE_SPANS


@pytest.mark.parametrize("mode", ["propagate", "ignore", "silent"])
def test_undecided(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    """A condition that cannot be decided refuses the batch, or counts as not holding, as is said."""
    table = [row('attributes["pid"]["x"] == 1', "traces/a")]
    pipelines = Pipelines(table, "a", "b", default_pipelines=["traces/b"], error_mode=mode)
    if mode == "propagate":
        with pytest.raises(PermanentError, match="cannot be decided"):
            pipelines.consume()
    else:
        pipelines.consume()
        assert len(pipelines.taken()["traces/b"]) == 8

    assert caplog.text.count("connectors::routing/one: condition") == (mode == "ignore")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "the routing table is empty"),
        ([{"pipelines": ["traces/a"]}], "no condition or statement provided"),
        ([{"condition": LOGIN, "statement": "route()", "pipelines": ["traces/a"]}], "both condition and statement"),
        ([{"condition": LOGIN}], "no pipelines defined"),
        ([{"statement": "delete_key(x)", "pipelines": ["traces/a"]}], "only route()"),
        ([{"condition": 'span.name == "x"', "pipelines": ["traces/a"]}], "looks deeper than the context resource"),
        ([{"condition": "nam", "pipelines": ["traces/a"]}], '"nam" is not available'),
        ([{"condition": LOGIN, "pipelines": ["traces/a"], "context": "request"}], "of a request only request"),
        ([{"statement": "route()", "pipelines": ["traces/a"], "context": "request"}], "requires a 'condition'"),
        ([{"condition": LOGIN, "pipelines": ["traces/a"], "context": "datapoint"}], '"datapoint"'),
    ],
)
def test_refused_table(table: list[dict[str, Any]], message: str) -> None:
    """A table that says nothing, or what is not understood, is refused."""
    _, (problem,) = load_dataclass(RoutingConfig, {"table": table})

    assert message in str(problem)


def test_unknown_pipeline() -> None:
    """A pipeline that does not begin with the connector is refused with its name."""
    with pytest.raises(ConfigError, match='pipeline "traces/none" does not have this connector as a receiver'):
        Pipelines([row(LOGIN, "traces/none")], "a")


def test_foreign_context() -> None:
    """Spans cannot be looked for in logs."""
    with pytest.raises(ConfigError, match=r"table\[0\]::context: span is no part of logs"):
        Pipelines([row('name == "x"', "logs/a", context="span")], "a", signal=Signal.LOGS)


def test_in_a_service(tmp_path: Path) -> None:
    """Between real pipelines, joined by ``forward``, every span reaches the exporter that it should."""
    workshop = Workshop(tmp_path)
    document = """
receivers: {part/r: }
exporters: {part/login: , part/rest: }
connectors:
  forward:
  routing:
    table:
      - {condition: 'attributes["host.name"] == "login1"', pipelines: [traces/login]}
    default_pipelines: [traces/rest]
service:
  pipelines:
    traces/in: {receivers: [part/r], exporters: [forward]}
    traces/joined: {receivers: [forward], exporters: [routing]}
    traces/login: {receivers: [routing], exporters: [part/login]}
    traces/rest: {receivers: [routing], exporters: [part/rest]}
"""
    with workshop.service(document):
        batch = check(Signal.TRACES, REQUESTS[Signal.TRACES])
        workshop.part("part/r").context.next[Signal.TRACES].consume(batch)

    found = {name: described(workshop.part(name).batches[0]) for name in ("part/login", "part/rest")}
    assert found == {"part/login": LOGIN_SPANS, "part/rest": NODE_SPANS}
