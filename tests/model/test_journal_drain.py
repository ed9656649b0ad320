"""The drain of a journal: what it gives, when it gives it again, and what it leaves on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from provtel_model.components import Batch
from provtel_model.errors import MalformedError, RetryableError
from provtel_model.journal import (
    JournalDrainer,
    destination,
    drain_journal,
    find_journals,
    is_dead,
    registered_journals,
)
from provtel_model.journal.layout import (
    CURSOR_FILE,
    DRAIN_LOCK_FILE,
    FORMAT_VERSION,
    MAGIC,
    SEGMENT_HEADER,
    segment_name,
)
from provtel_model.journal.liveness import lock_file
from provtel_model.journal.places import register
from provtel_model.otlp import decode
from provtel_model.record import PlainRecord

from tests.model.journals import START_TIME, JournalFile


class Sink:
    """Takes batches, as many as it is told to."""

    def __init__(self, takes: int = 1_000_000) -> None:
        """Refuse what comes after `takes` batches."""
        self.records: list[PlainRecord] = []
        self._takes = takes

    def __call__(self, batch: Batch) -> None:
        """Take a batch, or refuse it for now."""
        if not self._takes:
            raise RetryableError("full")
        self._takes -= 1
        self.records.extend(decode(batch))

    @property
    def spans(self) -> list[tuple[int, str]]:
        """Return span id and status of all that was taken."""
        return [(int(plain["span_id"], 16), plain["status"]) for plain in self.records]


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the user's own list of journals out of it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JournalFile]:
    """Give a journal whose writer lives."""
    written = JournalFile(tmp_path / "store")
    yield written
    written.die()


def test_living_writer_gives_ended_and_running(journal: JournalFile) -> None:
    """What ended comes as finished, what is open as running, seen at the time of the drain."""
    journal.task(1)
    journal.start(2)
    sink = Sink()

    outcome = drain_journal(journal.folder, sink)

    assert sink.spans == [(1, "finished"), (2, "running")]
    assert sink.records[1]["last_seen_at"] > START_TIME
    assert (outcome.records, outcome.finished, outcome.skipped) == (2, False, None)


def test_second_drain_gives_only_what_is_new(journal: JournalFile) -> None:
    """What was acknowledged is not given again; what is still open is."""
    journal.task(1)
    journal.start(2)
    drain_journal(journal.folder, Sink())
    journal.end(2)
    journal.task(3)
    journal.start(4)
    sink = Sink()

    drain_journal(journal.folder, sink)

    assert sink.spans == [(2, "finished"), (3, "finished"), (4, "running")]


def test_dead_writer_gives_lost_and_is_removed(journal: JournalFile) -> None:
    """What a dead writer left open is lost, last seen at its last frame; then nothing of the journal is left."""
    register(journal.folder)
    journal.start(1)
    journal.task(2)
    journal.die()
    sink = Sink()

    outcome = drain_journal(journal.folder, sink)

    assert sink.spans == [(2, "finished"), (1, "lost")]
    assert sink.records[1]["last_seen_at"] == START_TIME + 1002
    assert outcome.finished
    assert not journal.folder.exists()
    assert registered_journals() == []


def test_dead_writer_can_be_kept(journal: JournalFile) -> None:
    """Without removal the folder stays, and what was given is not given again."""
    journal.task(1)
    journal.die()
    drain_journal(journal.folder, Sink(), remove=False)
    sink = Sink()

    outcome = drain_journal(journal.folder, sink, remove=False)

    assert sink.spans == []
    assert outcome.finished
    assert journal.path.exists()


def test_refused_batch_stays(journal: JournalFile) -> None:
    """What the sink did not take is given by the next drain, and nothing of it is removed."""
    for span in range(1, 1001):
        if span in {300, 600, 900}:
            journal.rotate()
        journal.task(span)
    journal.die()
    first, second = Sink(takes=1), Sink()

    with pytest.raises(RetryableError):
        drain_journal(journal.folder, first)
    drain_journal(journal.folder, second)

    assert len(first.records) == 299
    assert [span for span, _ in first.spans + second.spans] == list(range(1, 1001))
    assert not journal.folder.exists()


def test_sealed_segments_are_removed_while_the_writer_lives(journal: JournalFile) -> None:
    """A segment that was taken whole goes; the last one stays with its writer."""
    journal.task(1)
    journal.rotate()
    journal.task(2)

    drain_journal(journal.folder, Sink())

    assert [path.name for path in sorted(journal.folder.glob("*.seg"))] == [segment_name(2)]


def test_open_start_is_copied_forward(journal: JournalFile) -> None:
    """An activity that runs over a change of segments is given once, whole, though its first segment is gone."""
    journal.start(1, [1, 2])
    drain_journal(journal.folder, Sink())
    journal.rotate()
    journal.start(1, [1, 2])
    drain_journal(journal.folder, Sink())
    journal.end(1)
    sink = Sink()

    drain_journal(journal.folder, sink)

    assert [(plain["span_id"], plain["used"]) for plain in sink.records] == [(f"{1:016x}", {"x": 1, "y": 2})]


def test_torn_last_frame_is_ignored(journal: JournalFile) -> None:
    """A frame that was not written to its end is none; what comes before it counts."""
    journal.task(1)
    journal.append_payload(b"\x93\x04 half", crc=1)
    journal.die()
    sink = Sink()

    assert drain_journal(journal.folder, sink).finished
    assert sink.spans == [(1, "finished")]


def test_frame_behind_a_torn_one_counts_when_the_writer_is_dead(journal: JournalFile) -> None:
    """A thread that was stopped in the middle of a frame takes no other thread's frame with it."""
    journal.append_payload(b"\x93\x04 half", crc=1)
    journal.task(1)
    sink = Sink()
    drain_journal(journal.folder, sink)
    journal.die()

    drain_journal(journal.folder, sink)

    assert sink.spans == [(1, "finished")]


def test_frame_that_is_being_written_is_waited_for(journal: JournalFile) -> None:
    """While the writer lives, the reader steps over no frame that is not whole yet, nor out of its segment."""
    journal.start(1)
    before = journal.path.read_bytes()
    journal.end(1)
    after = journal.path.read_bytes()
    whole = next(place for place in range(len(after)) if before[place] != after[place])
    journal.path.write_bytes(after[: whole + 20] + bytes(len(after) - whole - 20))
    sealed = journal.path
    journal.rotate()
    journal.task(2)
    sink = Sink()
    drain_journal(journal.folder, sink)
    sealed.write_bytes(after)

    drain_journal(journal.folder, sink)

    assert sink.spans == [(1, "running"), (1, "finished"), (2, "finished")]


def test_one_drainer_at_a_time(journal: JournalFile) -> None:
    """A journal in another drainer's hands is left alone, and the outcome says so."""
    journal.task(1)
    sink = Sink()

    with lock_file(journal.folder / DRAIN_LOCK_FILE, create=True):
        outcome = drain_journal(journal.folder, sink)

    assert sink.records == []
    assert outcome.skipped == "another process is draining it"


def test_lost_cursor_only_repeats(journal: JournalFile) -> None:
    """Without the cursor everything is given again, which a store merges."""
    journal.task(1)
    drain_journal(journal.folder, Sink())
    (journal.folder / CURSOR_FILE).write_text("nonsense")
    sink = Sink()

    drain_journal(journal.folder, sink)

    assert sink.spans == [(1, "finished")]


def test_other_boot_of_this_host_is_dead(tmp_path: Path) -> None:
    """A writer of an earlier boot is gone, whatever its lock says."""
    journal = JournalFile(tmp_path / "store", boot="an-earlier-boot")
    journal.start(1)
    sink = Sink()

    assert is_dead(journal.folder)
    assert drain_journal(journal.folder, sink).finished
    assert sink.spans == [(1, "lost")]


def test_other_host_is_not_judged(tmp_path: Path) -> None:
    """A writer on another host is neither dead nor removed; its open activities were seen at its last frame."""
    journal = JournalFile(tmp_path / "store", boot="another-kernel", host="another-host")
    journal.start(1)
    journal.die()
    sink = Sink()

    outcome = drain_journal(journal.folder, sink)

    assert not outcome.finished
    assert not is_dead(journal.folder)
    assert sink.spans == [(1, "running")]
    assert sink.records[0]["last_seen_at"] == START_TIME + 1
    assert journal.path.exists()


def test_drainer_tells_open_activities_at_heartbeats(journal: JournalFile) -> None:
    """A drainer that goes on gives an open activity again only when its heartbeat is due."""
    journal.start(1)
    drainer, sink = JournalDrainer(journal.folder), Sink()

    drainer.drain(sink, heartbeat=60)
    journal.start(2)
    drainer.drain(sink, heartbeat=60)
    drainer.drain(sink, heartbeat=0)

    assert [span for span, _ in sink.spans] == [1, 2, 1, 2]


def test_exiting_writer_gives_lost_and_keeps_its_folder(journal: JournalFile) -> None:
    """A writer that is about to exit reports what is open as lost, and can still end it."""
    journal.start(1)
    sink = Sink()
    drainer = JournalDrainer(journal.folder)
    drainer.drain(sink, exiting=True)
    journal.end(1)
    journal.die()

    drain_journal(journal.folder, sink)

    assert sink.spans == [(1, "lost"), (1, "finished")]


def test_folder_without_segments_is_the_rest_of_a_removal(tmp_path: Path) -> None:
    """What another drainer left when it was stopped is removed."""
    rest = tmp_path / "store" / "journal" / "rest"
    rest.mkdir(parents=True)
    (rest / CURSOR_FILE).write_text("1 16\n")

    assert drain_journal(rest, Sink()).finished
    assert not rest.exists()


def test_later_format_is_left_alone(journal: JournalFile) -> None:
    """A journal of a later format is kept, and the outcome says what to do."""
    journal.path.write_bytes(SEGMENT_HEADER.pack(MAGIC, FORMAT_VERSION + 1, 1) + bytes(100))
    journal.die()

    outcome = drain_journal(journal.folder, Sink())

    assert outcome.skipped is not None
    assert f"format {FORMAT_VERSION + 1}" in outcome.skipped
    assert journal.path.exists()


def test_destination_is_the_store_around_the_journal_or_its_endpoint(tmp_path: Path) -> None:
    """Records without an endpoint are for the store that the journal lies in, also when that was moved."""
    JournalFile(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / "moved")
    shipped = JournalFile(tmp_path / "other", endpoint="http://localhost:4318")

    (moved,) = find_journals(tmp_path / "moved")

    assert destination(moved).store == tmp_path / "moved"
    assert (destination(shipped.folder).store, destination(shipped.folder).endpoint) == (None, "http://localhost:4318")


def test_destination_of_nonsense_is_an_error(tmp_path: Path) -> None:
    """A folder that is no journal has no destination."""
    with pytest.raises(MalformedError):
        destination(tmp_path)
    with pytest.raises(MalformedError):
        destination(tmp_path / "missing")


def test_journals_that_are_being_made_are_not_found(tmp_path: Path) -> None:
    """A folder whose name begins with a dot has no lock yet; nobody may take its writer for dead."""
    (tmp_path / "journal" / ".being-made").mkdir(parents=True)
    (tmp_path / "journal" / "made").mkdir()

    assert [path.name for path in find_journals(tmp_path)] == ["made"]
    assert find_journals(tmp_path / "nowhere") == []


def test_registered_journals_are_those_that_are_there(tmp_path: Path) -> None:
    """The list gives journals of any store, and passes over those that are gone."""
    kept, gone = tmp_path / "a" / "one", tmp_path / "b" / "two"
    kept.mkdir(parents=True)
    register(kept)
    register(gone)

    assert registered_journals() == [kept]
