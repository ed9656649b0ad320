"""The collector's own log: where it goes, how it looks, and what it leaves out."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from provtel_collector.logs import set_up_logs
from provtel_collector_config.telemetry import LogSampling, LogsConfig
from provtel_model.errors import ConfigError
from provtel_model.settings import Duration

log = logging.getLogger("test")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave the log of this process as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_files_and_fields(tmp_path: Path) -> None:
    """The log is written to each file that is named, with the fields that are wanted in every entry."""
    files = [tmp_path / "a.log", tmp_path / "b.log"]
    set_up_logs(LogsConfig(encoding="json", output_paths=tuple(map(str, files)), initial_fields={"site": "x"}))

    log.info("hello")

    for file in files:
        (entry,) = map(json.loads, file.read_text().splitlines())
        assert (entry["msg"], entry["level"], entry["site"]) == ("hello", "info", "x")


def test_file_that_cannot_be_written(tmp_path: Path) -> None:
    """A file that cannot be written is told with its key."""
    with pytest.raises(ConfigError, match=r"^service::telemetry::logs::output_paths: .*: cannot be written"):
        set_up_logs(LogsConfig(output_paths=(str(tmp_path / "absent" / "a.log"),)))


@pytest.mark.parametrize(("hidden", "lines"), [(False, True), (True, False)])
def test_stacktrace(hidden: bool, lines: bool, tmp_path: Path) -> None:
    """Where a failure happened is told, unless nobody wants to know."""
    set_up_logs(LogsConfig(output_paths=(str(tmp_path / "a.log"),), disable_stacktrace=hidden))

    try:
        (tmp_path / "absent").read_text()
    except OSError:
        log.exception("failed")

    assert lines == ("Traceback" in (tmp_path / "a.log").read_text())


def test_sampling(tmp_path: Path) -> None:
    """Of the same message the first few are written and then few; others are not touched by it."""
    config = LogSampling(tick=Duration(3600), initial=2, thereafter=10)
    set_up_logs(LogsConfig(output_paths=(str(tmp_path / "a.log"),), sampling=config))

    for number in range(22):
        log.info("again %s", number)
    log.info("other")

    assert [line.split("\t")[3] for line in (tmp_path / "a.log").read_text().splitlines()] == [
        *(f"again {number}" for number in (0, 1, 11, 21)),
        "other",
    ]


def test_no_sampling(tmp_path: Path) -> None:
    """Without sampling everything is written."""
    set_up_logs(LogsConfig(output_paths=(str(tmp_path / "a.log"),), sampling=LogSampling(enabled=False)))

    for _ in range(50):
        log.info("again")

    assert len((tmp_path / "a.log").read_text().splitlines()) == 50


@pytest.mark.parametrize(
    ("logger", "text", "arguments", "component"),
    [
        ("provtel_collector.receivers.journal.receiver", "%s: %s", ("journal/one", "x"), ("journal/one", "receiver")),
        ("provtel_collector.delivery.announced", "%s refuses", ("exporters::otlp_http",), ("otlp_http", "exporter")),
        ("provtel_exporters.kafka.exporter", "%s: x", ("kafka",), ("kafka", "exporter")),
        ("provtel_collector.http.listening", "%s: x", ("receivers::otlp::protocols::http",), ("otlp", "receiver")),
        ("provtel_collector.service", "ready: %s", ("otlp",), None),
        ("provtel_collector.process", "%s: x", ("SIGHUP",), None),
    ],
)
def test_objects_say_who(
    tmp_path: Path, logger: str, text: str, arguments: tuple[str, ...], component: tuple[str, str] | None
) -> None:
    """As objects, entries say which collector and which component they are of, under the keys of otelcol."""
    file = tmp_path / "a.log"
    set_up_logs(LogsConfig(encoding="json", output_paths=(str(file),)), {"service.name": "provtel"})

    logging.getLogger(logger).warning(text, *arguments)

    entry = json.loads(file.read_text())
    found = entry.get("otelcol.component.id"), entry.get("otelcol.component.kind")
    assert found == (component or (None, None))
    assert entry["resource"] == {"service.name": "provtel"}
    assert entry["caller"].startswith("test_logs.py:")
    assert list(entry)[:2] == ["level", "ts"]
