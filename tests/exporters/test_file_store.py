"""A store that is a file: every form of file that is read, what is wrong in them, and what is written."""

from __future__ import annotations

import gzip
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from provtel_exporters.file import FileConfig, FileExporter, FileWriter, json_values, open_reader, open_writer
from provtel_exporters.file.reader import whole_entries
from provtel_model.components import Batch, Context, Signal
from provtel_model.errors import FilterError, MalformedError, PermanentError, StoreError
from provtel_model.filters import Query
from provtel_model.otlp import decode, encode, to_json
from provtel_model.otlp.encode_observations import encode_logs, encode_points
from provtel_model.otlp.files import request_of
from provtel_model.record import PlainRecord
from provtel_model.telemetry import PlainLog, PlainPoint, Window

from tests.exporters.records import content
from tests.exporters.records import numbered as bare
from tests.model.strategies import ANY_VALUES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def numbered(number: int, **fields: Any) -> PlainRecord:
    """Return a numbered record that says of itself what its resource says of its process."""
    return bare(number, host="node01", pid=1, **fields)


OLDEST_FIRST = Query(sort=(("started_at", 1),))
RECORDS = [numbered(number) for number in range(5)]
POINT: PlainPoint = {"name": "rss", "kind": "gauge", "time": 5, "value": 3, "resource": {"host.name": "n"}, "host": "n"}
LOG: PlainLog = {"time": 6, "body": "said", "trace_id": "ab" * 16, "span_id": "cd" * 8}


def _line(*numbers: int) -> bytes:
    (batch,) = encode(numbered(number) for number in numbers)
    return to_json(batch.signal, batch.payload) + b"\n"


def _framed(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def _payload(*numbers: int) -> bytes:
    (batch,) = encode(numbered(number) for number in numbers)
    return batch.payload


def _held(path: Path) -> list[bytes]:
    reader = open_reader(str(path))
    found = content([record.plain for record in reader.find(OLDEST_FIRST)])
    reader.close()
    return found


FORMS: dict[str, bytes] = {
    "lines": _line(0, 1) + b"\n" + _line(2, 3, 4),
    "no end of the last line": (_line(0, 1) + _line(2, 3, 4)).rstrip(),
    "one request on many lines": json.dumps(json.loads(_line(0, 1, 2, 3, 4)), indent=2).encode(),
    "gzip": gzip.compress(_line(0, 1)) + gzip.compress(_line(2, 3, 4)),
    "zstd": zstd.compress(_line(0, 1)) + zstd.compress(_line(2, 3, 4)),
    "protobuf behind lengths": _framed(_payload(0, 1)) + _framed(_payload(2, 3, 4)),
    "zstd behind lengths": _framed(zstd.compress(_line(0, 1))) + _framed(zstd.compress(_payload(2, 3, 4))),
    "protobuf": _payload(0, 1, 2, 3, 4),
    "an empty line first": b"\n" + _line(0, 1, 2, 3, 4),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(tmp_path: Path, form: str) -> None:
    """What the file exporters of both collectors write, and what others make of it, is read as what it holds."""
    (tmp_path / "x.jsonl").write_bytes(FORMS[form])

    assert _held(tmp_path / "x.jsonl") == content(RECORDS)


@pytest.mark.parametrize(
    "config",
    [{}, {"format": "proto"}, {"compression": "zstd"}, {"format": "proto", "compression": "zstd"}],
    ids=lambda config: " ".join(config.values()) or "json",
)
def test_what_the_exporter_writes_is_read(tmp_path: Path, config: dict[str, Any]) -> None:
    """A file that the exporter `file` wrote in any of its formats is a store."""
    path = tmp_path / "x.jsonl"
    exporter = FileExporter(FileConfig(path=str(path), **config), Context("file", {}, lambda *_: None))
    exporter.start()
    for batch in encode(RECORDS):
        exporter.consume(batch)
    exporter.shutdown()

    assert _held(path) == content(RECORDS)


def test_what_was_put_aside_is_read_too(tmp_path: Path) -> None:
    """Files that were put aside by either collector, and compressed since, come before the file itself."""
    (tmp_path / "x-2026-05-01T10-00-00.000.jsonl").write_bytes(_line(0))
    (tmp_path / "x-2026-05-01T11-00-00.000-size.jsonl.gz").write_bytes(gzip.compress(_line(1, 2)))
    (tmp_path / "x-files.jsonl").write_bytes(_line(9))
    (tmp_path / "x.jsonl").write_bytes(_line(3, 4))

    assert _held(tmp_path / "x.jsonl") == content(RECORDS)
    first = open_reader(str(tmp_path / "x.jsonl")).changes("", limit=2)
    assert [record.span_id for record in first.records] == [plain["span_id"] for plain in RECORDS[:2]]


@pytest.mark.parametrize(
    "torn",
    [_line(2)[:-9], _framed(_payload(2))[:-9]],
    ids=["line", "behind its length"],
)
def test_a_torn_end_is_left_out_and_told(tmp_path: Path, torn: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """What was not written to its end is no part of the store, and a note says so."""
    path = tmp_path / "x.jsonl"
    path.write_bytes((_line(0, 1) if torn.startswith(b"{") else _framed(_payload(0, 1))) + torn)
    with caplog.at_level(logging.WARNING):
        held = _held(path)

    assert held == content(RECORDS[:2])
    assert f"{path}: " in caplog.text
    assert "is not whole, and is left out" in caplog.text


def test_a_cut_off_gzip_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """A compressed file whose end is missing gives what comes before."""
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(_line(0, 1) + _line(2))[:-12])

    assert _held(tmp_path / "x.jsonl.gz") == content(RECORDS[:2])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (b"nonsense\n", "line 2: it is no JSON"),
        (b'{"a": 1}\n', "line 2: it is no OTLP request; it has none of resourceSpans"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "x"}]}]}]}\n', "line 2: resourceSpans"),
        (
            b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"provtel.kept.record"}]}]}]}\n',
            "line 2: the log record 'provtel.kept.record' has no map",
        ),
    ],
)
def test_a_bad_line_is_an_error_that_says_where(tmp_path: Path, wrong: bytes, says: str) -> None:
    """A line that is none is an error that names file and line, for whoever reads and whoever writes on."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(_line(0) + wrong + _line(1))

    for open_it in (open_reader, open_writer):
        with pytest.raises(StoreError, match=f"{path}: {says}"):
            open_it(str(path))


def test_a_damaged_compressed_file_is_an_error(tmp_path: Path) -> None:
    """Bytes that no longer unpack are told, with the file."""
    packed = bytearray(gzip.compress(os.urandom(2000)))
    packed[1000:1010] = bytes(10)
    (tmp_path / "x.jsonl.gz").write_bytes(packed)

    with pytest.raises(StoreError, match=r"x.jsonl.gz: "):
        open_reader(str(tmp_path / "x.jsonl.gz"))


def test_what_a_request_carries_is_told_by_what_it_looks_like() -> None:
    """Protobuf says nothing of its signal; spans, data points and log records are told apart."""
    spans = Batch(Signal.TRACES, _payload(1), 1)
    (points,), (logs,) = encode_points([POINT]), encode_logs([LOG])
    for batch in (spans, points, logs):
        assert request_of(batch.payload).signal is batch.signal
    assert request_of(b"", Signal.LOGS).items == 0
    with pytest.raises(MalformedError, match="cannot be told whether it carries traces"):
        request_of(b"")


def test_an_open_reader_follows(tmp_path: Path) -> None:
    """A reader sees lines that come behind, a file that is written anew, and one that was put aside meanwhile."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(_line(0))
    reader = open_reader(str(path))
    beginning = reader.changes("")
    with path.open("ab") as file:
        file.write(_line(1)[:20])
        file.flush()
        assert reader.count(Query()) == 1
        file.write(_line(1)[20:])
    more = reader.changes(beginning.cursor)
    assert [record.plain for record in more.records] == [numbered(1)]

    path.rename(tmp_path / "x-2026-05-01T10-00-00.000-size.jsonl")
    path.write_bytes(_line(2))
    assert [record.plain for record in reader.changes(more.cursor).records] == [numbered(2)]

    (tmp_path / "x-2026-05-01T10-00-00.000-size.jsonl").unlink()
    assert reader.count(Query()) == 1
    assert [record.plain for record in reader.changes(more.cursor).records] == [numbered(2)]
    with pytest.raises(FilterError, match="'7' is no cursor"):
        reader.changes("7")


def test_waiting_ends_with_what_comes(tmp_path: Path) -> None:
    """Who waits for changes is answered when another process has added some, and with none when the time is over."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(_line(0))
    reader = open_reader(str(path))
    now = reader.changes(None)
    script = f"import time; time.sleep(0.3); open({str(path)!r}, 'ab').write({_line(1)!r})"
    process = subprocess.Popen([sys.executable, "-c", script])

    assert not reader.changes(now.cursor, wait=0.01).records
    assert [record.plain for record in reader.changes(now.cursor, wait=60).records] == [numbered(1)]
    assert process.wait() == 0


def test_points_and_logs_are_kept_once(tmp_path: Path) -> None:
    """Data points and log records come back as they were, each once, also when they are written again later."""
    odd: PlainLog = {"time": 7, "name": "provtel.kept.log", "body": b"\xff", "trace_id": "not hexadecimal"}
    for stored in (1, 0):
        writer = open_writer(str(tmp_path / "x.jsonl"))
        assert writer.write_points([POINT, POINT]).stored == stored
        assert writer.write_logs([LOG, odd, LOG]).stored == 2 * stored
        writer.close()
    reader = open_reader(str(tmp_path / "x.jsonl"))

    assert reader.points(Window()) == [POINT]
    assert reader.logs(Window()) == [LOG, odd]
    assert (tmp_path / "x.jsonl").read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("time", [None, -1, 2**64, "5", True], ids=repr)
def test_observations_without_a_time_are_refused(tmp_path: Path, time: Any) -> None:
    """A data point or log record whose time no store can keep is refused, with all of its batch."""
    writer = open_writer(str(tmp_path / "x.jsonl"))
    wrong: Any = LOG | {"time": time}
    for write in (writer.write_points, writer.write_logs):
        with pytest.raises(PermanentError, match=r"it cannot be stored: .*the time"):
            write([LOG, wrong])  # type: ignore[list-item]  # of either kind
    writer.close()

    assert (tmp_path / "x.jsonl").read_bytes() == b""


def test_what_is_deleted_is_out_of_the_file(tmp_path: Path) -> None:
    """A run and the log records that name it, and old telemetry, are no longer in the file; the rest stays as it is."""
    path = tmp_path / "x.jsonl"
    writer = open_writer(str(path))
    doomed = numbered(7, workflow_id="doomed", trace_id="ab" * 16, span_id="cd" * 8)
    writer.write([*RECORDS, doomed])
    writer.write_logs([LOG, {"time": 1, "body": "early"}])
    writer.write_points([POINT])

    assert writer.delete(["doomed", "nothing"]) == 1
    assert writer.delete(["nothing"]) == 0
    assert writer.delete_telemetry(5) == 1
    assert writer.write([doomed]).stored == 1
    writer.close()
    assert b"early" not in path.read_bytes()
    assert b"said" not in path.read_bytes()
    assert _held(path) == content([*RECORDS, doomed])
    assert open_reader(str(path)).points(Window()) == [POINT]


def test_a_file_has_one_writer(tmp_path: Path) -> None:
    """A second writer is refused as long as the first is open, and so is a file that holds something else."""
    path = tmp_path / "new" / "x.jsonl"
    writer = open_writer(str(path))
    with pytest.raises(StoreError, match="is being written by somebody else"):
        open_writer(str(path))
    writer.close()
    open_writer(str(path)).close()
    (tmp_path / "y.jsonl").write_bytes(FORMS["protobuf"])

    for location, says in (("y.jsonl", "holds something else"), ("y.jsonl.gz", "is compressed"), ("", "cannot be")):
        with pytest.raises(StoreError, match=says):
            open_writer(str(tmp_path / location))
    assert (tmp_path / "y.jsonl").read_bytes() == FORMS["protobuf"]


def test_a_full_disk_leaves_the_file_whole(tmp_path: Path) -> None:
    """What could not be written is not half there, the error says that it may be tried again, and then it is."""
    script = (
        "import resource, signal, sys\n"
        "from provtel_exporters.file import open_writer\n"
        "from provtel_model.errors import RetryableError\n"
        "from tests.exporters.test_file_store import numbered\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "writer = open_writer(sys.argv[1])\n"
        "writer.write([numbered(0)])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    writer.write([numbered(n) for n in range(1, 50)])\n"
        "except RetryableError as error:\n"
        "    print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "writer.write([numbered(1)])\n"
    )
    path = tmp_path / "x.jsonl"
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)

    assert "cannot be written: File too large" in done.stdout
    assert _held(path) == content([numbered(0), numbered(1)])


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """A writer is killed: all that it acknowledged is there, and the next goes on behind the last whole line."""
    path = tmp_path / "x.jsonl"
    script = (
        "import sys\n"
        "from provtel_exporters.file import open_writer\n"
        "from tests.exporters.test_file_store import numbered\n"
        "writer = open_writer(sys.argv[1])\n"
        "for number in range(10**6):\n"
        "    writer.write([numbered(number)])\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = max(int(line) for line, _ in zip(process.stdout, range(40), strict=False))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with path.open("ab") as file:
        file.write(b'{"resourceSpans":[')

    writer = FileWriter(path)
    stored = writer.write([numbered(number) for number in range(acknowledged + 9)]).stored
    writer.close()
    assert stored <= 8
    assert _held(path)[: acknowledged + 9] == content([numbered(number) for number in range(acknowledged + 9)])
    assert all(entry.batch for entry in whole_entries(path))


def test_what_otlp_cannot_say_is_a_span_to_nobody(tmp_path: Path) -> None:
    """A record that OTLP cannot say is kept whole, beside spans that everybody reads; what is no record is refused."""
    path = tmp_path / "x.jsonl"
    writer = open_writer(str(path))
    odd = numbered(1, started_at=2**63, parent_id="no id")
    writer.write([numbered(0), odd])
    with pytest.raises(PermanentError, match="a record cannot be stored"):
        writer.write([numbered(2, status="unheard of")])
    batches = [entry.batch for entry in whole_entries(path) if entry.batch]

    assert [record for batch in batches for record in decode(batch)] == [numbered(0)]
    assert _held(path) == content([numbered(0), odd])


@given(ANY_VALUES)
def test_values_survive_json(value: Any) -> None:
    """Any value comes back from its JSON, which is JSON to everybody."""
    text = json_values.to_json(value)

    json.loads(text, parse_constant=pytest.fail)
    assert content([json_values.from_json(text)]) == content([value])
