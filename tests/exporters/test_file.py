"""The file exporter writes what the OpenTelemetry Collector reads, and says nothing before it is on the disk."""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_exporters.file import factory
from provtel_exporters.file.config import FileConfig, GroupByConfig, RotationConfig
from provtel_exporters.file.durable import DurableFile
from provtel_exporters.file.exporter import FileExporter
from provtel_exporters.file.grouping import FilesByValue
from provtel_exporters.nop import factory as nop
from provtel_model.components import Batch, Context, Signal
from provtel_model.errors import ConfigError, PermanentError, RetryableError
from provtel_model.otlp import check
from provtel_model.otlp.json_codec import from_json, to_json

from tests.collector.processors.requests import normal
from tests.services.found import Found
from tests.services.otelcol.processing import post
from tests.services.otelcol.server import free_ports, running_as

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def batch(name: str = "train", size: int = 0) -> Batch:
    """Return a batch of one span, with some weight."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name=name, trace_id=b"t" * 16, span_id=b"s" * 8)
    span.attributes.add(key="weight").value.string_value = "x" * size
    return check(Signal.TRACES, request.SerializeToString())


@contextmanager
def writing(path: Path, **config: Any) -> Iterator[FileExporter]:
    """Run an exporter."""
    exporter = factory.create(FileConfig(str(path), **config), Context("file", {}, lambda *_: None))
    exporter.start()
    try:
        yield exporter
    finally:
        exporter.shutdown()


def lines(path: Path) -> list[bytes]:
    """Return the requests of a file of lines, as bytes of protobuf."""
    content = path.read_bytes()
    assert content.endswith(b"\n")
    return [from_json(Signal.TRACES, line) for line in content.splitlines()]


def frames(path: Path) -> list[bytes]:
    """Return what a file has behind each length."""
    content = path.read_bytes()
    found = []
    while content:
        (length,) = struct.unpack_from(">I", content)
        found.append(content[4 : 4 + length])
        content = content[4 + length :]
    return found


NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5)


@settings(max_examples=20)
@given(NAMES, st.sampled_from(["json", "proto"]), st.sampled_from(["", "zstd"]))
def test_what_is_written_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], form: str, compression: str
) -> None:
    """In every format, what is read again is what was given."""
    path = tmp_path_factory.mktemp("file") / "traces"
    given_ = [batch(name) for name in names]

    with writing(path, format=form, compression=compression) as exporter:
        for one in given_:
            exporter.consume(one)

    if form == "json" and not compression:
        written = lines(path)
    else:
        written = [zstd.decompress(one) if compression else one for one in frames(path)]
        written = [from_json(Signal.TRACES, one) for one in written] if form == "json" else written
    assert written == [one.payload for one in given_]


def test_begins_anew_or_goes_on(tmp_path: Path) -> None:
    """A file is emptied at start unless it is to be gone on with."""
    path = tmp_path / "traces.jsonl"
    for append, count in ((False, 1), (False, 1), (True, 2)):
        with writing(path, append=append) as exporter:
            exporter.consume(batch())
        assert len(lines(path)) == count


def test_half_a_line_of_before_is_ended(tmp_path: Path) -> None:
    """What a killed process left without an end does not spoil the next line."""
    path = tmp_path / "traces.jsonl"
    path.write_bytes(b'{"resourceSp')

    with writing(path, append=True) as exporter:
        exporter.consume(batch())

    half, whole = path.read_bytes().splitlines()
    assert half == b'{"resourceSp'
    assert from_json(Signal.TRACES, whole) == batch().payload


def test_rotation(tmp_path: Path) -> None:
    """A file is put aside before it gets too large, no line is cut, and the oldest are removed."""
    path = tmp_path / "traces.jsonl"
    with writing(path, rotation=RotationConfig(max_megabytes=1, max_backups=2)) as exporter:
        for number in range(14):
            exporter.consume(batch(str(number), 300_000))

    aside = sorted(tmp_path.glob("traces-*-size.jsonl"))
    names = [
        json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"]
        for file in (*aside, path)
        for line in file.read_bytes().splitlines()
    ]
    assert len(aside) == 2
    assert names == [str(number) for number in range(6, 14)]
    assert all(file.stat().st_size <= 2**20 for file in (*aside, path))


def test_old_files_are_removed(tmp_path: Path) -> None:
    """What was put aside so many days ago goes at the next rotation; files of others stay."""
    path = tmp_path / "traces.jsonl"
    old = tmp_path / "traces-2020-01-01T00-00-00.000-size.jsonl"
    other = tmp_path / "traces-notes.jsonl"
    for file in (old, other):
        file.touch()
        os.utime(file, (0, 0))

    with writing(path, rotation=RotationConfig(max_megabytes=1, max_days=3)) as exporter:
        exporter.consume(batch("a", 900_000))
        exporter.consume(batch("b", 900_000))

    assert not old.exists()
    assert other.exists()


def test_full_disk(tmp_path: Path) -> None:
    """Where there is no room the sender is told, nothing half is left, and it goes on when there is room."""
    path = tmp_path / "traces.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with writing(path) as exporter:
        exporter.consume(batch("a"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        try:
            with pytest.raises(RetryableError, match="cannot be written"):
                exporter.consume(batch("b", 10_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        exporter.consume(batch("c"))

    assert lines(path) == [batch("a").payload, batch("c").payload]


def test_many_writers_share_a_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of many threads are whole, all are on the disk when their writers return, and they need few fsyncs."""
    path = tmp_path / "traces.jsonl"
    flushed: list[int] = []
    flushing = os.fsync
    gate = threading.Event()

    def slow(descriptor: int) -> None:
        gate.wait(0.02)
        flushing(descriptor)
        flushed.append(descriptor)

    with writing(path) as exporter:
        monkeypatch.setattr(os, "fsync", slow)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(exporter.consume, [batch(str(number)) for number in range(64)]))
        monkeypatch.undo()

    assert sorted(lines(path)) == sorted(batch(str(number)).payload for number in range(64))
    assert 0 < len(flushed) < 32


def test_folder_is_made(tmp_path: Path) -> None:
    """The folder is made where that is asked for, and its lack is told where not."""
    path = tmp_path / "a" / "b" / "traces.jsonl"
    with pytest.raises(ConfigError, match=r"^exporters::file::path: .* cannot be written: No such file"), writing(path):
        pass

    with writing(path, create_directory=True, directory_permissions="0700") as exporter:
        exporter.consume(batch())

    assert len(lines(path)) == 1


def test_what_is_no_request(tmp_path: Path) -> None:
    """Bytes that are no request are refused for good."""
    with writing(tmp_path / "x") as exporter, pytest.raises(PermanentError):
        exporter.consume(Batch(Signal.TRACES, b"\xff", 1))


def test_closed(tmp_path: Path) -> None:
    """After the end nothing is taken, and a second end does no harm."""
    with writing(tmp_path / "x") as exporter:
        exporter.shutdown()
        with pytest.raises(RetryableError, match="is closed"):
            exporter.consume(batch())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"path": ""}, "path must be non-empty"),
        ({"path": "x", "append": True, "rotation": RotationConfig()}, "append and rotation enabled"),
        ({"path": "x", "group_by": GroupByConfig(enabled=True)}, "exactly one"),
        ({"path": "*x", "group_by": GroupByConfig(enabled=True)}, "must not start with"),
        ({"path": "x", "directory_permissions": "0755"}, "requires create_directory"),
        ({"path": "x", "create_directory": True, "directory_permissions": "9"}, "valid octal"),
        ({"path": "x", "create_directory": True, "directory_permissions": "1777"}, "invalid bits"),
    ],
)
def test_refused_configuration(config: dict[str, Any], message: str) -> None:
    """What contradicts itself is refused in the OpenTelemetry Collector's words."""
    with pytest.raises(ValueError, match=message):
        FileConfig(**config)


FORMATS: dict[str, dict[str, str]] = {
    "lines": {},
    "framed": {"format": "proto"},
    "packed": {"format": "proto", "compression": "zstd"},
    "packed-json": {"compression": "zstd"},
}


def test_formats_are_those_of_otelcol(tmp_path: Path, found_otelcol: Found) -> None:
    """In every format, a file of the OpenTelemetry Collector is laid out as ours is."""
    (otlp,) = free_ports(1)
    document = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "exporters": {f"file/{name}": {"path": str(tmp_path / name), **form} for name, form in FORMATS.items()},
        "service": {
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": [f"file/{name}" for name in FORMATS]}}
        },
    }
    with running_as(found_otelcol, tmp_path / "otelcol", document):
        for name in ("a", "b"):
            post(otlp, "traces", batch(name).payload)

    for name, form in FORMATS.items():
        with writing(tmp_path / f"our {name}", **form) as exporter:
            for one in ("a", "b"):
                exporter.consume(batch(one))
        theirs, ours = (requests_of(tmp_path / f"{prefix}{name}", form) for prefix in ("", "our "))
        assert ours == [batch("a").payload, batch("b").payload]
        assert [normal(to_json(Signal.TRACES, one)) for one in theirs] == [
            normal(to_json(Signal.TRACES, one)) for one in ours
        ]


def requests_of(path: Path, form: dict[str, str]) -> list[bytes]:
    """Return the requests of a file, as bytes of protobuf."""
    if not form:
        return lines(path)
    contents = [zstd.decompress(one) if "compression" in form else one for one in frames(path)]
    return contents if "format" in form else [from_json(Signal.TRACES, one) for one in contents]


def never(*_: object) -> DurableFile:
    """Make no file."""
    pytest.fail("no file was to be made")


GROUPED = GroupByConfig(enabled=True, resource_attribute="run", max_open_files=2)


def of_runs(*runs: str | int | None) -> Batch:
    """Return a batch with a span for each run, in a resource of its own."""
    request = ExportTraceServiceRequest()
    for number, run in enumerate(runs, 1):
        group = request.resource_spans.add()
        if isinstance(run, str):
            group.resource.attributes.add(key="run").value.string_value = run
        elif run is not None:
            group.resource.attributes.add(key="run").value.int_value = run
        group.scope_spans.add().spans.add(name=f"of {run}", trace_id=b"t" * 16, span_id=bytes([number]) * 8)
    return check(Signal.TRACES, request.SerializeToString())


def names_in(path: Path) -> list[str]:
    """Return the names of the spans in a file."""
    requests = map(ExportTraceServiceRequest.FromString, lines(path))
    return [span.name for one in requests for group in one.resource_spans for span in group.scope_spans[0].spans]


def test_a_file_for_each_value(tmp_path: Path) -> None:
    """Each value has a file, also when more are written than may be open; what has no value is counted."""
    counts: Counter[str] = Counter()
    context = Context("file", {}, lambda name, count, _: counts.update({name: count}))
    exporter = factory.create(FileConfig(str(tmp_path / "runs" / "*.jsonl"), group_by=GROUPED), context)
    exporter.start()
    for _ in range(2):
        exporter.consume(of_runs("a", "b", None, "a", "deep/er", 5))
    exporter.shutdown()

    assert names_in(tmp_path / "runs" / "a.jsonl") == ["of a"] * 4
    assert names_in(tmp_path / "runs" / "b.jsonl") == ["of b"] * 2
    assert names_in(tmp_path / "runs" / "deep" / "er.jsonl") == ["of deep/er"] * 2
    assert counts == {"exporter_file_ungrouped_items": 4}
    with pytest.raises(RetryableError, match="is closed"):
        exporter.consume(of_runs("a"))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_value_leads_out_of_the_folder(value: str) -> None:
    """Whatever an attribute says, its file is in the folder that the path begins with."""
    path = FilesByValue("/data/runs/*.jsonl", 1, 0o755, never).path_of(value)

    assert str(path).startswith("/data/runs/")
    assert ".." not in path.parts


@pytest.mark.parametrize(
    ("value", "path"),
    [("../etc/my_config", "/data/etc/my_config.json"), ("./a", "/data/a.json"), ("../../../x", "/data/x.json")],
)
def test_values_that_lead_upward(value: str, path: str) -> None:
    """A value that would lead upward is turned inward, as the OpenTelemetry Collector does."""
    assert str(FilesByValue("/data/*.json", 1, 0o755, never).path_of(value)) == path


@pytest.mark.parametrize("value", ["x" * 300, "a\0b", "d/" * 3000])
def test_value_that_can_be_no_file(tmp_path: Path, value: str) -> None:
    """A value that no file can be called by is refused for good before anything is written, and harms nothing else."""
    with writing(tmp_path / "*.jsonl", group_by=GROUPED) as exporter:
        with pytest.raises(PermanentError, match="no file can be called by"):
            exporter.consume(of_runs("a", value))
        exporter.consume(of_runs("a"))

    assert names_in(tmp_path / "a.jsonl") == ["of a"]


def test_nop() -> None:
    """The exporter that keeps nothing takes everything."""
    exporter = nop.create(nop.config(), Context("nop", {}, lambda *_: None))
    exporter.start()
    exporter.consume(batch())
    exporter.shutdown()
