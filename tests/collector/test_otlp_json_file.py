"""The otlp_json_file receiver reads what the file exporters write, each line once, wherever it was moved."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_collector.extensions.file_storage import factory as file_storage
from provtel_collector.extensions.file_storage.config import FileStorageConfig
from provtel_collector.receivers.otlp_json_file import factory
from provtel_collector_config.dataclass_loading import load_dataclass
from provtel_exporters.file import factory as file_exporter
from provtel_exporters.file.config import FileConfig
from provtel_model import attributes
from provtel_model.components import Batch, Component, Context, Signal
from provtel_model.errors import ConfigError, PermanentError, RetryableError
from provtel_model.otlp import check, decode
from provtel_model.otlp.json_codec import to_json

from tests.collector.parts import Recorder, logs, raising, traces
from tests.services.found import Found
from tests.services.otelcol.processing import post
from tests.services.otelcol.server import Otelcol, running_as

SECONDS = 10


def line(first: int, count: int = 1) -> bytes:
    """Return a line of spans whose ids count up."""
    return to_json(Signal.TRACES, traces(count, first)) + b"\n"


def add(path: Path, *content: bytes) -> None:
    """Write at the end of a file."""
    with path.open("ab") as file:
        file.writelines(content)


def ids(recorder: Recorder) -> list[int]:
    """Return the ids of the spans that were taken, in the order in which they came."""
    return [int(record["span_id"], 16) for one in recorder.batches for record in decode(one)]


@contextmanager
def receiving(
    recorder: Recorder, include: Path, extensions: dict[str, Component] | None = None, **config: Any
) -> Iterator[dict[str, int]]:
    """Run a receiver that looks often; the value is what it counts."""
    written = {"include": [str(include)], "poll_interval": "10ms", "start_at": "beginning", **config}
    loaded, problems = load_dataclass(factory.config, written)
    assert problems == []
    counts: dict[str, int] = {}
    context = Context(
        "otlp_json_file",
        {Signal.TRACES: recorder},
        lambda name, count, _: counts.update({name: counts.get(name, 0) + count}),
        extensions=extensions or {},
    )
    receiver = factory.create(loaded, context)
    receiver.start()
    try:
        yield counts
    finally:
        receiver.shutdown()


@contextmanager
def storing(folder: Path) -> Iterator[dict[str, Component]]:
    """Run a storage, as the extensions that a component is told of."""
    folder.mkdir(exist_ok=True)
    storage = file_storage.create(FileStorageConfig(str(folder)), Context("file_storage", {}, lambda *_: None))
    storage.start()
    try:
        yield {"file_storage": storage}
    finally:
        storage.shutdown()


def wait_for(what: Callable[[], object]) -> None:
    """Wait until something is the case."""
    deadline = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def has(recorder: Recorder, count: int) -> bool:
    """Say whether so many spans were taken."""
    return len(ids(recorder)) == count


def rests(recorder: Recorder) -> list[int]:
    """Return the ids when nothing new has come for some looks."""
    time.sleep(0.1)
    return ids(recorder)


def test_lines_come_once(tmp_path: Path) -> None:
    """What is there comes, then what is added, each line once, also a last one without an end."""
    path, recorder = tmp_path / "a.jsonl", Recorder()
    add(path, line(1, 2), b"\n", line(3)[:-1])

    with receiving(recorder, path, include_file_name=False):
        wait_for(lambda: len(ids(recorder)) == 3)
        add(path, b"\n", line(4)[:30])
        assert rests(recorder) == [1, 2, 3]
        add(path, line(4)[30:])
        wait_for(lambda: len(ids(recorder)) == 4)

    assert ids(recorder) == [1, 2, 3, 4]
    assert recorder.batches[0].payload == traces(2)


def test_file_is_named(tmp_path: Path) -> None:
    """Spans say which file they come from, as with the OpenTelemetry Collector."""
    path, recorder = tmp_path / "a.jsonl", Recorder()
    add(path, line(1))

    with receiving(recorder, path, include_file_path=True):
        wait_for(lambda: recorder.batches)

    (record,) = decode(recorder.batches[0])
    assert record["attributes"] == {attributes.LOG_FILE_NAME: "a.jsonl", attributes.LOG_FILE_PATH: str(path)}


def test_start_at_the_end(tmp_path: Path) -> None:
    """What is there at the first look is passed over; what is added, and files that come later, are read."""
    old, new, recorder = tmp_path / "old.jsonl", tmp_path / "new.jsonl", Recorder()
    add(old, line(1))

    with receiving(recorder, tmp_path / "*.jsonl", start_at="end"):
        time.sleep(0.1)
        add(old, line(2))
        add(new, line(3))
        wait_for(lambda: len(ids(recorder)) == 2)

    assert sorted(ids(recorder)) == [2, 3]


def test_rotated_file_is_read_to_its_end(tmp_path: Path) -> None:
    """A file that is renamed, to a name that fits or not, loses no line and gives none twice."""
    path, recorder = tmp_path / "a.jsonl", Recorder()
    add(path, line(1))

    with receiving(recorder, tmp_path / "*.jsonl"):
        for number, name in enumerate(("a-1.jsonl", "a-2.gone"), 1):
            wait_for(partial(has, recorder, 2 * number - 1))
            add(path, line(2 * number))
            path.rename(tmp_path / name)
            add(path, line(2 * number + 1))
        wait_for(lambda: len(ids(recorder)) == 5)
        assert sorted(rests(recorder)) == [1, 2, 3, 4, 5]


def test_shorter_file_is_read_anew(tmp_path: Path) -> None:
    """A file that is shorter than before is another one."""
    path, recorder = tmp_path / "a.jsonl", Recorder()
    add(path, line(1), line(2))

    with receiving(recorder, path):
        wait_for(lambda: len(ids(recorder)) == 2)
        path.write_bytes(line(3))
        wait_for(lambda: len(ids(recorder)) == 3)

    assert ids(recorder) == [1, 2, 3]


def test_refusal_for_now_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A line that is not taken is tried until it is; those behind it wait; it is told once."""
    path, recorder = tmp_path / "a.jsonl", Recorder(raising(RetryableError("full")))
    add(path, line(1), line(2))

    with receiving(recorder, path):
        time.sleep(0.1)
        assert ids(recorder) == []
        recorder.doing = lambda _: None
        wait_for(lambda: len(ids(recorder)) == 2)

    assert ids(recorder) == [1, 2]
    assert caplog.text.count("not taken, and tried again: full") == 1


def test_bad_lines_are_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is no OTLP, too long, or refused for good is told and counted, and what follows comes."""
    path, recorder = tmp_path / "a.jsonl", Recorder()

    def refuse(batch: Batch) -> None:
        if batch.items == 2:
            raise PermanentError("never")

    recorder.doing = refuse
    long = b"x" * (3 * 2**20) + b"\n"
    add(path, b"no json\n", b'{"other": 1}\n', b'{"resourceSpans": 5}\n', long, line(1, 2), line(9))

    with receiving(recorder, path, max_log_size="1MiB") as counts:
        wait_for(lambda: ids(recorder))

    assert ids(recorder) == [9]
    assert counts == {"receiver_otlp_json_file_malformed_lines": 5}
    assert "the line behind byte 0 is passed over" in caplog.text


def keyed(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Make objects, some with keys that requests have."""
    keys = st.sampled_from(["resourceSpans", "scopeSpans", "spans", "attributes", "key", "value", "traceId"])
    return st.dictionaries(keys | st.text(), values)


def as_line(value: Any) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value).encode()


@settings(max_examples=30)
@given(
    st.lists(
        st.binary()
        | st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | keyed(inner)).map(as_line)
        | st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b'{"resourceSpans":' + b"[" * 100_000]),
        max_size=5,
    )
)
def test_any_line_is_passed_over(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    """Whatever a file has, what follows comes in."""
    path, recorder = tmp_path_factory.mktemp("files") / "a.jsonl", Recorder()
    add(path, *(content + b"\n" for content in contents), line(9))

    with receiving(recorder, path):
        wait_for(lambda: has(recorder, 1))

    assert ids(recorder) == [9]


def test_other_signals_are_passed_over(tmp_path: Path) -> None:
    """Lines of signals that no pipeline takes are no mistake."""
    path, recorder = tmp_path / "a.jsonl", Recorder()
    add(path, to_json(Signal.LOGS, logs(2)) + b"\n", line(1))

    with receiving(recorder, path) as counts:
        wait_for(lambda: ids(recorder))

    assert counts == {}


def test_what_is_remembered(tmp_path: Path) -> None:
    """With a storage a receiver goes on where the last one stopped, also in a file that was renamed or copied since."""
    path, recorder = tmp_path / "a.jsonl", Recorder()
    add(path, line(1))
    for number, change in enumerate((None, "rename", "copy")):
        if change == "rename":
            path = path.rename(tmp_path / "b.jsonl")
        elif change == "copy":
            copy = tmp_path / "c.jsonl"
            shutil.copy(path, copy)
            path.unlink()
            path = copy
        with storing(tmp_path / "storage") as extensions:
            add(path, line(number + 2))
            with receiving(recorder, tmp_path / "*.jsonl", extensions, storage="file_storage"):
                wait_for(partial(has, recorder, number + 2))

    assert ids(recorder) == [1, 2, 3, 4]


def test_twins_are_told_apart(tmp_path: Path) -> None:
    """Two files that begin alike are two files."""
    recorder = Recorder()
    for name in ("a.jsonl", "b.jsonl"):
        add(tmp_path / name, line(1), line(2 if name == "a.jsonl" else 3))

    with receiving(recorder, tmp_path / "*.jsonl", fingerprint_size="16"):
        wait_for(lambda: len(ids(recorder)) == 4)

    assert sorted(ids(recorder)) == [1, 1, 2, 3]


def test_files_are_removed_when_they_were_taken(tmp_path: Path) -> None:
    """A file goes when all of it was taken, where that is asked for."""
    path, recorder = tmp_path / "a.jsonl", Recorder()
    add(path, line(1))

    with receiving(recorder, path, delete_after_read=True):
        wait_for(lambda: not path.exists())

    assert ids(recorder) == [1]


def test_replay(tmp_path: Path) -> None:
    """A file is given again and again, where that is asked for."""
    path, recorder = tmp_path / "a.jsonl", Recorder()
    add(path, line(1))

    with receiving(recorder, path, replay_file=True, start_at="end"):
        wait_for(lambda: len(ids(recorder)) >= 3)


def test_excluded(tmp_path: Path) -> None:
    """What is excluded is not read, and folders are gone through."""
    recorder = Recorder()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    add(tmp_path / "deep" / "er" / "a.jsonl", line(1))
    add(tmp_path / "deep" / "b.jsonl", line(2))

    with receiving(recorder, tmp_path / "**" / "*.jsonl", exclude=[str(tmp_path / "deep" / "b*")]):
        wait_for(lambda: ids(recorder))
        assert rests(recorder) == [1]


def test_storage_must_run(tmp_path: Path) -> None:
    """A storage that is none is refused at start."""
    with (
        pytest.raises(ConfigError, match=r"^receivers::otlp_json_file::storage: references extension"),
        receiving(Recorder(), tmp_path, storage="none"),
    ):
        pass


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "'include' must be specified"),
        ({"include": ["x"], "poll_interval": "0s"}, "poll_interval must be positive"),
        ({"include": ["x"], "delete_after_read": True}, "cannot be used with 'start_at: end'"),
        ({"include": ["x"], "fingerprint_size": 5}, "at least 16 bytes"),
    ],
)
def test_refused_configuration(config: dict[str, Any], message: str) -> None:
    """What makes no sense is refused."""
    _, (problem,) = load_dataclass(factory.config, config)

    assert message in str(problem)


def test_reads_what_otelcol_writes(otelcol: Otelcol) -> None:
    """What the OpenTelemetry Collector's ``file`` exporter writes comes in complete."""
    post(int(otelcol.endpoint.rpartition(":")[2]), "traces", traces(100))
    recorder = Recorder()

    with receiving(recorder, otelcol.folder / "traces.jsonl", include_file_name=False):
        wait_for(lambda: len(ids(recorder)) == 100)

    assert decode(recorder.batches[0]) == decode(check(Signal.TRACES, traces(100)))


def test_otelcol_reads_what_we_write(tmp_path: Path, found_otelcol: Found) -> None:
    """The OpenTelemetry Collector's receiver reads what our ``file`` exporter writes, and ours makes the same of it."""
    path, out = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    exporter = file_exporter.create(FileConfig(str(path)), Context("file", {}, lambda *_: None))
    exporter.start()
    exporter.consume(check(Signal.TRACES, traces(100)))
    exporter.shutdown()
    document = {
        "receivers": {"otlp_json_file": {"include": [str(path)], "start_at": "beginning"}},
        "exporters": {"file": {"path": str(out), "flush_interval": "50ms"}},
        "service": {"pipelines": {"traces": {"receivers": ["otlp_json_file"], "exporters": ["file"]}}},
    }
    recorder, ours = Recorder(), Recorder()
    with (
        running_as(found_otelcol, tmp_path / "otelcol", document),
        receiving(recorder, out, include_file_name=False),
        receiving(ours, path),
    ):
        wait_for(lambda: len(ids(recorder)) == 100 and len(ids(ours)) == 100)

    assert decode(recorder.batches[0]) == decode(ours.batches[0])
