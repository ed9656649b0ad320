"""The journal receiver brings in what is its business, once, and leaves in place what nobody takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from provtel_collector.receivers.journal import factory
from provtel_collector.receivers.journal import receiver as receiver_module
from provtel_collector.receivers.journal.config import JournalConfig
from provtel_model.components import Batch, Context, Signal
from provtel_model.errors import ConfigError, DeliveryError, PermanentError, RetryableError
from provtel_model.journal import Destination, destination
from provtel_model.journal.places import register
from provtel_model.otlp import decode
from provtel_model.settings import Duration

from tests.collector.journals import living, write_journal
from tests.collector.parts import Recorder, raising

SECONDS = 10


@dataclass
class Taken:
    """What the pipelines took."""

    traces: Recorder = field(default_factory=Recorder)
    logs: Recorder = field(default_factory=Recorder)

    def spans(self) -> list[str]:
        """Return the ids of what has ended, in the order in which it came."""
        return [str(int(record["span_id"], 16)) for one in self.traces.batches for record in decode(one)]

    def states(self) -> list[tuple[str, str]]:
        """Return the ids and states of what has not, in the order in which it came."""
        records = [record for one in self.logs.batches for record in decode(one)]
        return [(str(int(record["span_id"], 16)), record["status"]) for record in records]


@contextmanager
def receiving(store: Path, taken: Taken, **settings: bool) -> Iterator[None]:
    """Run a receiver that looks often."""
    config = JournalConfig(str(store), poll_interval=Duration(0.02), **settings)
    context = Context("journal", {Signal.TRACES: taken.traces, Signal.LOGS: taken.logs}, lambda *_: None)
    receiver = factory.create(config, context)
    receiver.start()
    try:
        yield
    finally:
        receiver.shutdown()


def wait_for(what: Callable[[], object]) -> None:
    """Wait until something is the case."""
    deadline = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_dead_writer(tmp_path: Path) -> None:
    """The journal of a dead process comes in whole, what it had not ended is lost, and the journal goes."""
    journal = write_journal(tmp_path, goal=tmp_path, ended=1100, unended=2)
    taken = Taken()

    with receiving(tmp_path, taken):
        wait_for(lambda: not journal.exists())

    assert taken.spans() == [str(span) for span in range(1, 1101)]
    assert taken.states() == [("1101", "lost"), ("1102", "lost")]


def test_living_writer(tmp_path: Path) -> None:
    """The journal of a living process for this store is followed: what runs is told, and its end when it comes."""
    journal = write_journal(tmp_path, goal=tmp_path, ended=1, unended=1)
    taken = Taken()

    with living(journal), receiving(tmp_path, taken):
        wait_for(taken.states)
        time.sleep(0.1)
        assert taken.states() == [("2", "running")]
        assert journal.exists()
    with receiving(tmp_path, taken):
        wait_for(lambda: not journal.exists())

    assert taken.spans() == ["1"]
    assert taken.states() == [("2", "running"), ("2", "lost")]


def test_journal_for_an_endpoint(tmp_path: Path) -> None:
    """A process that ships by itself is left to it while it lives; when it is dead, what it left behind comes in."""
    journal = write_journal(tmp_path, goal="http://127.0.0.1:4318")
    taken = Taken()

    with living(journal), receiving(tmp_path, taken):
        time.sleep(0.1)
        assert taken.spans() == []
    with receiving(tmp_path, taken):
        wait_for(lambda: not journal.exists())

    assert taken.spans() == ["1"]


def test_journal_for_another_store(tmp_path: Path) -> None:
    """A journal for another store is nobody's business here."""
    journal = write_journal(tmp_path, goal=tmp_path / "other")
    taken = Taken()

    with receiving(tmp_path, taken):
        time.sleep(0.1)

    assert journal.exists()
    assert taken.spans() == []


@pytest.mark.parametrize("registered", [True, False])
def test_registered_journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registered: bool) -> None:
    """Journals in other folders come in where that is asked for."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    journal = write_journal(tmp_path / "elsewhere", goal="http://127.0.0.1:4318")
    register(journal)
    taken = Taken()

    with receiving(tmp_path / "here", taken, registered=registered):
        if registered:
            wait_for(lambda: not journal.exists())
        else:
            time.sleep(0.1)

    assert taken.spans() == (["1"] if registered else [])


def test_following(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that could ship by itself is followed while it lives, where that is asked for."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    journal = write_journal(tmp_path / "elsewhere", goal="http://127.0.0.1:4318", ended=2, unended=1)
    register(journal)
    taken = Taken()

    with living(journal), receiving(tmp_path / "here", taken, registered=True, follow=True):
        wait_for(lambda: len(taken.spans()) == 2 and taken.states())
        assert journal.exists()
    with receiving(tmp_path / "here", taken, registered=True, follow=True):
        wait_for(lambda: not journal.exists())

    assert taken.spans() == ["1", "2"]
    assert taken.states() == [("3", "running"), ("3", "lost")]


@pytest.mark.parametrize("other_stores", [True, False])
def test_registered_journals_of_other_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_stores: bool
) -> None:
    """What is meant for other stores is left to them, unless the user wants it here."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    journal = write_journal(tmp_path / "elsewhere", goal=tmp_path / "elsewhere")
    register(journal)
    taken = Taken()

    with receiving(tmp_path / "here", taken, registered=True, other_stores=other_stores):
        if other_stores:
            wait_for(lambda: not journal.exists())
        else:
            time.sleep(0.1)

    assert taken.spans() == (["1"] if other_stores else [])


def test_stop_while_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver whose batch is not answered stops all the same, and the journal keeps what it had."""
    monkeypatch.setattr("provtel_collector.receivers.journal.receiver._STOP_SECONDS", 0.1)
    journal = write_journal(tmp_path, goal=tmp_path)
    asked, answer = threading.Event(), threading.Event()

    def hang(_batch: Batch) -> None:
        asked.set()
        answer.wait(SECONDS)
        raise RetryableError("at last")

    with receiving(tmp_path, Taken(Recorder(hang))):
        assert asked.wait(SECONDS)
    answer.set()
    taken = Taken()
    with receiving(tmp_path, taken):
        wait_for(lambda: not journal.exists())

    assert taken.spans() == ["1"]


@pytest.mark.parametrize("error", [RetryableError("full"), PermanentError("wrong")])
def test_what_is_not_taken_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture, error: DeliveryError) -> None:
    """A journal whose records are refused stays, is tried again, and the refusal is told once; others go on."""
    write_journal(tmp_path, "a", goal=tmp_path, ended=3)
    other = write_journal(tmp_path, "b", goal="http://127.0.0.1:4318", ended=0, unended=1)
    refusing = Taken(Recorder(raising(error)))

    with receiving(tmp_path, refusing):
        wait_for(lambda: not other.exists())
        time.sleep(0.1)
    taken = Taken()
    with receiving(tmp_path, taken):
        wait_for(lambda: len(taken.spans()) == 3)

    assert caplog.text.count(f"because they were not taken: {error}") == 1


def test_stop_in_the_middle(tmp_path: Path) -> None:
    """A receiver that stops in the middle of a journal has given on whole batches, and the next one goes on there."""
    write_journal(tmp_path, goal=tmp_path, ended=9000)
    first = Taken()

    def slowly(_batch: Batch) -> None:
        time.sleep(0.1)

    first.traces.doing = slowly
    with receiving(tmp_path, first):
        wait_for(lambda: len(first.spans()) > 0)
    second = Taken()
    with receiving(tmp_path, second):
        wait_for(lambda: len(second.spans()) + len(first.spans()) >= 9000)

    assert len(first.spans()) < 9000
    assert first.spans() + second.spans() == [str(span) for span in range(1, 9001)]


def test_broken_journal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that is no journal is told once and keeps nobody waiting."""
    (tmp_path / "journal" / "broken").mkdir(parents=True)
    (tmp_path / "journal" / "broken" / "00000001.seg").write_bytes(b"noise")
    journal = write_journal(tmp_path, goal=tmp_path)

    with receiving(tmp_path, Taken()):
        wait_for(lambda: not journal.exists())
        time.sleep(0.1)

    assert caplog.text.count("this is no segment of a provtel journal") == 1


def test_journal_that_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal on a disk with an error is told once and keeps no other waiting."""
    (tmp_path / "journal" / "0-bad").mkdir(parents=True)
    (tmp_path / "journal" / "0-bad" / "00000001.seg").write_bytes(b"noise")
    journal = write_journal(tmp_path, goal=tmp_path)

    def failing(asked: Path) -> Destination:
        if asked.name == "0-bad":
            raise OSError(5, "Input/output error")
        return destination(asked)

    monkeypatch.setattr(receiver_module, "destination", failing)

    with receiving(tmp_path, Taken()):
        wait_for(lambda: not journal.exists())
        time.sleep(0.1)

    assert caplog.text.count("Input/output error") == 1


def test_both_signals_must_have_a_way_on(tmp_path: Path) -> None:
    """A receiver in a pipeline of traces alone is refused, because it would have nowhere to put the rest."""
    context = Context("journal", {Signal.TRACES: Recorder()}, lambda *_: None)

    with pytest.raises(ConfigError) as raised:
        factory.create(JournalConfig(str(tmp_path)), context).start()

    assert str(raised.value) == (
        "receivers::journal: is in no pipeline of logs; journals hold traces and logs, name it in both"
    )


def test_refused_configuration() -> None:
    """Looking without a pause, and what is of no effect, is refused."""
    with pytest.raises(ValueError, match="poll_interval must be positive"):
        JournalConfig(poll_interval=Duration(0))
    with pytest.raises(ValueError, match="other_stores is of no effect"):
        JournalConfig(other_stores=True)
