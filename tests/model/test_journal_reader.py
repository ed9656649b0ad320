"""From frames to plain records: every field, every status, and the bytes that make no sense."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from provtel_model.errors import MalformedError
from provtel_model.journal.layout import (
    START_OF_JOURNAL,
    Kind,
    Status,
    check_segment_header,
    segment_name,
    segment_number,
)
from provtel_model.journal.reader import JournalReader, read_process
from provtel_model.journal.records import record_of
from provtel_model.record import PlainRecord, State

from tests.model.journals import START_TIME, TRACE, JournalFile


def _ended(journal: JournalFile) -> list[PlainRecord]:
    return [record_of(ended) for ended in JournalReader(journal.folder, START_OF_JOURNAL).ended(alive=False)]


def test_whole_record(tmp_path: Path) -> None:
    """A record has what the process, the definition, the context, the start and the end say of it."""
    journal = JournalFile(tmp_path / "store")
    link: dict[str, Any] = {"trace_id": "ab" * 16, "span_id": "cd" * 8}
    journal.start(5, [1, "two"], parent=4, facts={"tags": ["given"], "links": [link]})
    journal.end(
        5, {"loss": 0.5}, facts={"links": [link], "attributes": {"a": 1}, "telemetry": {"cpu.scope": "process"}}
    )

    (plain,) = _ended(journal)

    assert plain == {
        "trace_id": TRACE.hex(),
        "span_id": f"{5:016x}",
        "parent_id": f"{TRACE.hex()}-{4:016x}",
        "kind": "task",
        "name": "step",
        "workflow_id": "w-1",
        "workflow_name": "sweep",
        "status": "finished",
        "started_at": START_TIME + 5,
        "ended_at": START_TIME + 1005,
        "used": {"x": 1, "y": "two"},
        "generated": {"loss": 0.5},
        "tags": ["static", "given"],
        "links": [link, link],
        "attributes": {"a": 1},
        "telemetry": {"cpu.user": 0.25, "cpu.system": 0.5, "cpu.scope": "process"},
        "resource": journal.process.resource,
        "scope": {"name": "provtel", "version": "1.2.3"},
        "host": "node7",
        "pid": 42,
        "rank": 3,
    }


def test_error_travels_as_an_event(tmp_path: Path) -> None:
    """An error is in the journal once, and in the record also as the span event that OpenTelemetry knows."""
    journal = JournalFile(tmp_path / "store")
    journal.start(1)
    said = {"type": "ValueError", "message": "no", "stacktrace": "Traceback …"}
    journal.end(1, status=Status.ERROR, facts={"error": said})

    (plain,) = _ended(journal)

    assert plain["status"] == "error"
    assert plain["error"] == said
    assert plain["events"] == [
        {
            "name": "exception",
            "time": plain["ended_at"],
            "attributes": {
                "exception.type": "ValueError",
                "exception.message": "no",
                "exception.stacktrace": "Traceback …",
            },
        }
    ]


def test_nothing_used_and_nothing_generated_are_left_out(tmp_path: Path) -> None:
    """Empty maps are not in a record."""
    journal = JournalFile(tmp_path / "store")
    journal.start(1, {})
    journal.end(1, None, status=Status.CANCELLED)

    (plain,) = _ended(journal)

    assert plain["status"] == "cancelled"
    assert not {"used", "generated", "parent_id", "error"} & plain.keys()


def test_frames_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    """A kind that this version does not know, and a payload that it does not understand, cost nobody else anything."""
    journal = JournalFile(tmp_path / "store")
    journal.append_payload(b"\x92\x63\x01")
    journal.append(Kind.START, "too", "short")
    journal.append(Kind.END, 99, 1, 0, None, None, None)
    journal.task(1)

    assert [plain["span_id"] for plain in _ended(journal)] == [f"{1:016x}"]


def test_large_frames_cross_the_reader_s_chunks(tmp_path: Path) -> None:
    """A frame may be larger than what the reader takes in at once."""
    journal = JournalFile(tmp_path / "store")
    journal.start(1, ["a" * 300_000, "b" * 300_000])
    journal.end(1)

    (plain,) = _ended(journal)

    assert plain["used"] == {"x": "a" * 300_000, "y": "b" * 300_000}


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=60))
def test_damaged_bytes_never_harm_the_reader(tmp_path_factory: Any, seed: int, flips: int) -> None:
    """Whatever happened to the bytes of a segment, the reader gives whole records or none, and comes to an end."""
    journal = JournalFile(tmp_path_factory.mktemp("damaged") / "store")
    for span in range(1, 6):
        journal.task(span)
    content = bytearray(journal.path.read_bytes())
    draw = random.Random(seed)  # noqa: S311  # damage, not secrets
    for _ in range(flips):
        content[draw.randrange(len(content))] = draw.randrange(256)
    journal.path.write_bytes(content)
    journal.die()

    try:
        records = _ended(journal)
    except MalformedError:
        return

    assert all(plain["used"]["x"] * 2 == plain["generated"]["z"] for plain in records)  # type: ignore[operator]


def test_open_activities_by_state(tmp_path: Path) -> None:
    """An open activity has its inputs, and a sign of life that is never before its start."""
    journal = JournalFile(tmp_path / "store")
    journal.start(1, [1, 2])
    reader = JournalReader(journal.folder, START_OF_JOURNAL)
    assert list(reader.ended(alive=True)) == []

    (running,) = reader.activities.records(State.RUNNING, 5)
    (lost,) = reader.activities.records(State.LOST)

    assert (running["status"], running["last_seen_at"], running["used"]) == (
        "running",
        START_TIME + 1,
        {"x": 1, "y": 2},
    )
    assert (lost["status"], lost["last_seen_at"]) == ("lost", START_TIME + 1)


def test_process_frame_round_trip(tmp_path: Path) -> None:
    """The first frame says who wrote."""
    journal = JournalFile(tmp_path / "store")

    assert read_process(journal.folder) == journal.process


def test_segment_names() -> None:
    """A segment's number is in its name, and other files have none."""
    assert segment_number(segment_name(17)) == 17
    assert segment_number("lock") is None
    assert segment_number(".17.new") is None


def test_header_of_another_file_is_refused() -> None:
    """A file that is no segment is told from one."""
    for header in (b"", b"PK\x03\x04" + bytes(12)):
        try:
            check_segment_header(header)
        except MalformedError as error:
            assert "no segment" in str(error)  # noqa: PT017  # both have to be refused
        else:
            raise AssertionError(header)
