"""Data points of metrics in a journal: a frame for each moment, given once, beside the activities."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_model.components import Batch, Signal
from provtel_model.errors import PermanentError
from provtel_model.journal import JournalDrainer, drain_journal
from provtel_model.journal.activities import NOT_UNDERSTOOD
from provtel_model.journal.layout import Kind
from provtel_model.journal.records import points_of
from provtel_model.otlp import decode
from provtel_model.otlp.encode_observations import encode_points
from provtel_model.otlp.observations import decode_points

from tests.model.journals import START_TIME, JournalFile

GAUGE = {"name": "process.memory.usage", "kind": "gauge", "unit": "By"}
SUM = {"name": "process.cpu.time", "kind": "sum", "unit": "s", "temporality": "cumulative", "monotonic": True}
HISTOGRAM = {"name": "http.client.duration", "kind": "histogram", "unit": "ms", "temporality": "cumulative"}
METRICS = [[GAUGE, [[{}, 5]]], [SUM, [[{"cpu.mode": "user"}, 0.5], [{"cpu.mode": "system"}, 1.5]]]]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JournalFile]:
    """Give a journal whose writer lives."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    written = JournalFile(tmp_path / "store")
    yield written
    written.die()


class Sink:
    """Takes every signal but those that it refuses for good."""

    def __init__(self, *refused: Signal) -> None:
        """Begin with nothing."""
        self.batches: list[Batch] = []
        self._refused = refused

    def __call__(self, batch: Batch) -> None:
        """Take a batch, or refuse it."""
        if batch.signal in self._refused:
            raise PermanentError("no place for it")
        self.batches.append(batch)

    @property
    def points(self) -> list[Any]:
        """Return the data points."""
        return [point for batch in self.batches for point in decode_points(batch)]


def test_points_come_with_what_is_known_of_their_process(journal: JournalFile) -> None:
    """A frame's points bear their own attributes, its time, and resource and scope of who wrote it."""
    journal.append(Kind.POINTS, START_TIME + 9, START_TIME, METRICS)
    sink = Sink()

    drain_journal(journal.folder, sink)
    gauge, user, system = sink.points

    assert [batch.signal for batch in sink.batches] == [Signal.METRICS]
    assert (gauge["name"], gauge["value"], gauge["time"], gauge["unit"]) == (
        "process.memory.usage",
        5,
        START_TIME + 9,
        "By",
    )
    assert "started_at" not in gauge
    assert [point["attributes"] for point in (user, system)] == [{"cpu.mode": "user"}, {"cpu.mode": "system"}]
    assert {point["started_at"] for point in (user, system)} == {START_TIME}
    assert (user["monotonic"], user["temporality"], user["value"]) == (True, "cumulative", 0.5)
    assert {(point["host"], point["pid"], point["rank"]) for point in sink.points} == {("node7", 42, 3)}
    assert gauge["scope"] == {"name": "provtel", "version": "1.2.3"}


def test_points_are_given_once(journal: JournalFile) -> None:
    """What was taken is not given again: neither by the same drainer, nor by one that begins at the cursor."""
    drainer = JournalDrainer(journal.folder)
    counts = []
    for moment in range(3):
        journal.task(moment + 1)
        journal.append(Kind.POINTS, START_TIME + moment, START_TIME, METRICS)
        sink = Sink()
        drainer.drain(sink, remove=False)
        counts.append(len(sink.points))
    again = Sink()
    drain_journal(journal.folder, again)

    assert counts == [3, 3, 3]
    assert again.points == []


def test_activities_arrive_where_metrics_are_refused(journal: JournalFile) -> None:
    """A destination without a place for metrics gets all the rest."""
    journal.append(Kind.POINTS, START_TIME, START_TIME, METRICS)
    journal.task(1)
    sink = Sink(Signal.METRICS)

    outcome = drain_journal(journal.folder, sink)

    assert outcome.skipped is None
    assert [plain["span_id"] for batch in sink.batches for plain in decode(batch)] == ["0000000000000001"]


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["now", 0, []],
        [1, None, []],
        [1, 0, [[GAUGE]]],
        [1, 0, [[{"kind": "gauge"}, []]]],
        [1, 0, [[{"name": "a", "kind": "summary"}, []]]],
        [1, 0, [[HISTOGRAM, [[{}, 5]]]]],
        [1, 0, [[HISTOGRAM, [[{}, {"sum": 1.0}]]]]],
        [1, 0, [[HISTOGRAM, [[{}, {"count": -1}]]]]],
        [1, 0, [[HISTOGRAM, [[{}, {"count": 1, "counts": ["1"]}]]]]],
        [1, 0, [[HISTOGRAM, [[{}, {"count": 1, "sum": "1"}]]]]],
        [1, 0, [[HISTOGRAM, [[{}, {"count": 1, "bounds": {}}]]]]],
        [1, 0, [[HISTOGRAM, [[{}, {"count": 1, "median": 1.0}]]]]],
        [1, 0, [[GAUGE, [[{}, "5"]]]]],
        [1, 0, [[GAUGE, [[None, 5]]]]],
        [1, 0, 7],
    ],
)
def test_what_is_no_points_is_passed_over(journal: JournalFile, wrong: list[Any]) -> None:
    """A frame that a later version wrote differently costs itself and nothing else."""
    journal.append(Kind.POINTS, *wrong)
    journal.append(Kind.POINTS, START_TIME, START_TIME, METRICS)
    sink = Sink()
    drain_journal(journal.folder, sink)

    with pytest.raises(NOT_UNDERSTOOD):
        points_of(wrong, {})
    assert len(sink.points) == 3


_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
_ATTRIBUTES = st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=5) | st.integers(0, 9), max_size=3)


_COUNTS = st.integers(0, 2**64 - 1)
_FLOATS = st.floats(allow_nan=False)
_DISTRIBUTIONS = st.fixed_dictionaries(
    {"count": _COUNTS},
    optional={
        **dict.fromkeys(("sum", "min", "max"), _FLOATS),
        "bounds": st.lists(_FLOATS, min_size=1, max_size=3),
        "counts": st.lists(_COUNTS, min_size=1, max_size=3),
    },
)


def _metrics(common: list[dict[str, Any]], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.sampled_from(common), st.lists(st.tuples(_ATTRIBUTES, values), max_size=3))


@given(st.lists(_metrics([GAUGE, SUM], _NUMBERS) | _metrics([HISTOGRAM], _DISTRIBUTIONS)))
def test_points_survive_the_way(metrics: list[Any]) -> None:
    """Points of a frame are after the way by OTLP what they were."""
    points = points_of([START_TIME, START_TIME - 5, metrics], {})

    assert [point for batch in encode_points(points) for point in decode_points(batch)] == points
