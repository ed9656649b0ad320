"""The exporter `lmdb`: what becomes of a batch, and who is told."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

import pytest
from provtel_exporters.lmdb import LmdbConfig, LmdbExporter, LmdbWriter, factory, line, open_reader, session
from provtel_exporters.lmdb.line import Order
from provtel_exporters.lmdb.rows import encode as encode_record
from provtel_model.components import ALL_SIGNALS, Batch, Context, Signal
from provtel_model.errors import DeliveryError, PermanentError, RetryableError, StoreError
from provtel_model.filters import Query
from provtel_model.otlp import encode
from provtel_model.otlp.encode_observations import encode_logs, encode_points
from provtel_model.store_folder import LMDB_FOLDER, STORE_VARIABLE
from provtel_model.telemetry import PlainLog, PlainPoint, Window

from tests.exporters.records import content, numbered


class Told:
    """Counts what an exporter reports."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, name: str, count: int, attributes: Mapping[str, str]) -> None:
        """Add a report up."""
        assert attributes == {"exporter": "lmdb/here"}
        self.counts[name] += count


def _exporter(store: Path, told: Told | None = None) -> LmdbExporter:
    made = factory.create(LmdbConfig(str(store)), Context("lmdb/here", {}, told or Told()))
    assert isinstance(made, LmdbExporter)
    return made


def test_it_is_found_by_its_entry_points() -> None:
    """The name `lmdb` in a configuration leads to this exporter and this reader."""
    (point,) = entry_points(group="provtel.exporters", name="lmdb")
    (reading,) = entry_points(group="provtel.readers", name="lmdb")

    assert point.load() is factory
    assert reading.load() is open_reader
    assert factory.type == "lmdb"
    assert factory.signals == ALL_SIGNALS


def test_batches_become_records(tmp_path: Path) -> None:
    """Spans and open activities are merged into the store, and stored and duplicate records are reported."""
    told = Told()
    exporter = _exporter(tmp_path / "store", told)
    exporter.start()
    ended = [numbered(number) for number in range(3)]
    running = numbered(7, status="running", last_seen_at=1_790_000_000_000_009_000)
    del running["ended_at"]
    for batch in [*encode([*ended, running]), *encode(ended[:1])]:
        exporter.consume(batch)

    assert told.counts == {"exporter_stored_records": 4, "exporter_duplicate_records": 1}
    reader = open_reader(str(tmp_path / "store"))
    found = reader.find(Query(sort=(("started_at", 1),)))
    assert [record.status for record in found] == ["finished"] * 3 + ["running"]
    assert [record.used["number"] for record in found] == [0, 1, 2, 7]

    exporter.shutdown()
    reader.close()


def test_metrics_and_logs_are_kept(tmp_path: Path) -> None:
    """Data points, and log records that are no activities, are stored once, and reported like records."""
    told = Told()
    exporter = _exporter(tmp_path / "store", told)
    exporter.start()
    point: PlainPoint = {"name": "rss", "kind": "gauge", "time": 7, "value": 1}
    log: PlainLog = {"time": 8, "body": "said"}
    for batch in [*encode_points([point]), *encode_logs([log])] * 2:
        exporter.consume(batch)
    exporter.shutdown()

    assert told.counts == {"exporter_stored_records": 2, "exporter_duplicate_records": 2}
    reader = open_reader(str(tmp_path / "store"))
    assert reader.points(Window()) == [point]
    assert reader.logs(Window()) == [log]
    reader.close()


def test_what_cannot_be_decoded_is_a_permanent_error(tmp_path: Path) -> None:
    """Bytes that are no OTLP request are refused for good."""
    exporter = _exporter(tmp_path / "store")
    exporter.start()

    with pytest.raises(PermanentError):
        exporter.consume(Batch(Signal.TRACES, b"\xff\xff\xff", 1))

    exporter.shutdown()


def test_life_cycle_mistakes_are_harmless(tmp_path: Path) -> None:
    """It makes nothing before `start`, takes nothing before it or after `shutdown`, and shuts down twice."""
    exporter = _exporter(tmp_path / "store")
    (batch,) = encode([numbered(1)])
    exporter.shutdown()

    with pytest.raises(RetryableError):
        exporter.consume(batch)
    assert not list(tmp_path.iterdir())

    exporter.start()
    exporter.shutdown()
    exporter.shutdown()
    with pytest.raises(RetryableError):
        exporter.consume(batch)


def test_without_a_store_it_writes_where_recording_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty `store` is the store that programs record to from the working folder."""
    monkeypatch.delenv(STORE_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)

    assert LmdbExporter(LmdbConfig(), Context("lmdb", {}, Told())).store == tmp_path / ".provtel"

    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "other"))
    assert LmdbExporter(LmdbConfig(), Context("lmdb", {}, Told())).store == tmp_path / "other"


def test_a_store_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    """A file in the place of the store is an error that names it, at the start and not at the first batch."""
    (tmp_path / "store").write_text("a file")

    with pytest.raises(StoreError, match="store"):
        _exporter(tmp_path / "store").start()


def _write_together(opened: LmdbWriter, *numbers: int) -> dict[int, DeliveryError | int]:
    """Let threads write one record each in one transaction; return what each of them got."""
    results: dict[int, DeliveryError | int] = {}

    def write(number: int) -> None:
        try:
            results[number] = opened.write([numbered(number)]).stored
        except DeliveryError as error:
            results[number] = error

    threads = [threading.Thread(target=write, args=(number,)) for number in numbers]
    with opened._line.turn:
        for thread in threads:
            thread.start()
        while len(opened._line.waiting) < len(numbers):
            time.sleep(0.001)
    for thread in threads:
        thread.join()
    return results


def _transactions(opened: LmdbWriter) -> int:
    assert opened._environment is not None
    assert opened._environment._files is not None
    return int(opened._environment._files.env.info()["last_txnid"])


def test_threads_that_wait_share_a_transaction(tmp_path: Path) -> None:
    """Batches of several threads are written with one fsync, and each thread gets its own count."""
    opened = LmdbWriter(tmp_path / "store" / LMDB_FOLDER)
    before = _transactions(opened)

    assert _write_together(opened, 1, 2, 3) == {1: 1, 2: 1, 3: 1}
    assert _transactions(opened) == before + 1

    opened.close()


def test_one_bad_batch_does_not_take_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one of the batches of a transaction cannot be merged, its thread alone gets the error."""
    opened = LmdbWriter(tmp_path / "store" / LMDB_FOLDER)
    opened.write([numbered(2, name="another")])

    def refuse(*_: object) -> None:
        raise ValueError("planted")

    monkeypatch.setattr(session, "merge", refuse)
    results = _write_together(opened, 1, 2, 3)

    assert isinstance(results.pop(2), PermanentError)
    assert results == {1: 1, 3: 1}
    monkeypatch.undo()
    reader = open_reader(str(tmp_path / "store"))
    assert content([record.plain for record in reader.find(Query(sort=(("id", 1),)))]) == content(
        [numbered(1), numbered(2, name="another"), numbered(3)]
    )
    reader.close()
    opened.close()


def test_an_interrupted_thread_does_not_take_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the thread that writes for all is interrupted, the others' batches are still written."""
    opened = LmdbWriter(tmp_path / "store" / LMDB_FOLDER)
    waiting = Order(lambda session: session.merge([encode_record(numbered(2))]))
    opened._line.waiting.append(cast("Order[object]", waiting))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(line, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            opened.write([numbered(1)])
    opened.write([numbered(3)])

    assert waiting.done
    reader = open_reader(str(tmp_path / "store"))
    assert reader.count(Query()) == 2
    reader.close()
    opened.close()
