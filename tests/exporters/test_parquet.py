"""A store of Parquet: what is written is read back exactly, and by others as they expect."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_exporters.file import open_reader, open_writer
from provtel_model.components import Batch, Signal
from provtel_model.errors import StoreError
from provtel_model.filters import Query
from provtel_model.merge import merge
from provtel_model.otlp.observations import decode_logs, decode_points
from provtel_model.record import Key, PlainRecord, key_of
from provtel_model.telemetry import PlainLog, PlainPoint, Window, observation_id

from tests.exporters.records import PLAIN_RECORDS, content, numbered
from tests.model.strategies import METRIC_REQUESTS, OTHER_LOG_REQUESTS

OLDEST_FIRST = Query(sort=(("started_at", 1), ("id", 1)))
POINTS = METRIC_REQUESTS.map(lambda request: decode_points(Batch(Signal.METRICS, request.SerializeToString(), 0)))
LOGS = OTHER_LOG_REQUESTS.map(lambda request: decode_logs(Batch(Signal.LOGS, request.SerializeToString(), 0)))


def _write(path: Path, records: list[PlainRecord]) -> None:
    writer = open_writer(str(path))
    writer.write(records)
    writer.close()


def _held(path: Path) -> list[bytes]:
    reader = open_reader(str(path))
    found = content([record.plain for record in reader.find(OLDEST_FIRST)])
    reader.close()
    return found


@given(first=st.lists(PLAIN_RECORDS, max_size=8), second=st.lists(PLAIN_RECORDS, max_size=4), points=POINTS, logs=LOGS)
@settings(max_examples=15)
def test_what_is_written_is_read_back(
    first: list[PlainRecord], second: list[PlainRecord], points: list[PlainPoint], logs: list[PlainLog]
) -> None:
    """Any records, points and logs come back exactly, merged, after any number of openings and closings."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.parquet"
        _write(path, first)
        writer = open_writer(str(path))
        writer.write(second)
        writer.write_points(points)
        writer.write_logs(logs)
        writer.close()
        _write(path, [])
        reader = open_reader(str(path))
        merged: dict[Key, PlainRecord] = {}
        for plain in (*first, *second):
            key = key_of(plain)
            merged[key] = merge(merged[key], plain) if key in merged else plain

        found = [record.plain for record in reader.find(Query(sort=()))]
        assert sorted(content(found)) == sorted(content([*merged.values()]))
        assert sorted(map(observation_id, reader.points(Window()))) == sorted({*map(observation_id, points)})
        assert sorted(map(observation_id, reader.logs(Window()))) == sorted({*map(observation_id, logs)})
        assert not list(Path(folder).glob(".*"))


def test_others_read_it_as_they_expect(tmp_path: Path) -> None:
    """Pandas and DuckDB find a row for each record, times as times, figures as figures, maps as JSON to look into."""
    failed = numbered(1, status="error", error={"type": "ValueError", "message": "no"}, tags=["a", "b"])
    path = tmp_path / "runs.parquet"
    _write(path, [numbered(0), failed, numbered(2, telemetry={"cpu.user": 0.5})])
    writer = open_writer(str(path))
    writer.write_points([{"name": "rss", "kind": "gauge", "time": 5, "value": 3}])
    writer.write_logs([{"time": 5, "body": "said"}])
    writer.close()

    frame = pd.read_parquet(path)
    assert list(frame["name"]) == ["task 0", "task 1", "task 2"]
    assert str(frame["started_at"].dtype) == "datetime64[ns, UTC]"
    assert frame["started_at"][0].value == numbered(0)["started_at"]
    assert frame["duration"][0] == pytest.approx(5e-7)
    assert json.loads(frame["used"][2])["number"] == 2
    assert frame["error"][1]["message"] == "no"
    with duckdb.connect() as base:
        where = f"from '{path}' where status = 'error'"
        ((name, kind, number, tags),) = base.execute(
            f"select name, error.type, cast(used->>'number' as int), tags {where}"  # the test's own
        ).fetchall()
        points = base.execute(f"select name, value from '{tmp_path / 'runs.points.parquet'}'").fetchall()  # noqa: S608
    assert (name, kind, number, tags) == ("task 1", "ValueError", 1, ["a", "b"])
    assert points == [("rss", 3.0)]
    assert pd.read_parquet(tmp_path / "runs.logs.parquet")["body"][0] == "said"


def test_a_killed_writer_loses_nothing(tmp_path: Path) -> None:
    """What was acknowledged before a kill is read, and is in the table when the next writer is done."""
    path = tmp_path / "x.parquet"
    _write(path, [numbered(0)])
    script = (
        "import os, signal, sys\n"
        "from provtel_exporters.file import open_writer\n"
        "from tests.exporters.records import numbered\n"
        "writer = open_writer(sys.argv[1])\n"
        "writer.write([numbered(n) for n in range(10)])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, path], check=False).returncode == -signal.SIGKILL
    expected = content([numbered(number) for number in range(10)])
    assert len(pd.read_parquet(path)) == 1
    assert _held(path) == expected

    _write(path, [])
    assert len(pd.read_parquet(path)) == 10
    assert _held(path) == expected
    assert not list(tmp_path.glob(".*"))


def test_a_reader_stays_while_it_is_written(tmp_path: Path) -> None:
    """A reader that is open sees what is written before the table is, and goes on when the table is in its place."""
    path = tmp_path / "x.parquet"
    writer = open_writer(str(path))
    writer.write([numbered(0)])
    reader = open_reader(str(path))
    writer.write([numbered(1)])
    assert reader.count(Query()) == 2
    assert writer.delete([str(numbered(0)["workflow_id"])]) == 2
    writer.write([numbered(2)])
    writer.close()
    writer.close()

    assert [record.plain for record in reader.find(Query())] == [numbered(2)]
    assert [record.plain for record in reader.changes("").records] == [numbered(2)]


def test_foreign_tables_are_told(tmp_path: Path) -> None:
    """A table of somebody else, a damaged one, and a row that is no record are errors that say where."""
    path = tmp_path / "x.parquet"
    _write(path, [numbered(0)])
    rows = pq.read_table(path)
    broken = rows.set_column(rows.column_names.index("status"), "status", pa.array(["unheard of"]))
    for content_, says in (
        (pa.table({"a": [1]}), "x.parquet is no table of provtel: it has no column"),
        (broken, "x.parquet: row 1: 'unheard of'"),
    ):
        pq.write_table(content_, path)
        with pytest.raises(StoreError, match=says):
            open_reader(str(path))
        with pytest.raises(StoreError, match=says):
            open_writer(str(path))
    path.write_bytes(b"nonsense")
    with pytest.raises(StoreError, match="cannot be read as Parquet"):
        open_reader(str(path))
    assert [found.name for found in tmp_path.iterdir()] == ["x.parquet"]


def test_a_table_that_others_wrote_again_is_read(tmp_path: Path) -> None:
    """A table that went through pandas, its times and all, is the same store."""
    path = tmp_path / "x.parquet"
    records = [numbered(number, tags=["t"], plan={"function": "f", "line": 3}) for number in range(3)]
    _write(path, records)
    pd.read_parquet(path, dtype_backend="pyarrow").to_parquet(path)

    assert _held(path) == content(records)
