"""The collector's own metrics are what Prometheus reads, under the OpenTelemetry Collector's names."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_collector.counters import Counters, OwnCounters, Sizes
from provtel_collector.registry import find_factories
from provtel_collector.service import Service
from provtel_collector.telemetry import exposed
from provtel_collector.telemetry.descriptions import MetricLevel
from provtel_collector_config.loading import load
from provtel_model.errors import ConfigError

from tests.collector.parts import logs, traces
from tests.services.found import Found
from tests.services.otelcol.processing import post
from tests.services.otelcol.server import free_ports, running_as

SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:\\.|[^"\\])*",?)*)\})? (\S+)')
LABEL = re.compile(r'(\w+)="((?:\\.|[^"\\])*)"')


def read(text: str) -> dict[str, float]:
    """Return the samples of a text in Prometheus's format, by name and labels as they are written."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, line
            labels = ",".join(sorted(f'{key}="{value}"' for key, value in LABEL.findall(match[2] or "")))
            found[f"{match[1]}{{{labels}}}"] = float(match[3])
    return found


def shown(counters: Counters, level: MetricLevel = MetricLevel.DETAILED) -> dict[str, float]:
    """Return what is exposed."""
    return read(exposed(counters, level, {}))


def ask(port: int, path: str = "/metrics", method: str = "GET") -> tuple[int, str, str]:
    """Return status, content type and body of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with closing(connection):
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers["content-type"], answer.read().decode()


def test_counters() -> None:
    """Sums and gauges are shown with their attributes."""
    counters = Counters()
    counters.add("exporter_sent_spans", 3, {"exporter": "debug"})
    counters.add("exporter_sent_spans", 4, {"exporter": "debug"})
    counters.observe("exporter_queue_size", lambda: 2.5, {"exporter": "kafka"})

    found = shown(counters)

    assert found['otelcol_exporter_sent_spans{exporter="debug"}'] == 7
    assert found['otelcol_exporter_queue_size{exporter="kafka"}'] == 2.5


def test_kinds_and_meanings() -> None:
    """Each metric says once what it is and what it means."""
    counters = Counters()
    counters.add("exporter_sent_spans", 3, {"exporter": "a"})
    counters.add("exporter_sent_spans", 3, {"exporter": "b"})

    text = exposed(counters, MetricLevel.NORMAL, {})

    assert text.count("# HELP otelcol_exporter_sent_spans Number of spans successfully sent to destination.\n") == 1
    assert text.count("# TYPE otelcol_exporter_sent_spans counter\n") == 1


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])), max_size=3
    )
)
def test_any_attribute_can_be_read(attributes: dict[str, str]) -> None:
    """Whatever attributes are called and hold, each sample is one line, and its values come through."""
    counters = Counters()
    counters.add("x", 1, {f"a{number}": value for number, value in enumerate(attributes.values())})

    text = exposed(counters, MetricLevel.DETAILED, {})

    (line,) = (line for line in text.split("\n") if line.startswith("otelcol_x"))
    unescaped = [
        re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), value) for _, value in LABEL.findall(line)
    ]
    assert unescaped == list(attributes.values())


def test_sizes() -> None:
    """Sizes are shown by how many were up to each bound, and all of them together."""
    counters = Counters()
    for size in (1, 10, 11, 10**6):
        counters.add("processor_batch_batch_send_size", size, {"processor": "batch"})

    found = shown(counters)
    name = "otelcol_processor_batch_batch_send_size"

    assert [found[f'{name}_bucket{{le="{bound}",processor="batch"}}'] for bound in ("10", "25", "100000", "+Inf")] == [
        2,
        3,
        3,
        4,
    ]
    assert found[f'{name}_count{{processor="batch"}}'] == 4
    assert found[f'{name}_sum{{processor="batch"}}'] == 1_000_022


@given(st.lists(st.integers(0, 50)), st.lists(st.integers(1, 40), unique=True, min_size=1))
def test_sizes_add_up(sizes: list[int], bounds: list[int]) -> None:
    """Every size is counted once, under the first bound that it does not exceed."""
    counted = Sizes(tuple(sorted(bounds)))
    for size in sizes:
        counted.add(size)

    assert sum(counted.counts) == len(sizes)
    assert counted.total == sum(sizes)
    assert counted.counts[0] == sum(size <= min(bounds) for size in sizes)


def test_levels() -> None:
    """Lower levels show less, and basic is what matters."""
    counters = Counters()
    for name in ("exporter_sent_spans", "processor_batch_batch_send_size", "exporter_queue_batch_send_size"):
        counters.add(name, 1, {})

    found = {level: {name.partition("{")[0] for name in shown(counters, level)} for level in MetricLevel}

    assert "otelcol_exporter_sent_spans" in found[MetricLevel.BASIC]
    assert "otelcol_processor_batch_batch_send_size_count" in found[MetricLevel.NORMAL] - found[MetricLevel.BASIC]
    assert "otelcol_exporter_queue_batch_send_size_count" in found[MetricLevel.DETAILED] - found[MetricLevel.NORMAL]


def test_broken_gauge_hides_nothing() -> None:
    """A gauge that cannot be read is left out, the others are shown."""
    counters = Counters()
    counters.observe("bad", lambda: 1 / 0, {})
    counters.observe("good", lambda: float("nan"), {})

    found = shown(counters)

    assert not any("bad" in name for name in found)
    assert "otelcol_good{}" in found


def test_gauges_go_with_their_service() -> None:
    """Of a service that has stopped no gauge is shown, unless the next one shows the same."""
    counters = Counters()
    first, second = OwnCounters(counters), OwnCounters(counters)
    first.observe("queue", lambda: 1, {"exporter": "old"})
    first.observe("queue", lambda: 1, {"exporter": "both"})
    first.add("sent", 5, {})
    second.observe("queue", lambda: 2, {"exporter": "both"})

    first.forget()

    found = shown(counters)
    assert {name: value for name, value in found.items() if "queue" in name} == {'otelcol_queue{exporter="both"}': 2}
    assert found["otelcol_sent{}"] == 5


def test_counts_of_many_threads() -> None:
    """No count is lost between threads."""
    counters = Counters()

    def count() -> None:
        for _ in range(5000):
            counters.add("a", 1, {"x": "y"})
            counters.add("processor_batch_batch_send_size", 1, {})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counters.total("otelcol_a") == 20_000
    assert shown(counters)["otelcol_processor_batch_batch_send_size_count{}"] == 20_000


def service(folder: Path, metrics: dict[str, Any], **telemetry: Any) -> Service:
    """Return a service that has not started."""
    document = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:0"}}}},
        "exporters": {"nop": {}},
        "service": {
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["nop"]}},
            "telemetry": {"metrics": metrics, **telemetry},
        },
    }
    file = folder / "collector.yaml"
    file.write_text(json.dumps(document))
    return Service(load([str(file)], find_factories()))


def prometheus(port: int) -> dict[str, Any]:
    """Return the setting of where metrics are read."""
    return {"readers": [{"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": port}}}}]}


def test_served(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Metrics are served while the collector runs, at that path alone, and the log says where."""
    (port,) = free_ports(1)
    caplog.set_level("INFO")

    with service(tmp_path, prometheus(port), resource={"site": "north", "service.instance.id": None}):
        status, content_type, text = ask(port)
        assert (ask(port, "/other")[0], ask(port, method="POST")[0]) == (404, 405)
    with pytest.raises(ConnectionRefusedError):
        ask(port)

    assert (status, content_type.partition(";")[0]) == (200, "text/plain")
    assert read(text)["otelcol_process_memory_rss{}"] > 10 * 2**20
    (target,) = (name for name in read(text) if name.startswith("target_info"))
    assert 'site="north"' in target
    assert 'service_name="provtel"' in target
    assert "instance" not in target
    assert f"metrics on http://127.0.0.1:{port}/metrics" in caplog.text


def test_none(tmp_path: Path) -> None:
    """With level none nothing listens."""
    (port,) = free_ports(1)

    with service(tmp_path, {"level": "none", **prometheus(port)}), pytest.raises(ConnectionRefusedError):
        ask(port)


def test_address_in_use(tmp_path: Path) -> None:
    """An address that the user named must be free, or the collector does not start."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        path = r"service::telemetry::metrics::readers\[0\]::pull::exporter::prometheus"
        with pytest.raises(ConfigError, match=f"^{path}: .*already in use"):
            service(tmp_path, prometheus(port)).start()


def test_usual_address_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the usual address is another collector's, this one runs without metrics and says so."""

    def taken(*_: object) -> socket.socket:
        raise ConfigError("cannot listen")

    monkeypatch.setattr("provtel_collector.telemetry.serving.listen", taken)
    with service(tmp_path, {}):
        assert "no metrics of this collector can be read: cannot listen" in caplog.text


def compared_document(folder: Path, otlp: int, metrics: int) -> dict[str, Any]:
    """Return a configuration that both collectors take."""
    readers = prometheus(metrics)
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_mib": 4000},
            "filter": {"trace_conditions": ['span.name == "span 1"']},
            "batch": {"timeout": "10ms"},
        },
        "exporters": {"file": {"path": str(folder / "out.jsonl")}, "debug": {}},
        "service": {
            "telemetry": {"metrics": {"level": "detailed", **readers}},
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "filter", "batch"],
                    "exporters": ["file"],
                },
                "logs": {"receivers": ["otlp"], "exporters": ["debug"]},
            },
        },
    }


def test_same_as_otelcol(tmp_path: Path, found_otelcol: Found) -> None:
    """For the same traffic, the samples that both collectors have are called and counted alike."""
    otlp, metrics = free_ports(2)
    document = compared_document(tmp_path, otlp, metrics)
    with running_as(found_otelcol, tmp_path / "otelcol", document):
        theirs = traffic(otlp, metrics)
    (tmp_path / "ours.json").write_text(json.dumps(document))
    with Service(load([str(tmp_path / "ours.json")], find_factories())):
        ours = traffic(otlp, metrics)

    beginnings = ("receiver_accepted", "receiver_refused", "exporter_sent", "processor_")
    left_out = ("internal_duration", "metadata_cardinality", "send_size_bytes", 'data_type="')
    compared = {
        name
        for name, value in theirs.items()
        if name.startswith(tuple(f"otelcol_{beginning}" for beginning in beginnings))
        and not any(part in name for part in left_out)
        and value
    }
    assert len(compared) > 30
    assert {name: ours.get(name) for name in compared} == {name: theirs[name] for name in compared}
    process = {f"otelcol_process_{name}{{}}" for name in ("uptime", "cpu_seconds", "memory_rss")}
    assert process <= ours.keys() & theirs.keys()


def traffic(otlp: int, metrics: int) -> dict[str, float]:
    """Send three requests, and return what is counted."""
    post(otlp, "traces", traces(5))
    time.sleep(0.3)
    post(otlp, "traces", traces(7, 10))
    post(otlp, "logs", logs(3))
    time.sleep(0.3)
    return {
        name.replace('processor="filter",', "").replace(',processor="filter"', "")
        if "filtered" in name
        else name: value
        for name, value in read(ask(metrics)[2]).items()
    }
