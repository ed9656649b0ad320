"""The contract of stores: what came since, and what is removed again."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_model.components import Reader
from provtel_model.dataflow import data_keys
from provtel_model.errors import FilterError
from provtel_model.filters import Query
from provtel_model.memory import Memory
from provtel_model.record import Key, PlainRecord, key_of, run_of
from provtel_model.telemetry import PlainLog, Window, records_of

from tests.exporters.backends import Backend, Place, thinned
from tests.exporters.observed import LOGS
from tests.exporters.records import BATCHES, IDS, PLAIN_RECORDS, RUNS, STATES, TRACES, content, merged, numbered

ALL = Query(sort=(("started_at", 1), ("id", 1)))


def _new(reader: Reader, after: str | None, limit: int = 1000) -> tuple[list[PlainRecord], str]:
    """Return what came after a cursor, asked for in pieces, and the cursor behind it."""
    found: list[PlainRecord] = []
    while True:
        piece = reader.changes(after, limit=limit)
        assert len(piece.records) <= limit
        if not piece.records:
            return found, piece.cursor
        found += [record.plain for record in piece.records]
        after = piece.cursor


@given(batches=BATCHES, limit=st.integers(1, 5))
@settings(max_examples=20)
@thinned
def test_changes_leave_nothing_out(backend: Backend, batches: list[list[PlainRecord]], limit: int) -> None:
    """Whoever reads on from cursor to cursor has, of each record, its last state in the end, as the store has it."""
    with backend.new() as place:
        writer = place.writer()
        writer.write([])
        reader = place.reader()
        seen: dict[Key, PlainRecord] = {}
        cursor = ""
        for batch in batches:
            writer.write(batch)
            found, cursor = _new(reader, cursor, limit)
            assert {key_of(plain) for plain in found} <= {*seen} | {key_of(plain) for plain in batch}
            seen |= {key_of(plain): plain for plain in found}

        whole = merged([plain for batch in batches for plain in batch])
        assert content(sorted(seen.values(), key=_age)) == content(whole)
        assert {key_of(plain) for plain in _new(reader, "", limit)[0]} == {key_of(plain) for plain in whole}


def _age(plain: PlainRecord) -> tuple[int, str]:
    return plain["started_at"], key_of(plain).id


def test_changes_begin_where_they_are_told(place: Place) -> None:
    """``None`` gives the cursor of now and no records, an empty text everything, a cursor what came behind it."""
    writer = place.writer()
    writer.write([numbered(1), numbered(2)])
    reader = place.reader()
    now = reader.changes(None)

    assert list(now.records) == []
    assert [record.plain for record in reader.changes("").records] == [numbered(1), numbered(2)]
    assert list(reader.changes(now.cursor).records) == []

    writer.write([numbered(3, status="running"), numbered(1)])
    first = reader.changes(now.cursor)
    assert [record.plain for record in first.records] == [numbered(3, status="running")]

    writer.write([numbered(3)])
    assert [record.plain for record in place.reader().changes(first.cursor).records] == [numbered(3)]


def test_changes_wait_for_the_first(place: Place) -> None:
    """A question that may wait is answered when the first record comes, and not before its time without one."""
    writer = place.writer()
    writer.write([numbered(1)])
    reader = place.reader()
    now = reader.changes(None).cursor
    assert list(reader.changes(now, wait=0.05).records) == []

    late = threading.Timer(0.3, writer.write, [[numbered(2)]])
    late.start()
    started = time.monotonic()
    found = reader.changes(now, wait=60)
    late.join()

    assert [record.plain for record in found.records] == [numbered(2)]
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("wrong", ["nonsense", "-", "\ud800", "9" * 40])
def test_what_is_no_cursor_is_refused(place: Place, wrong: str) -> None:
    """A text that this store never gave is an error that shows it, and no beginning."""
    place.writer().write([numbered(1)])

    with pytest.raises(FilterError, match="is no cursor"):
        place.reader().changes(wrong)


@given(
    plains=st.lists(PLAIN_RECORDS, max_size=12),
    logs=st.lists(LOGS, max_size=6),
    runs=st.lists(st.sampled_from([*RUNS, *TRACES]), max_size=3),
)
@settings(max_examples=30)
@thinned
def test_a_run_that_is_deleted_leaves_no_trace(
    backend: Backend, plains: list[PlainRecord], logs: list[PlainLog], runs: list[str]
) -> None:
    """The records of a run go from every answer, with the log records that name them; all else stays."""
    whole = merged(plains)
    gone = [plain for plain in whole if run_of(plain) in runs]
    named = {key_of(plain).id for plain in gone}
    left = Memory(plain for plain in whole if run_of(plain) not in runs)
    for log in logs:
        if not records_of(log) & named:
            left.add_log(log)
    with backend.new() as place:
        writer = place.writer()
        writer.write(plains)
        writer.write_logs(logs)

        assert writer.delete(runs) == len(gone)
        reader = place.reader()
        assert _answers(reader, whole) == _answers(left, whole)
        assert writer.delete(runs) == 0

        writer.write(plains)
        assert _answers(place.reader(), whole)[0] == content(whole)


def _answers(reader: Any, plains: list[PlainRecord]) -> list[object]:
    used = {key for plain in plains for key, _ in data_keys(plain, plain.get("used", {}))}
    return [
        content([record.plain for record in reader.find(ALL)]),
        *(reader.count(Query({"status": status})) for status in STATES),
        *(reader.count(Query({"run": run})) for run in (*TRACES, *RUNS)),
        *(content([record.plain for record in reader.children(known)]) for known in IDS),
        *(content([record.plain for record in found]) for found in reader.linked(IDS).values()),
        *(content([record.plain for record in [reader.get(known)] if record]) for known in IDS),
        {
            key: [(key_of(occurrence.record.plain), occurrence.role) for occurrence in found]
            for key, found in reader.used(used).items()
        },
        sorted(content([record.plain for record in reader.changes("").records])),
        content(reader.logs(Window())),
    ]


def test_space_of_what_was_deleted_is_used_again(place: Place) -> None:
    """A store from which as much is deleted as is written does not grow for ever."""
    writer = place.writer()
    for number in range(6):
        run = f"run {number}"
        writer.write([numbered(100 * number + i, workflow_id=run, used={"x": "y" * 900}) for i in range(100)])
        assert writer.delete([f"run {number - 1}"]) == (100 if number else 0)

    assert place.reader().count(Query()) == 100
