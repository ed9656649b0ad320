"""What is refused for good is found item by item, put aside where a person can look at it, and can be sent again."""

from __future__ import annotations

import base64
import json
import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_collector.counters import Counters
from provtel_collector.delivery.dead_letters import DeadLetters, Replayed, default_folder
from provtel_collector.delivery.isolated import Isolated
from provtel_collector.delivery.retry import StoppingError
from provtel_model.components import Batch, Signal
from provtel_model.errors import PermanentError, RetryableError
from provtel_model.otlp import decode

from tests.collector.parts import Recorder, batch, raising


class Picky:
    """A destination that refuses for good what has one of some spans, and counts how often it is asked.

    Args:
        bad: Numbers of spans that it does not take.
    """

    def __init__(self, *bad: int) -> None:
        self.bad = {f"{number:016x}" for number in bad}
        self.taken: list[str] = []
        self.asked = 0

    def consume(self, one: Batch) -> None:
        """Take a batch, or refuse it."""
        self.asked += 1
        ids = [record["span_id"] for record in decode(one)]
        if found := self.bad & set(ids):
            raise PermanentError(f"not {', '.join(sorted(found))}")
        self.taken += ids


class Stage:
    """What is refused goes into a folder.

    Args:
        folder: The folder.
        keeps: Whether nobody else has the data.
    """

    def __init__(self, folder: Path, *, keeps: bool = False) -> None:
        self.counters = Counters()
        self.letters = DeadLetters(folder / "dead", "otlp_http/far")
        self.keeps = keeps

    def isolated(self, destination: Picky | Recorder) -> Isolated:
        """Return what is tested."""
        return Isolated(destination, self.counters.add, self.letters, keeps=self.keeps)

    def put_aside(self) -> list[str]:
        """Return the spans that were put aside."""
        if not self.letters.file.exists():
            return []
        said = [json.loads(line) for line in self.letters.file.read_text().splitlines()]
        batches = [Batch(Signal.TRACES, base64.b64decode(one["payload"]), one["items"]) for one in said]
        return [record["span_id"] for one in batches for record in decode(one)]


@given(st.sets(st.integers(1, 40), max_size=3))
@settings(max_examples=30)
def test_only_what_is_bad_is_put_aside(tmp_path_factory: pytest.TempPathFactory, bad: set[int]) -> None:
    """Whatever few items of a batch a destination refuses, it gets all the others, each once."""
    stage = Stage(tmp_path_factory.mktemp("letters"))
    destination = Picky(*bad)

    stage.isolated(destination).consume(batch(40))

    assert sorted(destination.taken) == [f"{number:016x}" for number in range(1, 41) if number not in bad]
    assert sorted(stage.put_aside()) == sorted(f"{number:016x}" for number in bad)
    assert stage.counters.total("otelcol_exporter_sent_spans") == 40 - len(bad)
    assert stage.counters.total("otelcol_exporter_dead_lettered_spans") == len(bad)
    assert stage.counters.total("otelcol_exporter_send_failed_spans") == len(bad)


def test_search_is_bounded(tmp_path: Path) -> None:
    """A destination that refuses everything is not asked for each item, and the next batch is not halved at all."""
    stage = Stage(tmp_path)
    destination = Picky(*range(1, 513))
    isolated = stage.isolated(destination)

    isolated.consume(batch(512))
    assert destination.asked <= 66
    destination.asked = 0
    isolated.consume(batch(512))

    assert destination.asked == 1
    assert len(stage.put_aside()) == 1024


def test_one_in_many_is_found_quickly(tmp_path: Path) -> None:
    """To find one item among 512 takes twice as many attempts as it takes to halve them."""
    destination = Picky(300)

    Stage(tmp_path).isolated(destination).consume(batch(512))

    assert destination.asked <= 19


def test_refused_for_now_is_told(tmp_path: Path) -> None:
    """What may be taken later goes back to who has it, and is no dead letter."""
    stage = Stage(tmp_path)

    with pytest.raises(RetryableError, match="later"):
        stage.isolated(Recorder(raising(RetryableError("later")))).consume(batch(3))

    assert stage.put_aside() == []
    assert stage.counters.total("otelcol_exporter_send_failed_spans") == 3


def test_given_up_is_put_aside_where_nobody_else_has_it(tmp_path: Path) -> None:
    """What was acknowledged and is sent again no longer is not thrown away."""
    stage = Stage(tmp_path, keeps=True)

    stage.isolated(Recorder(raising(RetryableError("no more retries left")))).consume(batch(3))

    assert len(stage.put_aside()) == 3


def test_stop_is_no_failure(tmp_path: Path) -> None:
    """What could not be sent because the collector stops is neither counted nor put aside."""
    stage = Stage(tmp_path, keeps=True)

    with pytest.raises(StoppingError):
        stage.isolated(Recorder(raising(StoppingError("stop")))).consume(batch(3))

    assert stage.put_aside() == []
    assert stage.counters.sums() == {}


def test_letter_can_be_read(tmp_path: Path) -> None:
    """A letter is a line of JSON that says when, by whom and why, in a file for its owner only."""
    letters = DeadLetters(tmp_path / "dead", "otlp_http/far")
    sent = batch(2)

    letters.add(sent, 'HTTP 400: "no"\nsuch field')

    said = json.loads(letters.file.read_text())
    assert datetime.now(UTC) - datetime.fromisoformat(said.pop("time")) < timedelta(minutes=1)
    assert said == {
        "exporter": "otlp_http/far",
        "signal": "traces",
        "items": 2,
        "reason": 'HTTP 400: "no"\nsuch field',
        "payload": base64.b64encode(sent.payload).decode(),
    }
    assert letters.file.name == "otlp_http%2Ffar.jsonl"
    assert stat.S_IMODE(letters.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(letters.file.parent.stat().st_mode) == 0o700


def test_file_is_bounded(tmp_path: Path) -> None:
    """A full file takes no more: whoever has the data is told to keep it."""
    letters = DeadLetters(tmp_path, "out", limit=1000)
    letters.add(batch(2), "no")
    size = letters.file.stat().st_size

    with pytest.raises(RetryableError, match=r"may have 1000; replay what is in it, or remove it"):
        letters.add(batch(20), "no")

    assert letters.file.stat().st_size == size


def test_torn_line_takes_no_other_with_it(tmp_path: Path) -> None:
    """What a crash left of a line stays alone; the next letter has a line of its own."""
    letters = DeadLetters(tmp_path, "out")
    letters.add(batch(2), "no")
    os.truncate(letters.file, letters.file.stat().st_size - 5)
    letters.add(batch(3), "no")
    recorder = Recorder()

    assert letters.replay(recorder.consume).taken == 1
    assert [one.items for one in recorder.batches] == [3]


def test_replay(tmp_path: Path) -> None:
    """Letters are sent again in their order; those that are refused again stay, and those that come meanwhile."""
    letters = DeadLetters(tmp_path, "out")
    for count in (1, 2, 3):
        letters.add(batch(count), "no")

    def refuse_two(one: Batch) -> None:
        if one.items == 2:
            letters.add(batch(9), "meanwhile")
            raise PermanentError("still no")

    recorder = Recorder(refuse_two)
    assert letters.replay(recorder.consume) == Replayed(2, 1, "still no")
    assert [one.items for one in recorder.batches] == [1, 3]

    again = Recorder()
    assert letters.replay(again.consume) == Replayed(2, 0)
    assert [one.items for one in again.batches] == [9, 2]
    assert letters.replay(again.consume) == Replayed(0, 0)


def test_replay_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    """What a replay had begun and did not finish is sent by the next."""
    letters = DeadLetters(tmp_path, "out")
    for count in (1, 2):
        letters.add(batch(count), "no")
    with pytest.raises(KeyboardInterrupt):
        letters.replay(raising(KeyboardInterrupt()))  # type: ignore[arg-type]  # no Exception, as a signal is none
    letters.add(batch(3), "no")
    recorder = Recorder()

    assert letters.replay(recorder.consume) == Replayed(3, 0)
    assert [one.items for one in recorder.batches] == [1, 2, 3]


def test_many_writers_and_a_replay(tmp_path: Path) -> None:
    """Letters of several writers, added while a replay takes the file away, are all there, each once."""
    done = threading.Event()

    def write(first: int) -> None:
        letters = DeadLetters(tmp_path, "out")
        for number in range(first, first + 25):
            letters.add(batch(number + 1), "no")

    writers = [threading.Thread(target=write, args=[first]) for first in (0, 25, 50)]
    recorder = Recorder()

    def replay() -> None:
        while not done.is_set():
            DeadLetters(tmp_path, "out").replay(recorder.consume)

    replaying = threading.Thread(target=replay)
    for thread in (*writers, replaying):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    replaying.join()
    DeadLetters(tmp_path, "out").replay(recorder.consume)

    assert sorted(one.items for one in recorder.batches) == list(range(1, 76))


def test_where_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a storage they are in systemd's folder of the service, else the user's, else where one works."""
    assert default_folder() == tmp_path / "state/provtel/dead-letters"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "expanduser", raising(RuntimeError("Could not determine home directory.")))
    monkeypatch.chdir(tmp_path)
    assert default_folder() == tmp_path / "dead-letters"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/provtel:/var/lib/other")
    assert default_folder() == Path("/var/lib/provtel/dead-letters")
