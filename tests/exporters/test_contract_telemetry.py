"""The contract of stores: data points and log records, kept once, found by windows, and forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_model.errors import PermanentError
from provtel_model.filters import Query
from provtel_model.memory import Memory
from provtel_model.telemetry import PlainLog, PlainPoint, Window, observation_id

from tests.exporters.backends import Backend, Place, thinned
from tests.exporters.observed import LOGS, POINTS, WINDOWS
from tests.exporters.records import STARTS, content, numbered


def _memory(points: list[PlainPoint], logs: list[PlainLog]) -> Memory:
    memory = Memory()
    for point in points:
        memory.add_point(point)
    for log in logs:
        memory.add_log(log)
    return memory


def _answers(reader: Any, windows: list[Window]) -> list[list[bytes]]:
    return [content(ask(window)) for window in windows for ask in (reader.points, reader.logs)]


@given(
    points=st.lists(POINTS, max_size=8),
    logs=st.lists(LOGS, max_size=8),
    windows=st.lists(WINDOWS, min_size=1, max_size=8),
)
@settings(max_examples=30)
@thinned
def test_a_window_shows_what_falls_into_it(
    backend: Backend, points: list[PlainPoint], logs: list[PlainLog], windows: list[Window]
) -> None:
    """Each data point and log record is there once, and a window gives those that it matches, oldest first."""
    with backend.new() as place:
        writer = place.writer()
        for batch in (points[::2], points, points[1::2]):
            writer.write_points(batch)
        different = len({observation_id(log) for log in logs})
        assert writer.write_logs(logs) == backend.written(different, len(logs) - different)
        assert writer.write_logs(logs) == backend.written(0, len(logs))

        memory = _memory([*points[::2], *points], logs)
        assert _answers(place.reader(), windows) == _answers(memory, windows)


@given(points=st.lists(POINTS, max_size=8), logs=st.lists(LOGS, max_size=8), moment=st.sampled_from([*STARTS, -1]))
@settings(max_examples=20)
@thinned
def test_what_is_old_is_forgotten(
    backend: Backend, points: list[PlainPoint], logs: list[PlainLog], moment: int
) -> None:
    """Of data points and log records those from before a moment go, from every window, and may come again."""
    with backend.new() as place:
        writer = place.writer()
        writer.write_points(points)
        writer.write_logs(logs)
        both: list[PlainPoint | PlainLog] = [*points, *logs]
        old = [plain for plain in both if plain["time"] < moment]

        assert writer.delete_telemetry(moment) == len({observation_id(plain) for plain in old})
        left = _memory(
            [point for point in points if point["time"] >= moment], [log for log in logs if log["time"] >= moment]
        )
        windows = [Window(), Window(host="node01", pid=1), *(Window(record_id=known) for known in _named(points, logs))]
        assert _answers(place.reader(), windows) == _answers(left, windows)

        writer.write_points(points)
        writer.write_logs(logs)
        assert _answers(place.reader(), windows) == _answers(_memory(points, logs), windows)


def _named(points: list[PlainPoint], logs: list[PlainLog]) -> list[str]:
    sources: list[Any] = [*logs, *(exemplar for point in points for exemplar in point.get("exemplars", ()))]
    return [f"{source['trace_id']}-{source['span_id']}" for source in sources if {"trace_id", "span_id"} <= {*source}]


def test_a_task_leads_to_what_fell_into_it(place: Place) -> None:
    """The window of a record gives the data points of its process while it ran, and its log records by its ids."""
    task = numbered(3, host="node01", pid=1)
    moment, later = task["started_at"] + 100, task["ended_at"] + 1
    points: list[PlainPoint] = [
        {"name": "rss", "kind": "gauge", "time": moment, "value": 1, "host": "node01", "pid": 1},
        {"name": "rss", "kind": "gauge", "time": later, "value": 2, "host": "node01", "pid": 1},
        {"name": "rss", "kind": "gauge", "time": moment, "value": 3, "host": "node01", "pid": 2},
    ]
    logs: list[PlainLog] = [
        {"time": later, "body": "late", "trace_id": task["trace_id"], "span_id": task["span_id"]},
        {"time": moment, "body": "of another", "trace_id": task["trace_id"], "span_id": "ab" * 8},
    ]
    writer = place.writer()
    writer.write([task])
    writer.write_points(points)
    writer.write_logs(logs)
    reader = place.reader()
    (found,) = reader.find(Query())

    assert reader.points(Window.of(found.plain)) == points[:1]
    assert reader.logs(Window(record_id=found.id)) == logs[:1]


@pytest.mark.parametrize("wrong", [{}, {"time": -1}, {"time": 2**64}, {"attributes": {"x": ...}}], ids=repr)
def test_what_no_store_can_keep_is_refused_whole(place: Place, wrong: dict[str, Any]) -> None:
    """A malformed data point or log record is a permanent error, and nothing of its batch is stored."""
    point: Any = {"name": "rss", "kind": "gauge", "time": 1, "value": 1}
    writer = place.writer()
    writer.write([numbered(1)])
    bad = point | wrong
    if not wrong:
        del bad["time"]

    for write in (writer.write_points, writer.write_logs):
        with pytest.raises(PermanentError):
            write([point, bad])
    assert _answers(place.reader(), [Window()]) == [[], []]
